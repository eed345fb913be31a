"""Making layers: the same inputs give the same bytes, and the cache answers for what is there."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.build import APP_PACKAGES_FOLDER, build_app
from jacfn_knative.image.bytecode import compile_tree
from jacfn_knative.image.errors import ImageMismatch, WheelsUnavailable
from jacfn_knative.image.fit import JACFN, LIBC, PACKAGES, PYTHON
from jacfn_knative.image.make import PACKAGES_FOLDER, Maker
from jacfn_knative.image.model import Image, Layer, Platform
from jacfn_knative.image.requirements import Target
from jacfn_knative.image.wheels import unpack
from jacfn_knative.report import Event, silent

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
TARGET = Target(Platform.parse("linux/arm64"), f"{MINOR}.8", libc_minor=36)
RUNTIME = {JACFN: "0.1.0", PYTHON: f"{MINOR}.8", LIBC: "glibc-2.36", PACKAGES: "falcon==4.4.0"}
MakeImage = Callable[..., Image]


def contents(blobs: Blobs, layer: Layer) -> dict[str, bytes]:
    with tarfile.open(blobs.path(layer.blob.digest)) as tar:
        return {f"/{entry.name}": tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], tag: str = "py3-none-any", requires: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {requires}\n" if requires else "")
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels as the only place where pip looks."""
    folder = tmp_path / "index"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def test_wheels_are_those_of_the_image_s_platform_with_all_that_they_need(index: Path, blobs: Blobs) -> None:
    native = f"cp{MINOR.replace('.', '')}-cp{MINOR.replace('.', '')}-manylinux_2_28"
    wheel(index, "jacfntest_native", "1.0", {"jacfntest_native.py": "cpu = 'arm'\n"}, f"{native}_aarch64", "jacfntest-pure>=2")
    wheel(index, "jacfntest_native", "1.1", {"jacfntest_native.py": "cpu = 'intel'\n"}, f"{native}_x86_64")
    wheel(index, "jacfntest_pure", "2.5", {"jacfntest_pure/__init__.py": "", "jacfntest_pure/data.txt": "data"})
    wheel(index, "jacfntest_pure", "1.0", {})
    events: list[Event] = []
    maker = Maker(blobs, events.append)
    layer, pins = maker.wheels(["jacfntest-native"], TARGET, "/lib")
    assert pins == ("jacfntest-native==1.0", "jacfntest-pure==2.5")
    files = contents(blobs, layer)
    assert files["/lib/jacfntest_native.py"] == b"cpu = 'arm'\n"
    assert files["/lib/jacfntest_pure/data.txt"] == b"data"
    assert f"/lib/__pycache__/jacfntest_native.{TAG}.pyc" in files
    del events[:]
    assert maker.wheels(["jacfntest-native"], TARGET, "/lib") == (layer, pins)  # the cache answers
    assert events == []


def test_compiled_again_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for number in range(20):
            source = tmp_path / name / "lib" / f"m{number}.py"
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(f"def f(a={{'x', {number}}}): return 'text {number}', f\n")
        compile_tree(tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.pyc")} for name in ("one", "two"))
    assert len(one) == 20
    assert one == two


def test_a_wheel_that_is_not_there_for_the_platform_is_named(index: Path, blobs: Blobs) -> None:
    wheel(index, "jacfntest_native", "1.0", {}, f"cp{MINOR.replace('.', '')}-cp{MINOR.replace('.', '')}-manylinux_2_28_x86_64")
    with pytest.raises(WheelsUnavailable, match="linux/arm64") as refused:
        Maker(blobs, silent).wheels(["jacfntest-native"], TARGET, "/lib")
    assert "jacfntest-native" in refused.value.evidence
    assert "Dockerfile" in refused.value.next_step


def test_commands_and_headers_of_a_wheel_stay_out(tmp_path: Path) -> None:
    made = wheel(
        tmp_path / "w",
        "x",
        "1",
        {"x.py": "", "x-1.data/scripts/x": "#!python", "x-1.data/platlib/y.py": "", "x-1.data/headers/x.h": ""},
    )
    unpack(made, tmp_path / "root")
    assert {path.name for path in (tmp_path / "root").glob("*.py")} == {"x.py", "y.py"}
    assert not list((tmp_path / "root").rglob("x.h"))


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "a\\..\\evil.py"])
def test_a_wheel_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WheelsUnavailable, match="outside its folder"):
        unpack(wheel(tmp_path / "w", "x", "1", {name: ""}), tmp_path / "root" / "deep")


def test_bytecode_is_never_checked_and_names_the_files_of_the_image(tmp_path: Path) -> None:
    source = tmp_path / "opt" / "lib" / "module.py"
    source.parent.mkdir(parents=True)
    source.write_text("def f(): raise ValueError\n")
    (source.parent / "broken.py").write_text("def f(:\n")
    compile_tree(tmp_path)
    (compiled,) = tmp_path.rglob("*.pyc")
    content = compiled.read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert content[4:8] == b"\x01\x00\x00\x00"  # PEP 552: hash-based, unchecked
    assert marshal.loads(content[16:]).co_filename == "/opt/lib/module.py"


def test_the_layer_of_jacfn_has_the_runtime_without_command_line_and_deployer(blobs: Blobs) -> None:
    files = contents(blobs, Maker(blobs, silent).jacfn())
    assert f"{PACKAGES_FOLDER}/jacfn_runtime/settings.py" in files
    assert f"{PACKAGES_FOLDER}/jacfn_runtime/__pycache__/settings.{TAG}.pyc" in files
    assert {path.split("/")[4].partition("-")[0] for path in files} == {"jacfn_runtime", "jacfn"}
    assert not [path for path in files if path.endswith("entry_points.txt")]


def test_the_layer_of_jacfn_is_the_same_each_time_it_is_made(blobs: Blobs, tmp_path: Path) -> None:
    assert Maker(blobs, silent).jacfn() == Maker(Blobs(tmp_path / "other"), silent).jacfn()


def test_an_app_is_its_runtime_and_one_small_layer(blobs: Blobs, make_image: MakeImage) -> None:
    runtime = make_image({"/opt/jacfn/lib/a.py": b""}, labels=RUNTIME)
    app = build_app(
        runtime, {"manifest.json": b"{}", "src/main.jac": b"walker w {}"}, labels={"dev.jacfn.bundle": "12"}, blobs=blobs
    )
    assert app.layers[:-1] == runtime.layers
    assert contents(blobs, app.layers[-1]) == {"/app/bundle/manifest.json": b"{}", "/app/bundle/src/main.jac": b"walker w {}"}
    assert "JACFN_BUNDLE=/app/bundle" in json.loads(app.config)["config"]["Env"]
    assert app.labels["dev.jacfn.bundle"] == "12"
    assert app.labels[JACFN] == "0.1.0"


def test_the_same_app_has_the_same_digest_and_a_changed_line_changes_one_layer(
    blobs: Blobs, make_image: MakeImage, tmp_path: Path
) -> None:
    runtime = make_image({"/opt/jacfn/lib/a.py": b""}, labels=RUNTIME)
    one = build_app(runtime, {"src/main.jac": b"one"}, blobs=blobs)
    assert build_app(runtime, {"src/main.jac": b"one"}, blobs=Blobs(tmp_path / "other")).digest == one.digest
    two = build_app(runtime, {"src/main.jac": b"two"}, blobs=blobs)
    assert two.digest != one.digest
    assert [a == b for a, b in zip(one.layers, two.layers, strict=True)] == [True, False]


def test_what_a_program_needs_beyond_the_runtime_gets_a_layer(index: Path, blobs: Blobs, make_image: MakeImage) -> None:
    wheel(index, "jacfntest_pure", "1.0", {"jacfntest_pure.py": ""}, requires="falcon")
    runtime = make_image({"/opt/jacfn/lib/a.py": b""}, labels=RUNTIME)
    app = build_app(runtime, {"src/main.jac": b""}, ["jacfntest-pure"], blobs=blobs)
    packages = {path.split("/")[3] for path in contents(blobs, app.layers[-2])}
    assert packages == {"jacfntest_pure.py", "jacfntest_pure-1.0.dist-info", "__pycache__"}
    assert f"PYTHONPATH={PACKAGES_FOLDER}:{APP_PACKAGES_FOLDER}" in json.loads(app.config)["config"]["Env"]


def test_an_app_is_built_on_a_runtime_of_jacfn_only(blobs: Blobs, make_image: MakeImage) -> None:
    with pytest.raises(ImageMismatch):
        build_app(make_image({"/a": b""}), {}, blobs=blobs)


def test_no_secret_of_the_environment_reaches_an_image(
    blobs: Blobs, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOCKER_PASSWORD", "JWT_SECRET", "MONGODB_URI"):
        monkeypatch.setenv(name, "t0p-s3cret")
    runtime = make_image({"/a": b""}, labels=RUNTIME)
    app = build_app(runtime, {"src/main.jac": b""}, blobs=blobs)
    jacfn = Maker(blobs, silent).jacfn()
    everything = [
        app.config,
        app.manifest,
        *(content for layer in (*app.layers, jacfn) for content in contents(blobs, layer).values()),
    ]
    assert not [content for content in everything if b"t0p-s3cret" in content]

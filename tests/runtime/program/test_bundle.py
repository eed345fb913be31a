"""The bundle: what is in it, that the same input gives the same bytes, and what is refused before it is written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program import bundle as bundles
from jacfn_runtime.program import verify
from jacfn_runtime.program.bundle import build_bundle
from jacfn_runtime.program.manifest import read_manifest

from .conftest import Write, drive, python

BUILD = """
import sys
from pathlib import Path
from jacfn_runtime.program.bundle import build_bundle
print(build_bundle(Path(sys.argv[1]), Path(sys.argv[2])).hash)
"""
PROGRAM = {
    "pkg/__init__.jac": "import from .inner { helper }",
    "pkg/inner.jac": 'def helper() -> str { return "packaged"; }',
    "pkg/inner.impl.jac": "",
    "side.py": "import json\nKINDS = {'a', 'b', 'c', 'd'}\ndef kinds(x): return x in {'u', 'v', 'w'}",
    "jac.toml": '[plugins.scale.knative]\ninclude = ["data", "plugins/*.jac"]\n[plugins.scale.jwt]\nsecret = "hidden"\n',
    "data/rates.json": '{"eur": 1.1}',
    "data/.env": "SECRET=1",
    "data/tls.key": "PRIVATE",
    "plugins/extra.jac": 'def more() -> str { return "included"; }',
    "unused.jac": "walker unused {}",
}
MAIN = """
import from pkg { helper }
import from side { KINDS, kinds }
import importlib;
import json;
import os;
node Item { has name: str; }
walker w { can go with `root entry { report [helper(), len(KINDS), kinds("u")]; } }
def rate() -> float {
    with open(os.path.join(os.path.dirname(__file__), "data", "rates.json")) as f { return json.load(f)["eur"]; }
}
def dynamic() -> str { return importlib.import_module("plugins.extra").more(); }
"""


LLM = "def translate(text: str) -> str by llm();\n"


@pytest.fixture
def entry(write: Write) -> Path:
    return write(MAIN, PROGRAM)


def test_a_program_of_many_files_runs_from_its_bundle_alone(entry: Path, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    manifest = build_bundle(entry, output)
    assert sorted(manifest.files) == [
        "code.bin",
        "src/data/rates.json",
        "src/main.jac",
        "src/pkg/__init__.jac",
        "src/pkg/inner.impl.jac",
        "src/pkg/inner.jac",
        "src/plugins/extra.jac",
        "src/side.py",
    ]
    for name, digest in manifest.files.items():
        assert hashlib.sha256((output / name).read_bytes()).hexdigest() == digest
    for path in sorted(entry.parent.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    steps = [["ann", "walker/w", {}], ["ann", "function/rate", {}], ["ann", "function/dynamic", {}]]
    for loader in ("slim", "full"):
        results = drive(output, loader, steps)["results"]
        assert [results[0]["reports"], results[1]["result"], results[2]["result"]] == [[["packaged", 4, True]], 1.1, "included"]


def test_the_same_program_gives_the_same_bytes_anywhere(entry: Path, tmp_path: Path) -> None:
    here = build_bundle(entry, tmp_path / "one")
    elsewhere = tmp_path / "some" / "other place"
    elsewhere.parent.mkdir()
    entry.parent.rename(elsewhere)
    done = python("-c", BUILD, str(elsewhere / "main.jac"), str(tmp_path / "two"), PYTHONHASHSEED="7")
    assert done.stdout.strip() == here.hash, done.stderr
    for name in ("code.bin", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    "environment", [{"PYTHONOPTIMIZE": "2"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=["-OO", "ascii"]
)
def test_the_same_program_gives_the_same_bytes_however_python_is_set(
    write: Write, tmp_path: Path, environment: dict[str, str]
) -> None:
    entry = write('"""Halves ½."""\ndef half(n: int) -> int {\n    assert n % 2 == 0;\n    return n // 2;\n}')
    here = build_bundle(entry, tmp_path / "one")
    done = python("-c", BUILD, str(entry), str(tmp_path / "two"), **environment)
    assert done.stdout.strip() == here.hash, done.stderr


def test_building_writes_nothing_beside_the_program_and_names_no_place_of_this_machine(entry: Path, tmp_path: Path) -> None:
    before = sorted(entry.parent.rglob("*"))
    build_bundle(entry, tmp_path / "bundle")
    assert sorted(entry.parent.rglob("*")) == before
    code = (tmp_path / "bundle" / "code.bin").read_bytes()
    assert str(tmp_path).encode() not in code
    assert b"/jacfn-" not in code


def test_a_change_of_one_line_changes_the_hash(entry: Path, tmp_path: Path) -> None:
    first = build_bundle(entry, tmp_path / "bundle").hash
    entry.write_text(entry.read_text().replace('kinds("u")', 'kinds("x")'))
    assert build_bundle(entry, tmp_path / "bundle").hash != first
    assert read_manifest(tmp_path / "bundle").hash != first


def test_secrets_never_join_even_when_named_outright(write: Write, tmp_path: Path) -> None:
    entry = write(
        "walker w {}",
        {"jac.toml": '[plugins.scale.knative]\ninclude = [".env", "jac.toml", "id_rsa"]', ".env": "A=1", "id_rsa": "KEY"},
    )
    told: list[str] = []
    manifest = build_bundle(entry, tmp_path / "bundle", told.append)
    assert sorted(manifest.files) == ["code.bin", "src/main.jac"]
    assert len([text for text in told if "could hold a secret" in text]) == 3


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("../outside.txt", "outside the program's folder"), ("/etc/passwd", "outside"), ("nothing/*", "no such file")],
)
def test_a_pattern_that_leads_out_or_nowhere_is_refused(write: Write, tmp_path: Path, pattern: str, message: str) -> None:
    entry = write("walker w {}", {"jac.toml": f"[plugins.scale.knative]\ninclude = [{json.dumps(pattern)}]"})
    with pytest.raises(ProgramError, match=message):
        build_bundle(entry, tmp_path / "bundle")


def test_a_link_out_of_the_folder_is_not_followed(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}", {"jac.toml": '[plugins.scale.knative]\ninclude = ["data"]', "data/own.txt": "1"})
    (tmp_path / "elsewhere.txt").write_text("2")
    (entry.parent / "data" / "link.txt").symlink_to(tmp_path / "elsewhere.txt")
    assert sorted(build_bundle(entry, tmp_path / "bundle").files) == ["code.bin", "src/data/own.txt", "src/main.jac"]


def test_a_module_named_like_one_of_the_runtime_is_refused(write: Write, tmp_path: Path) -> None:
    entry = write("import from redis { x }\nwalker w {}", {"redis.jac": "glob x = 1;"})
    with pytest.raises(ProgramError, match=r"redis\.jac is named like"):
        build_bundle(entry, tmp_path / "bundle")


def test_a_program_that_raises_on_import_is_refused_with_file_and_line(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}\n\nglob x = 1 / 0;\n")
    with pytest.raises(ProgramError, match="ZeroDivisionError") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert error.value.evidence.startswith("main.jac:3: ")
    assert not (tmp_path / "bundle").exists()


def test_an_error_that_only_python_finds_has_its_line_too(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}\nglob counter: int = 0;\nwith entry {\n    global counter;\n}\n")
    with pytest.raises(ProgramError) as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "main.jac:4:" in error.value.evidence


def test_an_error_that_only_pythons_compiler_finds_in_a_python_module_has_its_line_too(write: Write, tmp_path: Path) -> None:
    entry = write("import from side { x }\nwalker w {}", {"side.py": "x = 1\nreturn 3\n"})
    with pytest.raises(ProgramError, match=r"side\.py does not compile: line 2") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "return 3" in error.value.evidence


def test_what_jaclang_makes_no_python_of_is_refused_with_the_file(write: Write, tmp_path: Path) -> None:
    entry = write("node A {}\nwalker w { can go with Root entry { del [-->][?:A]; } }")
    with pytest.raises(ProgramError, match=r"no Python of main\.jac") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "`del`" in error.value.next_step


DECORATED = """
import from functools { lru_cache }
def _any(f: any) -> any { def inner(*args: any, **named: any) -> any { return f(*args, **named); } return inner; }
obj _Call { has f: any; def __call__(n: int) -> int { return self.f(n) + 1; } }
@lru_cache
def cached(n: int) -> int { return n * n; }
@_any
def wrapped(n: int = 1) -> int { return n; }
@_Call
def called(n: int) -> int { return n; }
"""


def test_functions_that_a_decorator_made_something_else_of_are_endpoints(write: Write, tmp_path: Path) -> None:
    build_bundle(write(DECORATED), tmp_path / "bundle")
    steps: list[list[Any]] = [["ann", f"function/{name}", {"n": 3}] for name in ("cached", "wrapped", "called")]
    steps.append(["ann", "function/cached", {"n": "three"}])
    for loader in ("slim", "full"):
        results = drive(tmp_path / "bundle", loader, steps)["results"]
        assert [item.get("result") for item in results] == [9, 3, 4, None]
        assert results[3] == {"invalid": [["body.n", "Expected `int`, got `str`"]]}


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("def inner(m: int) -> any { return f(m); } return inner;", "is declared with n and takes m"),
        ("return None;", "cannot be called: the program makes it a NoneType"),
    ],
)
def test_a_decorator_that_takes_the_endpoint_away_is_refused(write: Write, tmp_path: Path, decorator: str, message: str) -> None:
    entry = write(f"def _made(f: any) -> any {{ {decorator} }}\n@_made\ndef x(n: int) -> int {{ return n; }}")
    with pytest.raises(ProgramError, match=message) as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "decorator" in error.value.next_step


def test_a_program_that_exits_while_it_is_imported_is_told_what_to_do(write: Write, tmp_path: Path) -> None:
    entry = write("import sys;\nwalker w {}\nwith entry { sys.exit(3); }")
    with pytest.raises(ProgramError, match="ended its process") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "must not exit" in error.value.next_step


def test_a_program_that_never_imports_is_refused_and_leaves_no_process(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []
    plain_start = verify._start

    def start(folder: Path, loader: str) -> subprocess.Popen[str]:
        started.append(plain_start(folder, loader))
        return started[-1]

    monkeypatch.setattr(verify, "_start", start)
    monkeypatch.setattr(verify, "_SECONDS", 3)
    with pytest.raises(ProgramError, match="did not import within 3 s"):
        build_bundle(write("import time;\nwalker w {}\nwith entry { time.sleep(60); }"), tmp_path / "bundle")
    assert [process.poll() is None for process in started] == [False, False]


def test_a_parameter_that_no_request_could_give_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="function/f takes a by position only"):
        build_bundle(write("def f(a: int, /, b: int = 1) -> int { return a; }"), tmp_path / "bundle")


def test_a_place_that_cannot_be_written_to_is_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ProgramError, match="cannot be written to") as error:
        build_bundle(write("walker w {}"), tmp_path / "taken" / "bundle")
    assert error.value.next_step == "Name another folder."


def test_an_entry_file_that_cannot_be_a_module_is_refused(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}").rename(tmp_path / "my.app.jac")
    with pytest.raises(ProgramError, match="has a dot in its name") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "Rename it" in error.value.next_step


@pytest.mark.parametrize("line", ['requests = "^2.0"', '"bad name!" = "1.0"'])
def test_a_dependency_that_is_no_requirement_is_refused_with_the_spelling(write: Write, tmp_path: Path, line: str) -> None:
    entry = write("walker w {}", {"jac.toml": f"[dependencies]\n{line}\n"})
    with pytest.raises(ProgramError, match="no Python requirement") as error:
        build_bundle(entry, tmp_path / "bundle", dependencies="leave")
    assert '">=2.31,<3"' in error.value.next_step


def test_a_bundle_beside_the_program_does_not_join_the_next_one(write: Write) -> None:
    entry = write("walker w {}", {"jac.toml": '[plugins.scale.knative]\ninclude = ["."]\n'})
    first = build_bundle(entry, entry.parent / "bundle")
    assert build_bundle(entry, entry.parent / "bundle").hash == first.hash


def test_a_module_that_no_dependency_provides_is_refused(write: Write, tmp_path: Path) -> None:
    entry = write("import hypothesis;\nwalker w {}\n")
    with pytest.raises(ProgramError, match=r"main\.jac imports hypothesis, which a pod does not have") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "[dependencies]" in error.value.next_step


def test_a_module_that_is_not_installed_is_refused(write: Write, tmp_path: Path) -> None:
    entry = write("import nowhere_to_be_found;\nwalker w {}\n")
    with pytest.raises(ProgramError, match="nowhere_to_be_found"):
        build_bundle(entry, tmp_path / "bundle")


def test_a_program_that_the_slim_loader_cannot_run_is_marked_and_told(write: Write, tmp_path: Path) -> None:
    entry = write("import from jaclang.runtimelib.server { JacAPIServer }\nwalker w {}\n")
    told: list[str] = []
    manifest = build_bundle(entry, tmp_path / "bundle", told.append)
    assert not manifest.slim
    assert any("slim loader does not run" in text for text in told)
    assert drive(tmp_path / "bundle", "auto", [["ann", "walker/w", {}]])["loader"] == "full"


def test_a_bundle_over_the_limit_names_the_build_option(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LIMIT", 1000)
    with pytest.raises(ProgramError, match="MiB") as error:
        build_bundle(write("walker w {}"), tmp_path / "bundle")
    assert "--build" in error.value.next_step
    assert "code.bin" in error.value.evidence


def test_a_folder_that_is_no_bundle_is_not_replaced(write: Write, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ProgramError, match="is no bundle"):
        build_bundle(write("walker w {}"), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def wheel(folder: Path, name: str, tag: str, files: dict[str, str], requires: str = "") -> None:
    """A minimal wheel."""
    with zipfile.ZipFile(folder / f"{name}-1.0-{tag}.whl", "w") as archive:
        info = f"{name}-1.0.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
        pure = "true" if tag.endswith("any") else "false"
        all_files = {
            **files,
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
        }
        for path, text in all_files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*all_files, f"{info}/RECORD"]))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package index, with three wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel(folder, "inner_pure", "py3-none-any", {"inner_pure.py": "VALUE = 40"})
    files = {
        "outer_pure/__init__.py": "from importlib import resources\nfrom inner_pure import VALUE\n"
        "def text(): return resources.files('outer_pure').joinpath('note.txt').read_text()\n",
        "outer_pure/note.txt": "a note",
    }
    wheel(folder, "outer_pure", "py3-none-any", files, "Requires-Dist: inner_pure\n")
    plugin = {
        "tiny_model.py": "from jaclang.jac0core.runtime import hookimpl\nclass Tiny:\n    @staticmethod\n    @hookimpl\n"
        '    def call_llm(model, mt_run): return "a model\'s answer"\n',
        "tiny_model-1.0.dist-info/entry_points.txt": "[jac]\ntiny = tiny_model:Tiny\n",
    }
    wheel(folder, "tiny_model", "py3-none-any", plugin)
    wheel(folder, "native_one", "cp312-cp312-manylinux2014_x86_64", {"native_one.py": ""})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.usefixtures("index")
def test_pure_dependencies_join_the_bundle_with_what_they_need(write: Write, tmp_path: Path) -> None:
    entry = write(
        "import from outer_pure { VALUE, text }\ndef value() -> list[any] { return [VALUE + 2, text()]; }",
        {"jac.toml": '[dependencies]\nouter_pure = ">=1.0"\n'},
    )
    manifest = build_bundle(entry, tmp_path / "bundle")
    assert manifest.dependencies == ("inner_pure==1.0", "outer_pure==1.0")
    assert "site/outer_pure/note.txt" in manifest.files
    for loader in ("slim", "full"):
        assert drive(tmp_path / "bundle", loader, [["ann", "function/value", {}]])["results"][0]["result"] == [42, "a note"]


@pytest.mark.usefixtures("index")
def test_a_dependency_that_is_a_plugin_of_jaclang_is_let_in_by_the_full_loader(write: Write, tmp_path: Path) -> None:
    entry = write(LLM, {"jac.toml": '[dependencies]\ntiny_model = "*"\n'})
    told: list[str] = []
    manifest = build_bundle(entry, tmp_path / "bundle", told.append)
    assert (manifest.slim, manifest.plugins) == (False, ("tiny-model:tiny",))
    assert any("tiny-model:tiny" in text for text in told)
    done = drive(tmp_path / "bundle", "auto", [["ann", "function/translate", {"text": "hello"}]])
    assert (done["loader"], done["results"][0]["result"]) == ("full", "a model's answer")


def test_a_language_model_without_a_plugin_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"main\.jac calls a language model"):
        build_bundle(write(LLM), tmp_path / "bundle")


@pytest.mark.usefixtures("index")
def test_a_native_dependency_names_the_build_option(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}", {"jac.toml": '[dependencies]\nnative_one = "*"\n'})
    with pytest.raises(ProgramError, match=r"native.one") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "--build" in error.value.next_step


@pytest.mark.usefixtures("index")
def test_a_native_dependency_is_only_named_when_an_image_will_hold_it(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}", {"jac.toml": '[dependencies]\nnative_one = "1.0"\n'})
    assert build_bundle(entry, tmp_path / "bundle", dependencies="leave").dependencies == ("native_one==1.0",)


@pytest.mark.usefixtures("index")
def test_a_dependency_that_is_not_to_be_had_is_refused(write: Write, tmp_path: Path) -> None:
    entry = write("walker w {}", {"jac.toml": '[dependencies]\nnot_there = "*"\n'})
    with pytest.raises(ProgramError, match="cannot be resolved") as error:
        build_bundle(entry, tmp_path / "bundle")
    assert "not_there" in error.value.evidence

"""Looking into a base image: its Python, its C library, its standard library."""

from __future__ import annotations

import io
import struct
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from jacfn_knative.image.base import look
from jacfn_knative.image.errors import BaseUnfit
from jacfn_knative.image.layer import write_layer

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSION = f"{MINOR}.8"
HEX = struct.pack("<I", (sys.version_info.major << 24) | (sys.version_info.minor << 16) | (8 << 8) | 0xF0)
BINARY = (
    b"\x7fELF...%s%s%s, %.20s, %.9s\x0020:39:04\x00Dec  4 2024\x00..\x00[GCC 12.2.0]\x00...\x00"
    + VERSION.encode()
    + b"\x00..%.80s (%.80s) %.80s\x00"
    + HEX
)
GLIBC = b"...GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n..."
PYTHON = {
    f"/usr/local/bin/python{MINOR}": b"\x7fELF",
    f"/usr/local/lib/libpython{MINOR}.so.1.0": BINARY,
    f"/usr/local/lib/python{MINOR}/os.py": b"import abc\n",
    f"/usr/local/lib/python{MINOR}/_sysconfigdata__linux_x86_64-linux-gnu.py": b"",
    f"/usr/local/lib/python{MINOR}/json/__init__.py": b"",
    f"/usr/local/lib/python{MINOR}/test/test_os.py": b"",
    f"/usr/local/lib/python{MINOR}/site-packages/pip/__init__.py": b"",
    "/usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC,
    "/etc/passwd": b"root:x:0:0",
}


def layer(folder: Path, files: Mapping[str, bytes]) -> Path:
    path = folder / f"layer-{len(list(folder.iterdir()))}"
    with path.open("wb") as out:
        write_layer(files, out, "")
    return path


def test_python_and_libc_are_read_off_the_files(tmp_path: Path) -> None:
    python = look([layer(tmp_path, PYTHON)], tmp_path / "root", "base")
    assert python.executable == f"/usr/local/bin/python{MINOR}"
    assert python.version == VERSION
    assert (python.libc, python.libc_minor) == ("glibc", 41)
    assert python.sys_version == f"{VERSION} (main, Dec  4 2024, 20:39:04) [GCC 12.2.0]"


def test_only_the_standard_library_is_laid_out(tmp_path: Path) -> None:
    look([layer(tmp_path, PYTHON)], tmp_path / "root", "base")
    there = {path.relative_to(tmp_path / "root").as_posix() for path in (tmp_path / "root").rglob("*") if path.is_file()}
    library = f"usr/local/lib/python{MINOR}"
    assert there == {f"{library}/os.py", f"{library}/json/__init__.py", f"{library}/_sysconfigdata__linux_x86_64-linux-gnu.py"}


def test_later_layers_replace_and_remove(tmp_path: Path) -> None:
    library = f"/usr/local/lib/python{MINOR}"
    layers = [
        layer(tmp_path, PYTHON),
        layer(tmp_path, {f"{library}/os.py": b"import stat\n", f"{library}/.wh.json": b""}),
    ]
    look(layers, tmp_path / "root", "base")
    assert (tmp_path / f"root{library}/os.py").read_bytes() == b"import stat\n"
    assert not (tmp_path / f"root{library}/json").exists()


def test_the_headers_version_counts_first(tmp_path: Path) -> None:
    header = {f"/usr/local/include/python{MINOR}/patchlevel.h": f'#define PY_VERSION              "{MINOR}.9"\n'.encode()}
    assert look([layer(tmp_path, PYTHON | header)], tmp_path / "root", "base").version == f"{MINOR}.9"


def test_a_binary_that_hides_its_build_is_no_error(tmp_path: Path) -> None:
    files = PYTHON | {f"/usr/local/lib/libpython{MINOR}.so.1.0": b"\x7fELF"}
    python = look([layer(tmp_path, files)], tmp_path / "root", "base")
    assert (python.version, python.sys_version) == (f"{MINOR}.0", "")


def test_alpine_has_musl(tmp_path: Path) -> None:
    files = {name: content for name, content in PYTHON.items() if "libc" not in name} | {"/lib/ld-musl-x86_64.so.1": b""}
    assert look([layer(tmp_path, files)], tmp_path / "root", "base").libc == "musl"


def test_a_base_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseUnfit, match="has no Python"):
        look([layer(tmp_path, {"/bin/sh": b""})], tmp_path / "root", "debian:12")


def test_a_base_with_another_python_is_refused_with_the_one_to_take(tmp_path: Path) -> None:
    with pytest.raises(BaseUnfit, match=r"has Python 3\.9, and this is") as refused:
        look([layer(tmp_path, {"/usr/local/bin/python3.9": b""})], tmp_path / "root", "python:3.9")
    assert f"--base python:{MINOR}-slim" in refused.value.next_step


def test_a_layer_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zstd").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(600))
    with pytest.raises(BaseUnfit, match="cannot be read"):
        look([tmp_path / "zstd"], tmp_path / "root", "base")


def test_paths_that_leave_the_layer_are_passed_over(tmp_path: Path) -> None:
    base, evil = layer(tmp_path, PYTHON), tmp_path / "evil"
    with tarfile.open(evil, "w:gz") as tar:
        for name in (
            f"../../usr/local/lib/python{MINOR}/evil.py",
            f"usr/local/lib/python{MINOR}/../../../../../evil.py",
            "../.wh.layer-0",
        ):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))
    look([base, evil], tmp_path / "root", "base")
    assert list(tmp_path.rglob("evil.py")) == []
    assert (tmp_path / "layer-0").exists()

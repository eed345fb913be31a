"""Looking into a base image: which Python it has, which wheels fit, and the standard library's sources. Nothing of it is run."""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jacfn_knative.image.errors import BaseUnfit

# Parts of the standard library that a server does not import: tests, Tk, the installer of pip.
_LEFT_OUT = "test|idlelib|tkinter|turtledemo|ensurepip|lib2to3|site-packages|dist-packages|config-[^/]*"
_PREFIX = "(?P<prefix>(?:usr|opt)(?:/[^/]+)?)"
_STDLIB = re.compile(rf"{_PREFIX}/lib/python(?P<minor>3\.\d+)/(?!(?:{_LEFT_OUT})/)(?:[\w.-]+/)*[\w-]+\.py")
_BINARY = re.compile(rf"{_PREFIX}/bin/python(?P<minor>3\.\d+)")
_LIBPYTHON = re.compile(r"(?:usr|opt)(?:/[\w.-]+)*/lib(?:/[\w-]+)?/libpython3\.\d+\.so\.1\.0")
_GLIBC = re.compile(r"(?:usr/)?lib(?:64)?(?:/[\w-]+-linux-gnu)?/libc(?:\.so\.6|-2\.\d+\.so)")
_MUSL = re.compile(r"(?:usr/)?lib/ld-musl-[\w]+\.so\.1")
_PATCHLEVEL = re.compile(r"(?:usr|opt)(?:/[^/]+)?/include/python3\.\d+/patchlevel\.h")
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"  # OCI image specification, layer.md: what a layer takes away
_LARGEST = 256 << 20  # bytes of one file that is looked into; libpython with debug symbols has 30 MB


@dataclass(frozen=True, slots=True)
class BasePython:
    """The Python of a base image."""

    executable: str
    """Absolute path, e.g. `/usr/local/bin/python3.12`."""
    version: str
    """`3.12.8`."""
    libc: str
    libc_minor: int
    sys_version: str
    """What `sys.version` will say there; empty if it cannot be read off the binary. jaclang names its caches after it."""


def look(layers: Iterable[Path], folder: Path, name: str) -> BasePython:
    """What Python the layers (files, lowest first) have; its standard library's sources are laid out below `folder`.

    `folder` is used as if it were the image's `/`. Raises BaseUnfit if there is no Python in it, or none of this Python's
    version, whose bytecode the image needs.
    """
    found = {path for layer in layers for path in _merge(layer, folder, name)}
    paths = sorted(path for path in found if (folder / path).is_file())
    binaries = {
        match["minor"]: path for path in reversed(paths) if (match := _BINARY.fullmatch(path))
    }  # usr/bin before usr/local
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    if ours not in binaries:
        has = f"Python {', '.join(sorted(binaries))}" if binaries else "no Python"
        raise BaseUnfit(
            f"The base image {name} has {has}, and this is Python {ours}",
            evidence="Bundle and image carry bytecode, which only the Python version understands that wrote it.",
            next_step=f"Take a base with Python {ours} (--base python:{ours}-slim), or run jacfn with the Python of the base.",
        )
    executable = binaries[ours]
    prefix = _BINARY.fullmatch(executable)["prefix"]  # type: ignore[index]
    version, sys_version = _version([folder / path for path in paths], ours)
    libc, libc_minor = _libc(paths, folder)
    for path in paths:
        inside = _STDLIB.fullmatch(path)
        if not (inside and inside["prefix"] == prefix and inside["minor"] == ours):
            (folder / path).unlink()
    return BasePython(f"/{executable}", version, libc, libc_minor, sys_version)


def _merge(layer: Path, folder: Path, name: str) -> Iterator[str]:
    """Lay the interesting files of one layer over those of the layers below it; their paths."""
    try:
        with tarfile.open(layer, mode="r|*") as tar:
            for entry in tar:
                path = PurePosixPath(entry.name.removeprefix("./").lstrip("/"))
                if ".." in path.parts or not path.parts:
                    continue
                if path.name == _OPAQUE:
                    _remove(folder / path.parent)
                elif path.name.startswith(_WHITEOUT):
                    _remove(folder / path.parent / path.name.removeprefix(_WHITEOUT))
                elif entry.isfile() and entry.size <= _LARGEST and _interesting(str(path)):
                    source = tar.extractfile(entry)
                    assert source is not None
                    target = folder / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as out:
                        shutil.copyfileobj(source, out)
                    yield str(path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BaseUnfit(
            f"A layer of the base image {name} cannot be read",
            evidence=str(error),
            next_step="Layers have to be gzipped or plain tars: zstd is not understood. Choose another base with --base.",
        ) from error


def _interesting(path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern in (_STDLIB, _BINARY, _LIBPYTHON, _GLIBC, _MUSL, _PATCHLEVEL))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _libc(paths: Iterable[str], folder: Path) -> tuple[str, int]:
    """The C library and its minor version, because wheels say which they need; an old one if it does not tell."""
    if any(_MUSL.fullmatch(path) for path in paths):
        return "musl", 2  # PEP 656: musl 1.1 is what Alpine had before 2021
    for path in paths:
        if _GLIBC.fullmatch(path):
            told = re.search(rb"GNU C Library [^\n]*?version 2\.(\d+)", (folder / path).read_bytes())
            if told:
                return "glibc", int(told[1])
    return "glibc", 17  # manylinux2014, which nearly every wheel supports


def _version(files: Iterable[Path], minor: str) -> tuple[str, str]:
    """The full version, and `sys.version`; the latter is empty if the binary does not tell (see `_version_string`)."""
    contents = [path.read_bytes() for path in files if path.name in (f"libpython{minor}.so.1.0", f"python{minor}")]
    for path in files:
        if path.name == "patchlevel.h" and path.parent.name == f"python{minor}":
            told = re.search(r'#define\s+PY_VERSION\s+"([^"]+)"', path.read_text(errors="replace"))
            if told:
                return told[1], _version_string(contents, told[1])
    for content in contents:
        for told in dict.fromkeys(re.findall(rb"(%b\.\d+)\0" % re.escape(minor.encode()), content)):
            numbers = [int(number) for number in told.split(b".")]
            if bytes((0xF0, *reversed(numbers))) in content:  # Py_Version: the same as a number, 0x030C01F0 for 3.12.1
                return told.decode(), _version_string(contents, told.decode())
    return f"{minor}.0", ""


def _version_string(contents: Iterable[bytes], version: str) -> str:
    """`3.12.8 (main, Dec  4 2024, 20:39:04) [GCC 12.2.0]`, put together as Py_GetVersion does (Python/getversion.c).

    The day and time of the build stand behind the format of Py_GetBuildInfo (Modules/getbuildinfo.c), in either order; a release
    that was built from its archive says `main`.
    """
    built = rb"%s%s%s, %\.20s, %\.9s\0[^\0]{0,40}?\0?((?:[A-Z][a-z]{2} [ \d]\d \d{4}|\d\d:\d\d:\d\d)\0){2}"
    for content in contents:
        told, compiler = re.search(built, content), re.search(rb"\0(\[(?:GCC|Clang) [^\]\0]+\])\0", content)
        if told and compiler:
            day, time = re.search(rb"[A-Z][a-z]{2} [ \d]\d \d{4}", told[0]), re.search(rb"\d\d:\d\d:\d\d", told[0])
            if day and time:
                return f"{version} (main, {day[0].decode()}, {time[0].decode()}) {compiler[1].decode()}"
    return ""

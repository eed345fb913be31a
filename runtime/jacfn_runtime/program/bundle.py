"""The bundle: the immutable, content-addressed artefact of one program. The same input gives the same bytes.

manifest.json   catalog, content hash, versions, dependencies, files with their hashes
code.bin        compiled code of the program (pack.py)
src/            its sources, for tracebacks and for people
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program import pack
from jacfn_runtime.program.catalog import Catalog
from jacfn_runtime.program.compiler import Compiled, compile_program
from jacfn_runtime.program.manifest import MANIFEST, Manifest
from jacfn_runtime.program.read import Notice, catalog_of
from jacfn_runtime.program.slice import jaclang_slice

LIMIT = 8 * 1024 * 1024
"""Bytes. Fast mode carries a bundle in ConfigMaps of 1 MiB each, and each of them costs etcd and every node a copy."""


def build_bundle(entry: Path, output: Path, notice: Notice | None = None) -> Manifest:
    """Compile the program and write its bundle into the folder `output`, which is replaced.

    `notice` hears what the author should read once. Raises ProgramError: see `read_catalog`; also for a bundle over 8 MiB.
    """
    compiled = compile_program(entry, code=True)
    catalog = catalog_of(compiled, notice)
    files = {"code.bin": pack.write({**jaclang_slice(), **_modules(compiled)}), **_sources(compiled)}
    size = sum(map(len, files.values()))
    if size > LIMIT:
        raise ProgramError(
            f"The bundle would have {size / 2**20:.1f} MiB; at most {LIMIT // 2**20} MiB fit beside the runtime image",
            evidence="\n".join(
                f"{len(data):10}  {name}" for name, data in sorted(files.items(), key=lambda item: -len(item[1]))[:5]
            ),
            next_step="Leave files out of `include`, or deploy with --build, which makes an image of the app's own.",
        )
    manifest = _manifest(catalog, files)
    _write(output, {**files, MANIFEST: manifest.to_json()})
    return manifest


def _modules(compiled: Compiled) -> dict[str, pack.Packed]:
    return {
        name: pack.Packed(module.code, module.source.is_package, f"src/{module.source.file}")
        for name, module in compiled.modules.items()
    }


def _sources(compiled: Compiled) -> dict[str, bytes]:
    sources = [source for module in compiled.modules.values() for source in (module.source, *module.source.annexes)]
    return {f"src/{source.file}": source.original.encode() for source in sources if source.text is not None}


def _manifest(catalog: Catalog, files: dict[str, bytes]) -> Manifest:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    draft = Manifest(
        catalog=catalog,
        hash="",
        jacfn=metadata.version("jacfn"),
        jaclang=metadata.version("jaclang"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        magic=importlib.util.MAGIC_NUMBER.hex(),
        files=digests,
    )
    return msgspec.structs.replace(draft, hash=hashlib.sha256(draft.to_json()).hexdigest())


def _write(output: Path, files: dict[str, bytes]) -> None:
    """Replace the folder at once: a reader sees the old bundle or the new one."""
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        for name, data in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if output.exists():
            _refuse_foreign(output)
            shutil.move(output, Path(scratch) / "old")
        shutil.move(fresh, output)


def _refuse_foreign(output: Path) -> None:
    """A folder that holds something else than a bundle is not ours to replace."""
    entries: list[Any] = list(output.iterdir()) if output.is_dir() else [output]
    if entries and not (output / MANIFEST).is_file():
        raise ProgramError(f"{output} exists and is no bundle", next_step="Name another folder.")

"""The project's bundles: `.jac/jacfn/bundles/<hash>`, built when something changed and reused when nothing did."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Literal

from jacfn_cli.printer import Printer
from jacfn_cli.settings import Settings
from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.manifest import MANIFEST, Manifest, read_manifest
from jacfn_runtime.program.project import Project, read_project

type Dependencies = Literal["carry", "leave"]

KEPT = 5  # bundles of earlier builds: processes that still run show lines of their sources in tracebacks
SKIPPED = ("node_modules", "__pycache__")  # and every folder whose name begins with a dot, and virtual environments


def project_bundle(entry: Path, settings: Settings, printer: Printer, dependencies: Dependencies) -> tuple[Path, Manifest]:
    """The folder and the manifest of the bundle of this program as it is now.

    `dependencies`: "carry" where the bundle travels to a cluster on its own, "leave" where an image or this machine has them.
    Raises ProgramError as `build_bundle` does.
    """
    project = bundle_project(entry, settings)
    folder = _workspace(settings.folder) / "bundles"
    where = f"{dependencies} {os.path.relpath(entry, settings.folder)}"  # relative: a copy of the project keeps its bundles
    stamp = folder / f"{hashlib.sha256(where.encode()).hexdigest()[:16]}.stamp"
    fingerprint = _fingerprint(entry, project)
    if (found := _reusable(folder, stamp, fingerprint)) is not None:
        return found
    from jacfn_runtime.program.bundle import build_bundle

    draft = folder / f".draft-{os.getpid()}"
    try:
        manifest = build_bundle(entry, draft, printer.note, dependencies=dependencies, project=project)
        final = folder / manifest.hash[:16]
        if not final.exists():
            draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    os.utime(final)
    _write(stamp, f"{fingerprint} {final.name}")
    _prune(folder)
    return final, manifest


def bundle_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """A bundle's files by path within it, the manifest included."""
    return {name: (folder / name).read_bytes() for name in (*manifest.files, MANIFEST)}


def bundle_project(entry: Path, settings: Settings) -> Project:
    """What goes into the bundle besides the program's own modules; a profile may include other files."""
    return replace(read_project(entry), include=settings.knative.include)


def _workspace(project: Path) -> Path:
    """`.jac/jacfn`, which git ignores: the folder of the graph and of the laptop's secret is beside it."""
    folder = project / ".jac" / "jacfn"
    folder.mkdir(parents=True, exist_ok=True)
    ignore = project / ".jac" / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return folder


def _reusable(folder: Path, stamp: Path, fingerprint: str) -> tuple[Path, Manifest] | None:
    try:
        known, _, name = stamp.read_text().partition(" ")
        bundle = folder / name
        return (bundle, read_manifest(bundle)) if known == fingerprint else None
    except (OSError, ProgramError):
        return None


def _fingerprint(entry: Path, project: Project) -> str:
    """Changes whenever a file beside or below the entry file does, or what jac.toml says, or the tools that make a bundle."""
    package = Path(sys.modules[read_manifest.__module__].__file__ or "").parents[1]  # all of the runtime: parts of it travel too
    lines = [metadata.version("jaclang"), sys.version, repr(project), *_states(package), *_states(entry.parent)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _states(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in SKIPPED and not Path(folder, name, "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            state = Path(folder, name).lstat()
            yield f"{os.path.relpath(folder, root)}/{name} {state.st_size} {state.st_mtime_ns}"


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def _prune(folder: Path) -> None:
    bundles = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in bundles[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)

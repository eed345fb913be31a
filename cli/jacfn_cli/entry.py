"""Which program a command is about: the file that was named, else jac.toml's entry-point, else main.jac; and its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from jacfn_cli.printer import Printer
from jacfn_cli.settings import Settings, read_settings
from jacfn_runtime.errors import ProgramError

DEFAULT_ENTRY = "main.jac"


def open_entry(
    filename: str | None, printer: Printer, profile: str = "", flags: Mapping[str, object] | None = None
) -> tuple[Path, Settings]:
    """The entry file and its settings; says their warnings and hides their secrets.

    Raises ProgramError if there is no such file, SettingsError for what read_settings finds.
    """
    folder = Path(filename).absolute().parent if filename else Path.cwd()
    settings = read_settings(folder, os.environ, profile, flags)
    printer.hide(settings.secrets)
    for warning in settings.warnings:
        printer.warning(warning)
    if not filename:
        settings.need("project.entry-point")
    entry = Path(filename) if filename else settings.folder / (settings.project.entry_point or DEFAULT_ENTRY)
    if not entry.is_file():
        raise _absent(entry, named=filename is not None)
    if entry.suffix != ".jac":
        raise ProgramError(f"{entry} is not a Jac program", next_step="Name a file that ends in .jac.")
    _use_project_packages(settings.folder)
    return entry.absolute(), settings


def _use_project_packages(folder: Path) -> None:
    """What `jac install` put into the project is there for this process and each one that it starts, as under `jac run`."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = str(folder / ".jac" / "venv" / "lib" / version / "site-packages")
    if Path(packages).is_dir() and packages not in sys.path:
        sys.path.append(packages)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))


def _absent(entry: Path, named: bool) -> ProgramError:
    if entry.is_dir():
        return ProgramError(f"{entry} is a folder", next_step="Name the program's entry file, such as `main.jac`.")
    programs = sorted(file.name for file in entry.parent.glob("[!.]*.jac") if file.is_file())
    near = get_close_matches(entry.name, programs, n=1) or programs[:1]
    what = f"There is no file {entry}" if named else f"There is no {entry.name} in {entry.parent}"
    if near:
        return ProgramError(what, next_step=f"Did you mean `{near[0]}`?")
    return ProgramError(what, next_step="Name the program's entry file: `jac start app.jac`.")

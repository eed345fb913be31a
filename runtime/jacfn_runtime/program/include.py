"""Files that come along in a bundle because jac.toml names them, and those that never do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.manifest import MANIFEST

# A bundle travels in ConfigMaps, and a ConfigMap is no Secret. jac.toml may hold secrets as well.
_NEVER = (
    "jac.toml", "jac.*.toml", "*.env", "*.env.*", "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*_rsa", "*_ecdsa", "*_ed25519",
    "credentials*.json", "service-account*.json", "client_secret*.json", "kubeconfig*",
    "secrets.json", "secrets.toml", "secrets.yaml", "secrets.yml",
)  # fmt: skip
_FOLDERS = ("__pycache__", "node_modules", "venv")


def included(root: Path, patterns: Iterable[str], notice: Callable[[str], None]) -> tuple[str, ...]:
    """Paths relative to `root` that the patterns name: files, folders with all that is in them, globs, or `.` for everything.

    Whatever looks like a secret or begins with a dot is left out, and `notice` hears of it if a pattern names it outright. Raises
    ProgramError for a pattern that leaves the program's folder, is none or matches nothing, and for a name that is not UTF-8.
    """
    found: set[str] = set()
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ProgramError(
                f"`include` names {pattern}, which is outside the program's folder",
                next_step="Move it beside the entry file, or below.",
            )
        matches = [path for match in _matches(root, pattern) for path in _files(match)]
        if not matches:
            raise ProgramError(f"`include` names {pattern}, and there is no such file in {root}")
        names = [path.relative_to(root).as_posix() for path in matches]
        allowed = [name for name, path in zip(names, matches, strict=True) if _may_join(name) and _stays(root, path)]
        _refuse_unspeakable(allowed)
        if not allowed:
            notice(f"`include` names {pattern}: left out, because it could hold a secret")
        found.update(allowed)
    return tuple(sorted(found))


def _matches(root: Path, pattern: str) -> list[Path]:
    if pattern.rstrip("/") == ".":
        return [root]
    try:
        return sorted(root.glob(pattern))
    except (ValueError, IndexError) as error:
        raise ProgramError(
            f"`include` names {pattern!r}, which is no pattern",
            evidence=str(error),
            next_step="Name a file, a folder, or a pattern such as `data/*.json`.",
        ) from error


def _files(path: Path) -> Iterable[Path]:
    """The files of a match: a pipe, a socket or a link that leads nowhere is none."""
    return [child for child in (path.rglob("*") if path.is_dir() else [path]) if child.is_file()]


def _may_join(name: str) -> bool:
    *folders, file = name.lower().split("/")
    hidden = any(part.startswith(".") for part in (*folders, file))
    return not hidden and not any(fnmatch(file, pattern) for pattern in _NEVER) and not set(folders) & set(_FOLDERS)


def _stays(root: Path, path: Path) -> bool:
    """A link that leads out of the program's folder, or to what may not join, is not followed; a key is one by any name."""
    real, home = path.resolve(), root.resolve()
    if not real.is_relative_to(home) or not _may_join(real.relative_to(home).as_posix()):
        return False
    return not _is_key(real) and not any(_is_made(folder) for folder in real.parents if folder.is_relative_to(home))


def _is_key(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(80)
    return head.startswith(b"PuTTY-User-Key-File") or (head.startswith(b"-----BEGIN ") and b"PRIVATE KEY-----" in head)


def _is_made(folder: Path) -> bool:
    """An earlier bundle, or a virtual environment: with it every build would differ from the one before."""
    return (folder / "pyvenv.cfg").is_file() or all((folder / name).is_file() for name in (MANIFEST, "code.bin"))


def _refuse_unspeakable(names: Iterable[str]) -> None:
    for name in names:
        if any("\ud800" <= char <= "\udfff" for char in name):
            raise ProgramError(f"`include` finds {name!r}, whose name is not UTF-8", next_step="Rename the file.")

"""Files that come along in a bundle because jac.toml names them, and those that never do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path

from jacfn_runtime.errors import ProgramError

# A bundle travels in ConfigMaps, and a ConfigMap is no Secret. jac.toml may hold secrets as well.
_NEVER = (
    "jac.toml", "jac.*.toml", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "credentials*.json", "service-account*.json",
)  # fmt: skip
_FOLDERS = ("__pycache__", "node_modules", "venv")


def included(root: Path, patterns: Iterable[str], notice: Callable[[str], None]) -> tuple[str, ...]:
    """Paths relative to `root` that the patterns name: files, folders with all that is in them, or globs.

    Whatever looks like a secret or begins with a dot is left out, and `notice` hears of it if a pattern names it outright. Raises
    ProgramError for a pattern that leaves the program's folder or matches nothing.
    """
    found: set[str] = set()
    for pattern in patterns:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ProgramError(
                f"`include` names {pattern}, which is outside the program's folder",
                next_step="Move it beside the entry file, or below.",
            )
        matches = [path for match in sorted(root.glob(pattern)) for path in _files(match)]
        if not matches:
            raise ProgramError(f"`include` names {pattern}, and there is no such file in {root}")
        names = [path.relative_to(root).as_posix() for path in matches]
        allowed = [name for name, path in zip(names, matches, strict=True) if _may_join(name) and _stays(root, path)]
        if not allowed:
            notice(f"`include` names {pattern}: left out, because it could hold a secret")
        found.update(allowed)
    return tuple(sorted(found))


def _files(path: Path) -> Iterable[Path]:
    return [child for child in path.rglob("*") if child.is_file()] if path.is_dir() else [path]


def _may_join(name: str) -> bool:
    *folders, file = name.lower().split("/")
    hidden = any(part.startswith(".") for part in (*folders, file))
    return not hidden and not any(fnmatch(file, pattern) for pattern in _NEVER) and not set(folders) & set(_FOLDERS)


def _stays(root: Path, path: Path) -> bool:
    """A link that leads out of the program's folder is not followed."""
    return path.resolve().is_relative_to(root.resolve())

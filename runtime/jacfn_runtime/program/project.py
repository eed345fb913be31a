"""What jac.toml says about a bundle: the program's Python dependencies and the files that come along."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jacfn_runtime.errors import ProgramError


@dataclass(frozen=True, slots=True)
class Project:
    """`[dependencies]` as PEP 508 requirements, and `[plugins.scale.knative] include` as patterns relative to the entry file."""

    dependencies: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


def read_project(entry: Path) -> Project:
    """The project of an entry file: the jac.toml beside it or in the nearest folder above. Raises ProgramError if malformed."""
    path = next((found for folder in entry.absolute().parents if (found := folder / "jac.toml").is_file()), None)
    if path is None:
        return Project()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProgramError(f"{path} cannot be read", evidence=str(error)) from error
    dependencies = data.get("dependencies", {})
    include = _table(data, "plugins", "scale", "knative").get("include", [])
    if not isinstance(dependencies, dict):
        raise ProgramError(f"[dependencies] in {path} is not a table")
    if not isinstance(include, list) or not all(isinstance(item, str) for item in include):
        raise ProgramError(f"[plugins.scale.knative] include in {path} is not a list of patterns")
    return Project(_checked(_requirements(dependencies), path), tuple(include))


def _checked(requirements: tuple[str, ...], path: Path) -> tuple[str, ...]:
    if requirements:
        from packaging.requirements import InvalidRequirement, Requirement
    for text in requirements:
        try:
            Requirement(text)
        except InvalidRequirement as error:
            raise ProgramError(
                f"[dependencies] in {path} asks for `{text}`, which is no Python requirement",
                evidence=str(error),
                next_step='Write the version as "2.31", ">=2.31,<3" or "*".',
            ) from error
    return requirements


def _table(data: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        found = data.get(name)
        data = found if isinstance(found, dict) else {}
    return data


def _requirements(dependencies: dict[str, Any]) -> tuple[str, ...]:
    """jaclang's table: name = version; tables in it (`npm`, ...) are other kinds of dependency, `git` are Python ones."""
    found = [_requirement(name, version) for name, version in dependencies.items() if isinstance(version, str)]
    git = dependencies.get("git", {})
    for name, source in git.items() if isinstance(git, dict) else ():
        if isinstance(source, dict) and "git" in source:
            revision = source.get("branch") or source.get("tag") or source.get("rev")
            found.append(f"{name} @ git+{source['git']}{f'@{revision}' if revision else ''}")
    return tuple(sorted(found))


def _requirement(name: str, version: str) -> str:
    version = version.strip()
    if version in ("", "*", "latest"):
        return name
    if version[0] in "<>=!~":
        return f"{name}{version}"
    return f"{name}=={version}"

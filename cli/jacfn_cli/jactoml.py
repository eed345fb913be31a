"""jac.toml as a person wrote it: found, layered by profile, with `${VAR}` expanded. Every leaf knows the file it came from.

The layers are those of jaclang itself: jac.toml, jac.<profile>.toml, [environments.<profile>], jac.local.toml; later ones win.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jacfn_runtime.errors import SettingsError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of the file. `missing` names the environment variables that it asks for and that are not set."""

    value: object
    origin: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JacToml:
    """All leaves by dotted key (`plugins.scale.kubernetes.app_name`), those of later layers last; `folder` is None where there is
    no jac.toml."""

    folder: Path | None = None
    profile: str = ""
    leaves: Mapping[str, Leaf] = field(default_factory=dict)


def read_jactoml(start: Path, profile: str, env: Mapping[str, str]) -> JacToml:
    """The jac.toml of the folder `start` or of the nearest folder above it that has one.

    `profile` is the command line's; "" means JAC_PROFILE, else `[environment] default_profile`.
    Raises SettingsError for a file that is no TOML and for a profile that exists nowhere.
    """
    folder = next((folder for folder in (start, *start.parents) if (folder / "jac.toml").is_file()), None)
    if folder is None:
        if profile:
            raise SettingsError(f"There is no profile `{profile}`: no jac.toml in {start} or above it")
        return JacToml()
    base = _parse(folder / "jac.toml")
    profile = profile or env.get("JAC_PROFILE", "") or str(_table(base, "environment").get("default_profile", ""))
    leaves: dict[str, Leaf] = {}
    for origin, table in _layers(folder, base, profile):
        for key, value in _flatten(table):
            leaves.pop(key, None)  # so that they are in the order of the layers, too
            leaves[key] = _leaf(value, origin, env)
    return JacToml(folder, profile, leaves)


def _layers(folder: Path, base: dict[str, Any], profile: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "jac.toml", base
    if profile:
        file = folder / f"jac.{profile}.toml"
        environments = _table(base, "environments")
        if profile not in environments and not file.is_file():
            near = get_close_matches(profile, environments, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Add [environments.{profile}] to jac.toml, or a file {file.name}."
            raise SettingsError(f"There is no profile `{profile}`", evidence=f"looked in {folder}", next_step=hint)
        if file.is_file():
            yield file.name, _parse(file)
        yield from _inherited(environments, profile, ())
    local = folder / "jac.local.toml"
    if local.is_file():
        yield local.name, _parse(local)


def _inherited(environments: dict[str, Any], name: str, seen: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    if name in seen:
        raise SettingsError(f"jac.toml: profiles inherit from each other in a circle: {' -> '.join((*seen, name))}")
    table = _table(environments, name)
    if parent := table.get("inherits"):
        if parent not in environments:
            raise SettingsError(f"jac.toml: [environments.{name}] inherits from `{parent}`, which does not exist")
        yield from _inherited(environments, str(parent), (*seen, name))
    yield f"jac.toml [environments.{name}]", table


def _parse(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8")
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML", evidence=_excerpt(text, str(error))) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read", evidence=str(error)) from error


def _excerpt(text: str, message: str) -> str:
    """The parser's message with the line it speaks of and a caret below the column."""
    place = re.search(r"line (\d+), column (\d+)", message)
    lines = text.splitlines()
    if not place or int(place[1]) > len(lines):
        return message
    return f"{message}\n  {lines[int(place[1]) - 1]}\n  {' ' * (int(place[2]) - 1)}^"


def _table(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key, {})
    return value if isinstance(value, dict) else {}


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _leaf(value: object, origin: str, env: Mapping[str, str]) -> Leaf:
    if not isinstance(value, str):
        return Leaf(value, origin)
    missing: list[str] = []

    def expand(match: re.Match[str]) -> str:
        name, operator, operand = match.groups()
        if name in env:
            return env[name]
        if operator == "-":
            return operand or ""
        missing.append(f"{name} ({operand})" if operand else name)
        return ""

    expanded = VARIABLE.sub(expand, value)
    return Leaf("" if missing else expanded, origin, tuple(missing))

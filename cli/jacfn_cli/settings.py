"""What may be set, and what is set: command line > environment > jac.toml with its profile > default, each value with its origin.

What may be set is listed in sections.py. A key that is misspelt or of the wrong type stops the command: a deploy that goes to
another namespace than its author wrote is worse than none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from jacfn_cli.jactoml import JacToml, Leaf, read_jactoml
from jacfn_cli.sections import (
    FREE,
    SECTIONS,
    SHARED,
    TABLES,
    Database,
    Function,
    Jwt,
    Knative,
    Kubernetes,
    Project,
    Section,
    Serve,
    Server,
    Sso,
    SsoProvider,
    description,
    extra,
    fields,
)
from jacfn_runtime.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a command is told, with where each value comes from. Secrets never show in its repr."""

    folder: Path
    """The project's folder: that of jac.toml, else that of the entry file. Relative paths in settings start here."""
    profile: str
    project: Project
    serve: Serve
    jwt: Jwt = field(repr=False)
    sso: Sso
    database: Database = field(repr=False)
    kubernetes: Kubernetes = field(repr=False)
    server: Server
    knative: Knative
    sso_providers: Mapping[str, SsoProvider] = field(repr=False)
    functions: Mapping[str, Function]
    env: Mapping[str, str]
    """[plugins.scale.env]: more environment for every process of the program."""
    secret_env: Mapping[str, str] = field(repr=False)
    """[plugins.scale.secrets]: the same, kept in a Secret."""
    origins: Mapping[str, str]
    """Dotted key -> `--port`, `environment variable APP_NAME`, `jac.toml`, ...; a key that is not in it has its default."""
    missing: Mapping[str, tuple[str, ...]]
    """Dotted key -> variables that jac.toml asks for there and that are not set."""
    warnings: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    """All values that must never be shown."""

    def origin(self, key: str) -> str:
        """Where a value comes from, in words."""
        return self.origins.get(key, "default")

    def need(self, *sections: str, without: tuple[str, ...] = ()) -> None:
        """Raise SettingsError naming a variable that one of these sections or keys asks for and that is not set."""
        for key, variables in self.missing.items():
            if key not in without and any(key.startswith(f"{section}.") or key == section for section in sections):
                table, _, name = key.rpartition(".")
                raise SettingsError(
                    f"The environment variable {variables[0]} is not set",
                    evidence=f"{self.origin(key)}: [{table}] {name} asks for it",
                    next_step=f"Set it, or write ${{{variables[0].split()[0]}:-}} for an empty default.",
                )

    @property
    def project_name(self) -> str:
        """`[project] name`, else the folder's name: what the laptop calls the app."""
        return self.project.name or self.folder.name

    @property
    def owner(self) -> str:
        """What a deployed app records as its project. A bare folder name is not enough: `app` is everybody's folder."""
        where = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:6]
        return self.project.name or f"{self.folder.name} (unnamed, folder {where})"

    @property
    def port(self) -> int:
        """Where `jac start` listens: --port, [serve], [plugins.scale.server], 8000."""
        return self.serve.port or self.server.port or 8000


def read_settings(start: Path, env: Mapping[str, str], profile: str = "", flags: Mapping[str, object] | None = None) -> Settings:
    """Settings for a program in the folder `start`. `flags` maps dotted keys to values of the command line.

    Raises SettingsError with the key, its origin and what was expected there.
    """
    toml = read_jactoml(start, profile, env)
    leaves, warnings = _ours(toml)
    values, origins, missing, secrets = {}, {}, {}, []
    for key, kind in _keys(leaves, env):
        source = _lookup(key, kind, flags or {}, env, leaves)
        if source is None:
            continue
        origins[key] = source.origin
        if source.missing:
            missing[key] = source.missing
            continue
        secret = extra(kind, "secret") is not None
        values[key] = _checked(key, source, kind, secret)
        if secret and values[key]:
            secrets.append(str(values[key]))
    sections = {name.rpartition(".")[2]: _build(section, name, values) for name, section in SECTIONS.items()}
    return Settings(
        folder=toml.folder or start,
        profile=toml.profile,
        **sections,  # type: ignore[arg-type]
        sso_providers=_build_table("plugins.scale.sso", values, origins),
        functions=_build_table("plugins.scale.functions", values, origins),
        env=_free("plugins.scale.env", values),
        secret_env=_free("plugins.scale.secrets", values),
        origins=origins,
        missing=missing,
        warnings=tuple(warnings),
        secrets=tuple(secrets),
    )


def _tables(prefix: str, keys: Iterator[str] | Mapping[str, object]) -> set[str]:
    """The names of a table section's tables: `google` of `plugins.scale.sso.google.client_id`."""
    depth = prefix.count(".") + 1
    return {".".join(key.split(".")[depth:-1]) for key in keys if key.startswith(f"{prefix}.")} - {""}


def _keys(leaves: Mapping[str, Leaf], env: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for prefix, section in SECTIONS.items():
        for name, kind in fields(section).items():
            yield f"{prefix}.{name}", kind
    for prefix, section in TABLES.items():
        names = _tables(prefix, leaves)
        if section is SsoProvider:
            names |= {v[4:-10].lower() for v in env if v.startswith("SSO_") and v.endswith("_CLIENT_ID") and env[v]}
        for table in sorted(names):
            for name, kind in fields(section).items():
                yield f"{prefix}.{table}.{name}", kind
    for key in leaves:
        if key.rpartition(".")[0] in FREE:
            yield key, FREE[key.rpartition(".")[0]]


def _lookup(key: str, kind: Any, flags: Mapping[str, object], env: Mapping[str, str], leaves: Mapping[str, Leaf]) -> Leaf | None:
    if flags.get(key) is not None:
        return Leaf(flags[key], f"--{key.rpartition('.')[2].replace('_', '-')}")
    for pattern in extra(kind, "env") or ():
        variable = pattern.format(name=key.split(".")[-2].upper())
        if env.get(variable):
            return Leaf(env[variable], f"environment variable {variable}")
    return leaves.get(key)


def _checked(key: str, source: Leaf, kind: Any, secret: bool) -> object:
    """The value as its type. Text of the environment, and text that `${VAR}` may have made, counts as what it spells."""
    try:
        return msgspec.convert(source.value, kind, strict=not isinstance(source.value, str))
    except msgspec.ValidationError as error:
        shown = "(hidden)" if secret else repr(source.value)
        table, _, name = key.rpartition(".")
        raise SettingsError(
            f"{name} = {shown} cannot be",
            evidence=f"{source.origin}, key [{table}] {name}: {error}",
            next_step=f"Use {description(kind)}." if description(kind) else "",
        ) from error


def _build(section: type[Section], prefix: str, values: Mapping[str, object]) -> Section:
    return msgspec.convert({name: values[k] for name in fields(section) if (k := f"{prefix}.{name}") in values}, section)


def _build_table(prefix: str, values: Mapping[str, object], origins: Mapping[str, str]) -> dict[str, Any]:
    return {name: _build(TABLES[prefix], f"{prefix}.{name}", values) for name in sorted(_tables(prefix, origins))}


def _free(prefix: str, values: Mapping[str, object]) -> dict[str, str]:
    return {key[len(prefix) + 1 :]: str(value) for key, value in values.items() if key.startswith(f"{prefix}.")}


def _ours(toml: JacToml) -> tuple[dict[str, Leaf], list[str]]:
    """The leaves of our sections, with the document's `K8s_...` spellings lifted out of whatever table they were pasted into."""
    variables = {
        variable: f"{prefix}.{name}"
        for prefix, section in SECTIONS.items()
        for name, kind in fields(section).items()
        for variable in extra(kind, "env") or ()
    }
    leaves: dict[str, Leaf] = {}
    warnings: list[str] = []
    for key, leaf in toml.leaves.items():
        table, _, name = key.rpartition(".")
        if name in variables and (not table or table in SECTIONS):
            leaves[variables[name]] = leaf  # in the order of the layers: a profile's wins over jac.toml's in either spelling
            continue
        known = _known(table)
        if table in FREE or (known and name in known):
            leaves[key] = leaf
        elif known and table not in SHARED and (near := get_close_matches(name, known, n=1, cutoff=0.75)):
            raise SettingsError(f"[{table}] has no key `{name}`", evidence=leaf.origin, next_step=f"Did you mean `{near[0]}`?")
        elif meant := _misspelt(table):
            raise SettingsError(f"There is no section [{table}]", evidence=leaf.origin, next_step=f"Did you mean [{meant}]?")
        elif key.startswith("plugins.scale."):
            warnings.append(f"{leaf.origin}: [{table}] {name} is not a setting of jacfn and has no effect")
    return leaves, warnings


def _known(table: str) -> dict[str, Any] | None:
    if table in SECTIONS:
        return fields(SECTIONS[table])
    parent = next((prefix for prefix in TABLES if table.startswith(f"{prefix}.")), None)
    return fields(TABLES[parent]) if parent else None


def _misspelt(table: str) -> str:
    """The section that was meant by `plugins.scale.kubernets`, `plugin.scale.jwt` or `plugins.scale.function.w`, or ""."""
    parts = table.split(".")
    if len(parts) < 3 or not get_close_matches(".".join(parts[:2]), ["plugins.scale"], cutoff=0.85):
        return ""
    ours = [name.rpartition(".")[2] for name in (*SECTIONS, *TABLES, *FREE) if name not in SHARED]
    near = get_close_matches(parts[2], ours, n=1, cutoff=0.75)
    meant = ".".join(["plugins", "scale", *near, *parts[3:]])
    return meant if near and meant != table else ""

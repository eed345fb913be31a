"""The environment contract of a function service, read once at start. Pure: `Settings.read` takes a mapping and touches nothing.

Knative's container contract gives PORT; names of the jac-scale document (MONGODB_URI, JWT_SECRET, ...) keep their spelling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import msgspec

from jacfn_runtime.errors import SettingsError

LoaderChoice = Literal["auto", "slim", "full"]
Isolation = Literal["serializable", "snapshot"]

BODY_LIMIT = 1024 * 1024  # bytes; arguments of one call, not uploads, and checking a body of this size takes 10 ms at most
GRACE_SECONDS = 25  # to finish what runs after SIGTERM; below the 30 s of terminationGracePeriodSeconds, where SIGKILL comes
MINIMUM_SECRET_BYTES = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as its hash
SECRETS = ("mongodb_uri", "redis_url", "jwt_secret")


class SsoClient(msgspec.Struct, frozen=True):
    """The credentials of this app at one OpenID provider."""

    client_id: str
    client_secret: str
    issuer: str = ""  # of an OpenID provider that this jacfn does not know by name

    def __repr__(self) -> str:
        return f"SsoClient({self.client_id!r}, issuer={self.issuer!r})"


class Settings(msgspec.Struct, frozen=True):  # a dataclass would take 5 ms of a start to be made
    """Everything a process under `python -m jacfn_runtime` is told from outside. Secrets never show in its repr."""

    bundle: Path
    serve: tuple[str, ...] = ("all",)
    app: str = "jaseci"
    host: str = "0.0.0.0"  # noqa: S104  Knative's contract: all interfaces; `jac start` passes 127.0.0.1
    port: int = 8080
    loader: LoaderChoice = "auto"
    routes: Mapping[str, str] = msgspec.field(default_factory=dict)
    isolation: Mapping[str, Isolation] = msgspec.field(default_factory=dict)
    run_main: bool = False
    body_limit: int = BODY_LIMIT
    grace_seconds: int = GRACE_SECONDS
    mongodb_uri: str = ""
    redis_url: str = ""
    shelf_db_path: Path = Path(".jac/data/anchor_store.db")
    on_unavailable: Literal["fail", "embedded"] = "fail"
    jwt_secret: str = ""
    jwt_algorithm: str = "HS256"
    jwt_days: float = 7
    sso_host: str = ""
    sso: Mapping[str, SsoClient] = msgspec.field(default_factory=dict)
    sso_redirects: tuple[str, ...] = ()  # where a browser may be sent after single sign-on, letter for letter

    def __repr__(self) -> str:
        shown = (name for name in self.__struct_fields__ if name not in SECRETS)
        return f"Settings({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    @property
    def is_gateway(self) -> bool:
        """Whether this process forwards to function services."""
        return self.serve == ("gateway",)

    @property
    def serves_identity(self) -> bool:
        """Whether /register, /login and single sign-on live in this process."""
        return self.serve in (("gateway",), ("all",))

    @property
    def embedded(self) -> bool:
        """Whether the graph lives in a local file."""
        return not self.mongodb_uri

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """Settings from environment variables (see ARCHITECTURE 3.1). Raises SettingsError that names the variable."""
        bundle = env.get("JACFN_BUNDLE", "")
        if not bundle:
            raise SettingsError(
                "JACFN_BUNDLE is not set", next_step="Set it to a folder that `jacfn bundle main.jac -o DIR` made."
            )
        return cls(
            bundle=Path(bundle),
            serve=_serve(env.get("JACFN_SERVE") or "all"),
            app=env.get("JACFN_APP") or "jaseci",
            host=env.get("JACFN_HOST") or "0.0.0.0",  # noqa: S104
            port=_number(env, "PORT", 8080, 0, 65535),
            loader=cast(LoaderChoice, _choice(env, "JACFN_LOADER", ("auto", "slim", "full"))),
            routes=_routes(env.get("JACFN_ROUTES", "")),
            isolation=_isolation(env),
            run_main=_choice(env, "JACFN_MAIN", ("0", "1")) == "1",
            body_limit=_number(env, "JACFN_BODY_LIMIT", BODY_LIMIT, 1, 256 * 1024 * 1024),
            grace_seconds=_number(env, "JACFN_GRACE_SECONDS", GRACE_SECONDS, 1, 3600),
            mongodb_uri=env.get("MONGODB_URI", ""),
            redis_url=env.get("REDIS_URL", ""),
            shelf_db_path=Path(env.get("SHELF_DB_PATH") or ".jac/data/anchor_store.db"),
            on_unavailable=cast(Literal["fail", "embedded"], _choice(env, "JACFN_ON_UNAVAILABLE", ("fail", "embedded"))),
            jwt_secret=_secret(env.get("JWT_SECRET", "")),
            jwt_algorithm=_choice(env, "JWT_ALGORITHM", ("HS256", "HS384", "HS512")),
            jwt_days=_days(env.get("JWT_EXP_DELTA_DAYS") or "7"),
            sso_host=env.get("SSO_HOST", ""),
            sso=_sso(env),
            sso_redirects=tuple(part.strip() for part in env.get("SSO_REDIRECTS", "").split(",") if part.strip()),
        )


def _serve(value: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    alone = {"all", "gateway"} & set(parts)
    named = all(part.partition("/")[0] in ("walker", "function") and part.partition("/")[2] for part in parts)
    if parts and ((alone and len(parts) == 1) or (not alone and named)):
        return parts
    raise SettingsError(
        f"JACFN_SERVE={value!r} names nothing that can be served",
        next_step="Use `all`, `gateway`, or a comma list of `walker/<name>` and `function/<name>`.",
    )


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = env.get(name) or str(default)
    if value.isascii() and value.isdigit() and low <= int(value) <= high:
        return int(value)
    raise SettingsError(f"{name}={value!r} is not a whole number from {low} to {high}")


def _choice(env: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    value = env.get(name) or allowed[0]
    if value in allowed:
        return value
    raise SettingsError(f"{name}={value!r} is not one of {', '.join(allowed)}")


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = 0.0
    if 0 < days <= 3650:  # ten years: more is a slip of the finger
        return days
    raise SettingsError(f"JWT_EXP_DELTA_DAYS={value!r} is not a number of days above 0 and up to 3650")


def _secret(value: str) -> str:
    if value and len(value.encode()) < MINIMUM_SECRET_BYTES:
        raise SettingsError(
            f"JWT_SECRET is {len(value.encode())} bytes long; tokens signed with it could be forged",
            next_step=f"Use at least {MINIMUM_SECRET_BYTES} random bytes, e.g. from `openssl rand -hex 32`.",
        )
    return value


def _mapping(env: Mapping[str, str], name: str) -> dict[str, str]:
    value = env.get(name, "")
    if not value:
        return {}
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise SettingsError(f"{name} is not JSON", evidence=str(error)) from error
    if not isinstance(parsed, dict) or not all(isinstance(item, str) for item in parsed.values()):
        raise SettingsError(f"{name} is not a JSON object of strings")
    return parsed


def _isolation(env: Mapping[str, str]) -> dict[str, Isolation]:
    """Refuses what is not spelled right: it would be taken for the weaker one."""
    chosen = _mapping(env, "JACFN_ISOLATION")
    if wrong := sorted(set(chosen.values()) - {"serializable", "snapshot"}):
        raise SettingsError(f"JACFN_ISOLATION has {', '.join(wrong)}, which is neither serializable nor snapshot")
    return cast(dict[str, Isolation], chosen)


def _routes(value: str) -> dict[str, str]:
    if value and not value.lstrip().startswith("{"):
        try:
            value = Path(value).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError("JACFN_ROUTES names a file that cannot be read", evidence=str(error)) from error
    return _mapping({"JACFN_ROUTES": value}, "JACFN_ROUTES")


def _sso(env: Mapping[str, str]) -> dict[str, SsoClient]:
    clients = {}
    for name, client_id in env.items():
        if name.startswith("SSO_") and name.endswith("_CLIENT_ID") and client_id:
            platform = name[len("SSO_") : -len("_CLIENT_ID")]
            secret, issuer = env.get(f"SSO_{platform}_CLIENT_SECRET", ""), env.get(f"SSO_{platform}_ISSUER", "")
            clients[platform.lower()] = SsoClient(client_id, secret, issuer)
    return clients

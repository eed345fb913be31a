"""The settings that exist: one struct per table of jac.toml, a field per key with its type, default and environment variables.

Section and variable names that the jac-scale document gives keep its spelling and its defaults. Pure declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta


def Env(*names: str) -> Meta:  # noqa: N802  reads as an annotation
    """The environment variables that set a field; the first that is set and not empty wins."""
    return Meta(extra={"env": names})


SECRET = Meta(extra={"secret": True})
"""Marks a field whose value is never shown."""


def _text(pattern: str, what: str, limit: int = 63) -> Meta:
    return Meta(pattern=pattern, max_length=limit, description=what)


Name = Annotated[str, _text(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "lower-case letters, digits and `-`, at most 63 of them")]
Port = Annotated[int, Meta(ge=1, le=65535, description="a port, 1 to 65535")]
NodePort = Annotated[int, Meta(ge=1, le=65535, description="a port of the cluster's node port range, by default 30000 to 32767")]
Seconds = Annotated[int, Meta(ge=0, le=3600, description="whole seconds, 0 to 3600")]
Period = Annotated[int, Meta(ge=1, le=3600, description="whole seconds, 1 to 3600")]
Count = Annotated[int, Meta(ge=0, le=1000, description="a whole number, 0 to 1000")]
Replicas = Annotated[int, Meta(ge=1, le=1000, description="a whole number, 1 to 1000")]
Cpu = Annotated[str, _text(r"^[0-9]+(\.[0-9]+)?m?$", 'an amount of CPU such as "500m" or "2"')]
Memory = Annotated[str, _text(r"^[0-9]+(\.[0-9]+)?([KMGTPE]i?|k|m)?$", 'an amount of bytes such as "512Mi" or "1Gi"')]
Duration = (
    Annotated[str, _text(r"^[0-9]+(\.[0-9]+)?[smh]?$", "seconds, or a duration such as 30s or 5m")] | Annotated[int, Meta(ge=0)]
)
DayWindow = Annotated[
    str,
    _text(
        r"^([01]?[0-9]|2[0-3]):[0-5][0-9]-(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)( [A-Za-z][A-Za-z0-9_+/-]*)?$",
        "hours such as 08:00-18:00 or 08:00-18:00 Europe/Berlin",
    ),
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of jac.toml. Secrets never show in its repr."""

    def __repr__(self) -> str:
        hidden = {name for name, kind in fields(type(self)).items() if extra(kind, "secret")}
        shown = ", ".join(f"{k}={'(hidden)' if k in hidden and v else repr(v)}" for k, v in msgspec.to_builtins(self).items())
        return f"{type(self).__name__}({shown})"


class Project(Section, frozen=True):
    """[project], shared with jaclang."""

    name: str = ""
    version: str = ""
    entry_point: str = msgspec.field(default="", name="entry-point")


class Serve(Section, frozen=True):
    """[serve], shared with jaclang: the defaults of `jac start`."""

    port: Port | None = None
    session: str = ""
    main: bool = True
    cl_route_prefix: str = "cl"


class Jwt(Section, frozen=True):
    """[plugins.scale.jwt]"""

    secret: Annotated[str, Env("JWT_SECRET"), SECRET] = ""
    algorithm: Annotated[Literal["HS256", "HS384", "HS512"], Env("JWT_ALGORITHM")] = "HS256"
    exp_delta_days: Annotated[float, Meta(gt=0, le=3650), Env("JWT_EXP_DELTA_DAYS")] = 7


class SsoProvider(Section, frozen=True):
    """[plugins.scale.sso.google] and its like."""

    client_id: Annotated[str, Env("SSO_{name}_CLIENT_ID")] = ""
    client_secret: Annotated[str, Env("SSO_{name}_CLIENT_SECRET"), SECRET] = ""
    issuer: Annotated[str, Env("SSO_{name}_ISSUER")] = ""


class Sso(Section, frozen=True):
    """[plugins.scale.sso]; its tables are in `Settings.sso_providers`."""

    host: Annotated[str, Env("SSO_HOST")] = ""
    redirects: Annotated[str, Env("SSO_REDIRECTS")] = ""


class Database(Section, frozen=True):
    """[plugins.scale.database]"""

    mongodb_uri: Annotated[str, Env("MONGODB_URI"), SECRET] = ""
    redis_url: Annotated[str, Env("REDIS_URL"), SECRET] = ""
    shelf_db_path: Annotated[str, Env("SHELF_DB_PATH")] = ".jac/data/anchor_store.db"
    on_unavailable: Annotated[Literal["fail", "embedded"], Env("JACFN_ON_UNAVAILABLE")] = "fail"


class Kubernetes(Section, frozen=True):
    """[plugins.scale.kubernetes]"""

    app_name: Annotated[Name, Env("APP_NAME")] = "jaseci"
    namespace: Annotated[Name, Env("K8s_NAMESPACE")] = "default"
    container_port: Port = 8000
    node_port: Annotated[NodePort, Env("K8s_NODE_PORT")] = 30001
    mongodb_enabled: Annotated[bool, Env("K8s_MONGODB")] = True
    redis_enabled: Annotated[bool, Env("K8s_REDIS")] = True
    storage: Memory = "5Gi"
    storage_class: str = ""
    mongodb_image: str = "mongo:8"
    redis_image: str = "redis:7"
    cpu_request: Annotated[Cpu | None, Env("K8s_CPU_REQUEST")] = None
    cpu_limit: Annotated[Cpu | None, Env("K8s_CPU_LIMIT")] = None
    memory_request: Annotated[Memory | None, Env("K8s_MEMORY_REQUEST")] = None
    memory_limit: Annotated[Memory | None, Env("K8s_MEMORY_LIMIT")] = None
    docker_username: Annotated[str, Env("DOCKER_USERNAME")] = ""
    docker_password: Annotated[str, Env("DOCKER_PASSWORD"), SECRET] = ""
    healthcheck_path: Annotated[str, Meta(pattern="^/"), Env("K8s_HEALTHCHECK_PATH")] = "/docs"
    readiness_initial_delay: Annotated[Seconds, Env("K8s_READINESS_INITIAL_DELAY")] = 10
    readiness_period: Annotated[Period, Env("K8s_READINESS_PERIOD")] = 20
    liveness_initial_delay: Annotated[Seconds, Env("K8s_LIVENESS_INITIAL_DELAY")] = 10
    liveness_period: Annotated[Period, Env("K8s_LIVENESS_PERIOD")] = 20
    liveness_failure_threshold: Annotated[Replicas, Env("K8s_LIVENESS_FAILURE_THRESHOLD")] = 80
    min_replicas: Replicas = 1
    max_replicas: Replicas = 5
    cpu_utilization: Annotated[int, Meta(ge=1, le=100)] = 80


class Server(Section, frozen=True):
    """[plugins.scale.server]: where `jac start` listens. Loopback unless told otherwise."""

    port: Port | None = None
    host: str = "127.0.0.1"


class Scaling(Section, frozen=True):
    """What may be set for all functions in [plugins.scale.knative] and for one in [plugins.scale.functions.<name>]."""

    min_scale: Count | None = None
    max_scale: Count | None = None
    target: Annotated[float, Meta(ge=0.01, le=1000)] | None = None
    window: Duration | None = None
    timeout: Duration | None = None
    retention: Duration | None = None


class Knative(Scaling, frozen=True):
    """[plugins.scale.knative]"""

    window: Annotated[Duration | None, Env("JACFN_WINDOW")] = None
    runtime_image: Annotated[str, Env("JACFN_RUNTIME_IMAGE")] = ""
    gateway_min_scale: Count = 1
    include: tuple[str, ...] = ()
    registry: Annotated[str, Env("JACFN_REGISTRY")] = ""
    ingress_address: Annotated[str, Env("JACFN_INGRESS")] = ""


class Function(Scaling, frozen=True):
    """[plugins.scale.functions.<name>]; the name is the walker's or function's, or `"walker/<name>"` in quotes."""

    cpu: Cpu = ""
    memory: Memory = ""
    warm: DayWindow = ""
    group: str = ""
    isolation: Literal["serializable", "snapshot"] = "serializable"


SECTIONS: Mapping[str, type[Section]] = {
    "project": Project,
    "serve": Serve,
    "plugins.scale.jwt": Jwt,
    "plugins.scale.sso": Sso,
    "plugins.scale.database": Database,
    "plugins.scale.kubernetes": Kubernetes,
    "plugins.scale.server": Server,
    "plugins.scale.knative": Knative,
}
TABLES: Mapping[str, type[Section]] = {"plugins.scale.sso": SsoProvider, "plugins.scale.functions": Function}
"""Sections that hold one table per name."""
FREE: Mapping[str, Any] = {"plugins.scale.env": str, "plugins.scale.secrets": Annotated[str, SECRET]}
"""Sections of any names: environment variables for the program, and the type of their values."""
SHARED = ("project", "serve")
"""Sections in which jaclang has keys of its own, which are none of our business."""


def fields(section: type[Section]) -> dict[str, Any]:
    """A section's keys as jac.toml spells them, with their types."""
    return {info.encode_name: info.type for info in msgspec.structs.fields(section)}


def extra(kind: Any, name: str) -> Any:
    """What a type's annotations say under this name (`env`, `secret`); None where they say nothing."""
    metas = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((meta.extra[name] for meta in metas if isinstance(meta, Meta) and meta.extra and name in meta.extra), None)


def seconds(duration: str | int) -> float:
    """A `Duration` as a number of seconds."""
    text = str(duration)
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1])
    return float(text[:-1]) * unit if unit else float(text)


def description(kind: Any) -> str:
    """What a value of this type looks like, in words; "" where msgspec's own message says it."""
    own = (meta.description for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta))
    nested = (description(inner) for inner in get_args(kind) if not isinstance(inner, Meta))
    return next((text for text in (*own, *nested) if text), "")

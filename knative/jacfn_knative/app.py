"""The frozen description of one app: everything that names, manifests and the deploy are made from. Pure: nothing here does I/O.

The command line fills it from settings, catalog and bundle. An `App` that exists can be deployed as far as that can be known
without a cluster: each class checks its own fields and raises InvalidApp with the name of the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jacfn_knative import quantity
from jacfn_knative.errors import InvalidApp
from jacfn_knative.names import check_app_name, check_namespace

Isolation = Literal["serializable", "snapshot"]

# Ports that Knative's queue-proxy uses in every pod (knative/serving pkg/networking/constants.go).
RESERVED_PORTS = (8008, 8012, 8013, 8022, 8112, 9090, 9091)
# The container contract and our own: set by the manifests, so a program may not set them.
RESERVED_ENV = (
    "PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "MONGODB_URI", "REDIS_URL", "JWT_SECRET",
    "JWT_ALGORITHM", "JWT_EXP_DELTA_DAYS",
    "JACFN_SERVE", "JACFN_BUNDLE", "JACFN_APP", "JACFN_HOST", "JACFN_ROUTES", "JACFN_ISOLATION", "JACFN_MAIN",
)  # fmt: skip
MOST_PODS = 10
"""Of one service, where nothing is said: unbounded consumption is nobody's wish."""
BUNDLE_FOLDER = "/bundle"
"""Where a bundle that travels in ConfigMaps is mounted."""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOPBACK = re.compile(r"[a-z+]+://([^/@]*@)?(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:,/?]|$)", re.IGNORECASE)
_ENDPOINT_ID = re.compile(r"(walker|function)/[^\W\d]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """How one function service scales: `[plugins.scale.functions.<name>]` over `[plugins.scale.knative]`."""

    min_scale: int = 0
    max_scale: int | None = None
    """Pods at most; 0 is no limit, None is `MOST_PODS`, or `min_scale` where that is more."""
    target: float = 80
    """Requests at once in one pod before another one starts."""
    window: int | None = None
    """Seconds over which the autoscaler averages, 6 to 3600; None is the cluster's own (60)."""
    timeout: int = 300
    """Seconds that one request may take, 1 to 600 (Knative's default limit)."""
    retention: int = 0
    """Seconds that the last pod stays after the window has passed, 0 to 3600."""
    cpu: str = ""
    """CPU request like `250m`; "" is the app's."""
    memory: str = ""
    """Memory request like `128Mi`; "" is the app's."""
    warm: str = ""
    """`08:00-18:00`, or with a time zone `08:00-18:00 Europe/Berlin`: kept awake in that time of each day."""
    group: str = ""
    """Endpoints of one group share one service; "" is a service of its own."""
    isolation: Isolation = "serializable"

    def __post_init__(self) -> None:
        _within("min_scale", self.min_scale, 0, 1000)
        _within("max_scale", self.most, 0, 10_000)
        if self.most and self.most < self.min_scale:
            raise InvalidApp(f"max_scale = {self.max_scale} is below min_scale = {self.min_scale}")
        if not 0.01 <= self.target <= 100_000:
            raise InvalidApp(f"target = {self.target} is not between 0.01 and 100000")
        if self.window is not None:
            _within("window", self.window, 6, 3600)
        _within("timeout", self.timeout, 1, 600)
        _within("retention", self.retention, 0, 3600)
        _quantity("cpu", self.cpu)
        _quantity("memory", self.memory)
        if self.isolation not in ("serializable", "snapshot"):
            raise InvalidApp(f"isolation = {self.isolation!r} is neither serializable nor snapshot")

    @property
    def most(self) -> int:
        """Pods at most; 0 is no limit."""
        return max(MOST_PODS, self.min_scale) if self.max_scale is None else self.max_scale


@dataclass(frozen=True, slots=True, kw_only=True)
class AppEndpoint:
    """One endpoint of the catalog, as far as the cluster is concerned."""

    id: str
    """`walker/create_item`, `function/calculate_total`."""
    public: bool = False
    knobs: Knobs = field(default_factory=Knobs)

    def __post_init__(self) -> None:
        if not _ENDPOINT_ID.fullmatch(self.id):
            raise InvalidApp(f"{self.id!r} is no endpoint: it is not `walker/<name>` or `function/<name>`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The program's artefact: its content hash, and its files if they travel in ConfigMaps."""

    hash: str
    """Hexadecimal content hash, at least 12 digits."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Path within the bundle -> content. Empty: the image has the bundle."""
    folder: str = BUNDLE_FOLDER
    """Where the process finds it in the container."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{12,128}", self.hash):
            raise InvalidApp(f"{self.hash!r} is no bundle hash")
        if not self.folder.startswith("/"):
            raise InvalidApp(f"the bundle's folder {self.folder!r} is no absolute path")
        for path in self.files:
            if path.startswith("/") or not all(part not in ("", ".", "..") for part in path.split("/")):
                raise InvalidApp(f"{path!r} is no path within a bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCredentials:
    """What a registry asks for when nodes pull the image. Becomes a Secret of type dockerconfigjson."""

    registry: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The container image of all processes of the app, and how nodes may pull it."""

    reference: str
    """By digest where possible: `registry/name@sha256:...`."""
    credentials: PullCredentials | None = None
    """Makes the Secret `<app>-pull`."""

    def __post_init__(self) -> None:
        if not self.reference or self.reference != self.reference.strip() or " " in self.reference:
            raise InvalidApp(f"{self.reference!r} is no image reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataServices:
    """Where the graph lives. A URI that is given wins over provisioning."""

    mongodb: bool = True
    redis: bool = True
    mongodb_uri: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    storage: str = "5Gi"
    storage_class: str = ""
    """"" is the cluster's default."""
    mongodb_image: str = "mongo:8"
    redis_image: str = "redis:7"

    def __post_init__(self) -> None:
        _quantity("storage", self.storage)
        if not self.mongodb and not self.mongodb_uri:
            raise InvalidApp(
                "The app has no database: mongodb_enabled is false and no mongodb_uri is given",
                evidence="A pod's own disk is no store: it is gone with the pod, and no other pod sees it.",
                next_step="Set mongodb_enabled = true (K8s_MONGODB=True), or mongodb_uri in [plugins.scale.database].",
            )
        if self.mongodb_uri and not self.mongodb_uri.startswith(("mongodb://", "mongodb+srv://")):
            raise InvalidApp("mongodb_uri does not start with mongodb:// or mongodb+srv://")
        if self.redis_url and not self.redis_url.startswith(("redis://", "rediss://")):
            raise InvalidApp("redis_url does not start with redis:// or rediss://")
        for name, variable in (("mongodb_uri", "MONGODB_URI"), ("redis_url", "REDIS_URL")):
            if _LOOPBACK.match(getattr(self, name)):
                raise InvalidApp(
                    f"{name} leads to this machine: a pod that asks for localhost finds itself",
                    next_step=f"Unset {variable} (or {name} in [plugins.scale.database]) and the deploy provisions one, or give"
                    " an address that the cluster reaches.",
                )

    @property
    def provisions_mongodb(self) -> bool:
        """Whether the deploy makes a MongoDB."""
        return self.mongodb and not self.mongodb_uri

    @property
    def provisions_redis(self) -> bool:
        """Whether the deploy makes a Redis."""
        return self.redis and not self.redis_url

    @property
    def has_redis(self) -> bool:
        """Whether the app has a Redis at all."""
        return bool(self.redis or self.redis_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """K8s_CPU_REQUEST, K8s_CPU_LIMIT, K8s_MEMORY_REQUEST, K8s_MEMORY_LIMIT; "" is not set.

    A request that is not set gets a small one of ours (manifests/pods.py). A limit that is not set is none: a cold start is bound
    by CPU, and a limit of 100m makes 0.6 s into 6 s (facts/knative.md B.14).
    """

    cpu_request: str = ""
    cpu_limit: str = ""
    memory_request: str = ""
    memory_limit: str = ""

    def __post_init__(self) -> None:
        for name in ("cpu_request", "cpu_limit", "memory_request", "memory_limit"):
            _quantity(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """K8s_HEALTHCHECK_PATH and its neighbours: the fallback's probes. Seconds."""

    path: str = "/healthz/live"
    """Must not touch a store: a database that is away would take every pod out of the Service."""
    readiness_initial_delay: int = 10
    readiness_period: int = 20
    liveness_initial_delay: int = 10
    liveness_period: int = 20
    liveness_failure_threshold: int = 80

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise InvalidApp(f"K8s_HEALTHCHECK_PATH = {self.path!r} does not start with a slash")
        if self.path.startswith("/healthz/ready"):
            raise InvalidApp(
                "K8s_HEALTHCHECK_PATH = /healthz/ready asks the stores",
                next_step="Use /healthz/live or /docs: else no pod could even answer 503 while the database is away.",
            )
        for name in ("readiness_initial_delay", "liveness_initial_delay"):
            _within(name, getattr(self, name), 0, 3600)
        for name in ("readiness_period", "liveness_period", "liveness_failure_threshold"):
            _within(name, getattr(self, name), 1, 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """The fallback's HorizontalPodAutoscaler."""

    min_replicas: int = 1
    max_replicas: int = 5
    cpu_percent: int = 80

    def __post_init__(self) -> None:
        _within("min_replicas", self.min_replicas, 1, 1000)
        _within("max_replicas", self.max_replicas, self.min_replicas, 1000)
        _within("cpu_percent", self.cpu_percent, 1, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """`[plugins.scale.jwt]`. Without a secret of the user's the deploy makes a random one, once."""

    secret: str = field(default="", repr=False)
    algorithm: str = "HS256"
    days: float = 7

    def __post_init__(self) -> None:
        if self.secret and len(self.secret.encode()) < 32:  # RFC 7518 section 3.2: a key as long as the hash
            raise InvalidApp(
                f"The JWT secret is {len(self.secret.encode())} bytes long; tokens signed with it could be forged",
                next_step="Use at least 32 random bytes (`openssl rand -hex 32`), or none: the deploy makes one.",
            )
        if self.algorithm not in ("HS256", "HS384", "HS512"):
            raise InvalidApp(f"jwt algorithm {self.algorithm!r} is not HS256, HS384 or HS512")
        if not 0 < self.days <= 3650:
            raise InvalidApp(f"jwt exp_delta_days = {self.days} is not above 0 and up to 3650")


@dataclass(frozen=True, slots=True, kw_only=True)
class SsoClient:
    """The app's credentials at one OpenID provider."""

    client_id: str
    client_secret: str = field(default="", repr=False)
    issuer: str = ""
    """The provider's issuer URL; "" where the platform's name says it (`google`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sso:
    """`[plugins.scale.sso]`: reaches the gateway only."""

    host: str = ""
    clients: Mapping[str, SsoClient] = field(default_factory=dict)
    redirects: tuple[str, ...] = ()
    """URLs that a browser may be sent to after single sign-on, letter for letter."""

    @property
    def variables(self) -> set[str]:
        """The environment variables that it may be handed over in."""
        each = {f"SSO_{name.upper()}_{part}" for name in self.clients for part in ("CLIENT_ID", "CLIENT_SECRET", "ISSUER")}
        return {"SSO_HOST", "SSO_REDIRECTS"} | each

    def __post_init__(self) -> None:
        for platform in self.clients:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", platform):
                raise InvalidApp(f"{platform!r} is no name of a single sign-on platform")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app in one namespace."""

    name: str
    namespace: str
    project: str
    """Who owns it: `[project] name`, else the folder's name."""
    endpoints: tuple[AppEndpoint, ...]
    bundle: Bundle
    image: Image
    data: DataServices = field(default_factory=DataServices)
    resources: Resources = field(default_factory=Resources)
    health: Health = field(default_factory=Health)
    autoscaling: Autoscaling = field(default_factory=Autoscaling)
    jwt: Jwt = field(default_factory=Jwt)
    sso: Sso = field(default_factory=Sso)
    node_port: int = 30001
    """0: no node port."""
    container_port: int = 8000
    gateway_min_scale: int = 1
    """0 lets the gateway sleep; the node port then has nobody behind it and is left out."""
    run_main: bool = False
    """`--main`: the init Job also runs `with entry:__main__`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """More environment for every process of the app, readable by whoever reads the manifests."""
    secret_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """More environment that lives in a Secret."""

    def __post_init__(self) -> None:
        check_app_name(self.name)
        check_namespace(self.namespace)
        if not self.project.strip():
            raise InvalidApp("The app has no project", next_step="Name it: [project] name in jac.toml.")
        if not self.endpoints:
            raise InvalidApp("The program has no endpoints: there is nothing to deploy")
        ids = [endpoint.id for endpoint in self.endpoints]
        if len(set(ids)) != len(ids):
            raise InvalidApp(f"An endpoint appears twice: {', '.join(sorted(ids))}")
        if self.node_port and not 1 <= self.node_port <= 65535:
            raise InvalidApp(f"node_port = {self.node_port} is no port")
        if not 1024 <= self.container_port <= 65535:  # below 1024 a process without root could not listen everywhere
            raise InvalidApp(f"container_port = {self.container_port} is not between 1024 and 65535")
        if self.container_port in RESERVED_PORTS:
            raise InvalidApp(f"container_port = {self.container_port} is used by Knative's queue-proxy in the same pod")
        _within("gateway_min_scale", self.gateway_min_scale, 0, 1000)
        self._check_limits()
        self._check_environment()

    def _check_environment(self) -> None:
        """A name that a container has twice is refused by Knative from 1.16 on, and the last one wins before."""
        for name in (*self.env, *self.secret_env):
            if not _ENV_NAME.fullmatch(name):
                raise InvalidApp(f"{name!r} is no name of an environment variable")
            if name in RESERVED_ENV or name in self.sso.variables:
                raise InvalidApp(f"The environment variable {name} is set by the deploy and cannot be given")
        if twice := sorted(set(self.env) & set(self.secret_env)):
            raise InvalidApp(
                f"The environment variable {twice[0]} is given twice, openly and as a secret",
                next_step="Leave it out of [plugins.scale.env]: there whoever reads the manifests can read it.",
            )

    def _check_limits(self) -> None:
        """Knative 1.15 takes a request above the limit, and the service then waits for ever (facts/knative-1.15.md 5)."""
        given = self.resources
        _not_above("cpu_request", given.cpu_request, "cpu_limit", given.cpu_limit)
        _not_above("memory_request", given.memory_request, "memory_limit", given.memory_limit)
        for endpoint in self.endpoints:
            _not_above(f"cpu of {endpoint.id}", endpoint.knobs.cpu, "cpu_limit", given.cpu_limit)
            _not_above(f"memory of {endpoint.id}", endpoint.knobs.memory, "memory_limit", given.memory_limit)


def _not_above(name: str, request: str, limit_name: str, limit: str) -> None:
    if request and limit and quantity.smaller(request, limit) != request:
        raise InvalidApp(
            f"{name} = {request} is above {limit_name} = {limit}",
            next_step="A process requests at most what it may use: raise the limit or lower the request.",
        )


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidApp(f"{name} = {value} is not between {low} and {high}")


def _quantity(name: str, value: str) -> None:
    if value and quantity.parse(value) is None:
        raise InvalidApp(f"{name} = {value!r} is no quantity of Kubernetes, such as 250m, 0.5, 128Mi or 5Gi")

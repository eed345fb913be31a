"""What every pod of ours has in common: one container of the runtime, hardened for the `restricted` Pod Security Standard.

Everything is said on the container: Knative refuses a security context on the pod without a feature flag.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from jacfn_knative.app import AppEndpoint
from jacfn_knative.manifests import bundle
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.kinds import Object
from jacfn_knative.quantity import smaller

COMMAND = ["python", "-m", "jacfn_runtime"]
# Requests where none are given. A first deploy starts one pod for each endpoint: with these, forty of them fit on two cores.
CPU_REQUEST = "25m"
MEMORY_REQUEST = "48Mi"  # an idle function service has a working set of about 30 MiB


def security_context(**more: object) -> Object:
    """What `restricted` demands of a container, and a root file system that nobody writes to.

    No user id: the image names a numeric one that is not root, and platforms that assign their own (OpenShift) may do so.
    """
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **more,
    }


def resources(context: Context, cpu: str = "", memory: str = "", default_cpu: str = CPU_REQUEST) -> Object:
    """Requests and limits of one process of the app; `cpu` and `memory` are an endpoint's own requests.

    Where no request is given it is a small one of ours, and never above the limit.
    """
    given = context.app.resources
    requests = {
        "cpu": cpu or given.cpu_request or smaller(default_cpu, given.cpu_limit),
        "memory": memory or given.memory_request or smaller(MEMORY_REQUEST, given.memory_limit),
    }
    limits = {name: value for name, value in (("cpu", given.cpu_limit), ("memory", given.memory_limit)) if value}
    return {"requests": requests} | ({"limits": limits} if limits else {})


def cpu_limit(context: Context, limit: str) -> Object:
    """A CPU limit for a container beside the app's own, where that has one: a quota on limits wants them of every container."""
    return {"cpu": limit} if context.app.resources.cpu_limit else {}


def container(
    context: Context,
    env: list[Object],
    *,
    command: Sequence[str] = COMMAND,
    bundle_mounted: bool = True,
    **more: object,
) -> Object:
    """The runtime's container: exec form, so that it is process 1 and hears SIGTERM; it writes nowhere but /tmp."""
    mounts: list[Object] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  a path in the container
    if bundle_mounted and context.app.bundle.files:
        mounts.append({"name": "bundle", "mountPath": context.app.bundle.folder, "readOnly": True})
    return {
        "name": "user-container",  # Knative's own default; the same name in both modes
        "image": context.app.image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": env,
        "resources": resources(context),
        "securityContext": security_context(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
        **more,
    }


def spec(context: Context, container: Object, *, bundle_mounted: bool = True) -> Object:
    """The pod spec around it, in both modes."""
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
    if bundle_mounted and context.app.bundle.files:
        volumes.append(bundle.volume(context, "bundle"))
    return {
        "serviceAccountName": context.app.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a variable for each Service of the namespace slows every start (knative/serving 8498)
        "containers": [container],
        "volumes": volumes,
        **({"imagePullSecrets": [{"name": context.secret("pull")}]} if context.app.image.credentials else {}),
    }


def environment(context: Context, serve: str, endpoints: Sequence[AppEndpoint] = ()) -> list[Object]:
    """The contract of a function service (ARCHITECTURE 3.1), without what only the gateway gets. `endpoints`: what it serves."""
    app = context.app
    env = [
        {"name": "JACFN_SERVE", "value": serve},
        {"name": "JACFN_BUNDLE", "value": app.bundle.folder},
        {"name": "JACFN_APP", "value": app.name},
    ]
    weaker = {endpoint.id: endpoint.knobs.isolation for endpoint in endpoints if endpoint.knobs.isolation != "serializable"}
    if weaker:
        env.append({"name": "JACFN_ISOLATION", "value": compact(weaker)})
    env.append(from_secret("MONGODB_URI", context.secret("mongodb"), "uri"))
    if app.data.has_redis:
        env.append(from_secret("REDIS_URL", context.secret("redis"), "url"))
    env.append(from_secret("JWT_SECRET", context.secret("jwt"), "secret"))
    env.append({"name": "JWT_ALGORITHM", "value": app.jwt.algorithm})
    env += [literal(name, value) for name, value in sorted(app.env.items())]
    env += [from_secret(name, context.secret("env"), name) for name in sorted(app.secret_env)]
    return env


def identity_environment(context: Context) -> list[Object]:
    """What only a process with /login and single sign-on gets."""
    app = context.app
    env: list[Object] = [{"name": "JWT_EXP_DELTA_DAYS", "value": f"{app.jwt.days:g}"}]
    if app.sso.host:
        env.append(literal("SSO_HOST", app.sso.host))
    for platform in sorted(app.sso.clients):
        for part, key in (("CLIENT_ID", "id"), ("CLIENT_SECRET", "secret")):
            env.append(from_secret(f"SSO_{platform.upper()}_{part}", context.secret("sso"), f"{platform}_{key}"))
        if app.sso.clients[platform].issuer:
            env.append(literal(f"SSO_{platform.upper()}_ISSUER", app.sso.clients[platform].issuer))
    if app.sso.redirects:
        env.append(literal("SSO_REDIRECTS", ",".join(app.sso.redirects)))
    return env


def literal(variable: str, value: str) -> Object:
    """A variable with exactly this value: the kubelet takes `$(NAME)` for another variable and `$$` for one dollar sign."""
    return {"name": variable, "value": value.replace("$", "$$")}


def from_secret(variable: str, secret: str, key: str) -> Object:
    """A variable whose value the kubelet takes from a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def compact(value: object) -> str:
    """Deterministic JSON without spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

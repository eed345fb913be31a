"""One Knative Service for each endpoint, or for each group of endpoints.

A template must not change unless something that matters to this service has changed: every change is a new revision. So it has
nothing of the other endpoints in it. What it shares with them is the bundle: that is one artefact, and when the program's text
changes every endpoint that runs it gets a new revision, because no part of a program can be shown not to reach another part
(ARCHITECTURE 5 says what would have to be known).
"""

from __future__ import annotations

from jacfn_knative.app import Knobs
from jacfn_knative.manifests import pods
from jacfn_knative.manifests.context import ENDPOINT, Context, FunctionService
from jacfn_knative.manifests.kinds import KNATIVE_SERVICE, Object

# How long Knative waits for a new revision before it gives up and removes the pods, logs included. Shorter than its 600 s, long
# enough for a slow pull; the deploy itself reports a failure as soon as a pod shows it.
PROGRESS_DEADLINE = "300s"
PROXY_MEMORY = "128Mi"  # queue-proxy was seen with 10 MiB under load; large bodies pass through it
PROXY_CPU = "1"


def objects(context: Context) -> list[Object]:
    """The function services, by name."""
    return [_service(context, service) for service in context.services]


def knative_service(
    context: Context, metadata: Object, template: Object, container: Object, knobs: Knobs, timeout: int
) -> Object:
    """A Knative Service around a container; `template` is the template's metadata without the autoscaler's annotations."""
    template = {**template, "annotations": template["annotations"] | autoscaling(knobs) | _proxy_limits(context)}
    spec = pods.spec(context, container) | {"timeoutSeconds": timeout}
    if timeout > 300:
        # Absent means 300 then, and on Knative 1.15 to 1.18 a stream longer than that never ends (facts/knative-1.15.md 3).
        spec["responseStartTimeoutSeconds"] = 0
    return {
        "apiVersion": KNATIVE_SERVICE.api_version,
        "kind": KNATIVE_SERVICE.kind,
        "metadata": metadata,
        "spec": {
            "template": {"metadata": template, "spec": spec},
            "traffic": [{"latestRevision": True, "percent": 100}],
        },
    }


def autoscaling(knobs: Knobs) -> dict[str, str]:
    """The autoscaler's annotations; they count only on the template. What is not set is the cluster's own default."""
    prefix = "autoscaling.knative.dev"
    found = {
        f"{prefix}/min-scale": str(knobs.min_scale),
        f"{prefix}/max-scale": str(knobs.most),
        f"{prefix}/target": f"{knobs.target:g}",
        "serving.knative.dev/progress-deadline": PROGRESS_DEADLINE,
    }
    if knobs.window is not None:
        found[f"{prefix}/window"] = f"{knobs.window}s"
    if knobs.retention:
        found[f"{prefix}/scale-to-zero-pod-retention-period"] = f"{knobs.retention}s"
    return found


def _proxy_limits(context: Context) -> dict[str, str]:
    """Limits of queue-proxy where the app's own process has some: a quota on limits wants them of every container."""
    prefix = "queue.sidecar.serving.knative.dev"
    limits = context.app.resources
    found = {f"{prefix}/memory-resource-limit": PROXY_MEMORY} if limits.memory_limit else {}
    return found | ({f"{prefix}/cpu-resource-limit": PROXY_CPU} if limits.cpu_limit else {})


def serving(context: Context) -> Object:
    """Port and readiness of a container under Knative.

    No periodSeconds, no delay, no startupProbe: queue-proxy then polls every 50 ms, and a wake waits for nothing else.
    """
    return {
        "ports": [{"name": "http1", "containerPort": context.app.container_port}],
        "readinessProbe": {"httpGet": {"path": "/healthz/live"}},
    }


def _service(context: Context, service: FunctionService) -> Object:
    knobs, ids = service.knobs, ",".join(service.ids)
    container = pods.container(context, pods.environment(context, ids, service.endpoints), **serving(context))
    container["resources"] = pods.resources(context, knobs.cpu, knobs.memory)
    template = {
        "labels": context.labels("function", service.name),
        "annotations": {ENDPOINT: ids} | context.fingerprint("mongodb", "redis", "jwt", "env"),
    }
    return knative_service(
        context, context.metadata(service.name, "function", service), template, container, knobs, knobs.timeout
    )

"""An app on a cluster without Knative: one Deployment that serves everything, a Service in front, an autoscaler."""

from __future__ import annotations

from jacfn_knative.manifests import pods
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.gateway import front_service
from jacfn_knative.manifests.kinds import Object

# A pod leaves the Service's addresses while it already gets SIGTERM: it keeps serving for so long before it hears of it.
DRAIN_SECONDS = 5
GRACE_SECONDS = 60  # the drain, then the requests that are still running
CPU_REQUEST = "100m"  # the autoscaler's percentage is one of the request: without one it would never move


def objects(context: Context) -> list[Object]:
    """Deployment, autoscaler, disruption budget and Service, named after the app."""
    app = context.app
    selector = context.selector("server")
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": context.metadata(app.name, "server"),
            "spec": {  # no replicas: they are the autoscaler's
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": selector},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": _template(context),
            },
        },
        *_autoscaler(context),
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": context.metadata(app.name, "server"),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}},  # lets a node be drained with one pod, too
        },
        *front_service(context, selector, app.container_port),
    ]


def _template(context: Context) -> Object:
    app = context.app
    env = [
        *pods.environment(context, "all", app.endpoints),
        *pods.identity_environment(context),
        {"name": "PORT", "value": str(app.container_port)},
    ]
    drain = ["python", "-c", f"import time; time.sleep({DRAIN_SECONDS})"]
    container = pods.container(
        context,
        env,
        ports=[{"name": "http", "containerPort": app.container_port, "protocol": "TCP"}],
        lifecycle={"preStop": {"exec": {"command": drain}}},
        **_probes(context),
    )
    container["resources"] = pods.resources(context, default_cpu=CPU_REQUEST)
    return {
        "metadata": {
            "labels": context.labels("server"),
            "annotations": context.fingerprint("mongodb", "redis", "jwt", "env", "sso"),
        },
        "spec": pods.spec(context, container) | {"terminationGracePeriodSeconds": GRACE_SECONDS},
    }


def _probes(context: Context) -> Object:
    health = context.app.health
    http = {"path": health.path, "port": context.app.container_port}
    return {
        "readinessProbe": {
            "httpGet": http,
            "initialDelaySeconds": health.readiness_initial_delay,
            "periodSeconds": health.readiness_period,
        },
        "livenessProbe": {
            "httpGet": http,
            "initialDelaySeconds": health.liveness_initial_delay,
            "periodSeconds": health.liveness_period,
            "failureThreshold": health.liveness_failure_threshold,
        },
    }


def _autoscaler(context: Context) -> list[Object]:
    app, scaling = context.app, context.app.autoscaling
    if not context.capabilities.autoscaling_v2:
        return []
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scaling.cpu_percent}}
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": context.metadata(app.name, "server"),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name},
                "minReplicas": scaling.min_replicas,
                "maxReplicas": scaling.max_replicas,
                "metrics": [{"type": "Resource", "resource": metric}],
            },
        }
    ]

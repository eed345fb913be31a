"""The one URL of an app on Knative: the gateway's Service, and a node port or load balancer in front of its pods."""

from __future__ import annotations

from jacfn_knative.app import App, Knobs
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.manifests import pods
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.function import knative_service, serving
from jacfn_knative.manifests.kinds import Object

QUEUE_PROXY_PORT = 8012  # where queue-proxy takes HTTP/1.1 in every Knative pod (facts/knative-1.15.md 8)


def objects(context: Context) -> list[Object]:
    """The gateway's Knative Service, named after the app, and what stands in front of it."""
    app = context.app
    env = [
        *pods.environment(context, "gateway"),
        *pods.identity_environment(context),
        {"name": "JACFN_ROUTES", "value": pods.compact(routes(context))},
    ]
    template = {
        "labels": context.labels("gateway"),
        "annotations": context.fingerprint("mongodb", "redis", "jwt", "env", "sso"),
    }
    knobs = Knobs(min_scale=app.gateway_min_scale, target=100)
    # It waits for the function services, so it may take as long as the slowest of them.
    timeout = max(300, *(service.knobs.timeout for service in context.services))
    service = knative_service(
        context, context.metadata(app.name, "gateway"), template, pods.container(context, env, **serving(context)), knobs, timeout
    )
    return [service, *front_service(context, {"serving.knative.dev/service": app.name}, QUEUE_PROXY_PORT)]


def routes(context: Context) -> dict[str, str]:
    """Endpoint id -> base URL of its function service within the cluster, whatever the cluster's domain is called."""
    return {
        endpoint: f"http://{service.name}.{context.app.namespace}.svc" for service in context.services for endpoint in service.ids
    }


def front_service(context: Context, selector: dict[str, str], target_port: int) -> list[Object]:
    """`<app>-service`: a NodePort Service, a Network Load Balancer on EKS; [] if the app has none."""
    app, eks = context.app, context.capabilities.eks
    if not has_front(app, context.capabilities):
        return []
    metadata = context.metadata(front_name(app.name), "front")
    port: Object = {"name": "http", "port": 80, "targetPort": target_port, "protocol": "TCP"}
    if eks:
        metadata["annotations"] |= {
            "service.beta.kubernetes.io/aws-load-balancer-type": "nlb",
            "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
        }
    else:
        port["nodePort"] = app.node_port
    spec = {"type": "LoadBalancer" if eks else "NodePort", "selector": selector, "ports": [port]}
    return [{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}]


def has_front(app: App, capabilities: Capabilities) -> bool:
    """Whether there is a Service in front of the app.

    With Knative its port bypasses the activator, so nobody would wake a gateway that may sleep.
    """
    return bool(app.node_port or capabilities.eks) and bool(app.gateway_min_scale or not capabilities.knative)


def front_name(app_name: str) -> str:
    """The name of the Service in front of an app."""
    return f"{app_name}-service"

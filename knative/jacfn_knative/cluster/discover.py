"""What a cluster can do. An answer of 404 says that something is not there; any other failure is an error, never an absence:
a silent fallback on a flaky API server would deploy the same app twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from jacfn_knative.capabilities import Capabilities
from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.parallel import each
from jacfn_knative.errors import ClusterError, Rejected

KNATIVE = "/apis/serving.knative.dev"
NAMESPACE = "/api/v1/namespaces/knative-serving"
OPENAPI = "/openapi/v3/apis/serving.knative.dev/v1"


def discover(cluster: Cluster) -> Capabilities:
    """Ask once. Raises ClusterError, NotAllowed or NoCluster if the cluster does not say whether it has Knative."""
    paths = (KNATIVE, "/apis/autoscaling", "/apis/metrics.k8s.io", "/version")
    knative, autoscaling, metrics, version = each(lambda path: _group(cluster, path), paths)
    if knative is not None and "v1" not in _versions(knative):
        raise ClusterError(
            "The cluster's Knative Serving is too old: it has no serving.knative.dev/v1",
            evidence=", ".join(_versions(knative)),
            next_step="Knative Serving 1.15 and newer is supported.",
        )
    kubernetes = str((version or {}).get("gitVersion", ""))
    return Capabilities(
        knative=knative is not None,
        knative_version=_knative_version(cluster) if knative is not None else "",
        kubernetes_version=kubernetes.removeprefix("v"),
        autoscaling_v2="v2" in _versions(autoscaling or {}),
        metrics_server=metrics is not None,
        eks="-eks-" in kubernetes,
    )


def _group(cluster: Cluster, path: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = cluster.request("get", path)
    except Rejected as error:
        if error.status == 404:
            return None
        raise
    return found


def _versions(group: dict[str, Any]) -> list[str]:
    return [item["version"] for item in group.get("versions", [])]


def _knative_version(cluster: Cluster) -> str:
    """By the namespace's label, else a lower bound by the schema, which everybody may read (facts/knative-1.15.md 1), or ""."""
    with suppress(ClusterError, KeyError):
        return str(cluster.request("get", NAMESPACE)["metadata"]["labels"]["app.kubernetes.io/version"])
    with suppress(ClusterError, KeyError, ValueError):
        schemas = cluster.request("get", OPENAPI)["components"]["schemas"]
        (service,) = (schema for name, schema in schemas.items() if name.endswith("serving.v1.Service"))
        return lower_bound(service["properties"]["spec"]["properties"]["template"]["properties"]["spec"]["properties"])
    return ""


def lower_bound(pod: dict[str, Any]) -> str:
    """The oldest Knative Serving whose revision template has these fields."""
    volumes = pod.get("volumes", {}).get("items", {}).get("properties", {})
    container = pod.get("containers", {}).get("items", {}).get("properties", {})
    since = (
        ("1.23+", "ephemeral" in volumes),
        ("1.19+", "image" in volumes),
        ("1.18+", "csi" in volumes),
        ("1.17+", "hostPath" in volumes or "privileged" in container.get("securityContext", {}).get("properties", {})),
        ("1.16+", "hostNetwork" in pod),
    )
    return next((version for version, there in since if there), "1.15 or older")

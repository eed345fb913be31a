"""Where a deployed app answers: the table of URLs, each one asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jacfn_knative.app import App
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.cluster import verify
from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.parallel import each
from jacfn_knative.cluster.preflight import SERVICE
from jacfn_knative.errors import ClusterError
from jacfn_knative.manifests.context import ENDPOINT
from jacfn_knative.manifests.gateway import front_name, has_front
from jacfn_knative.manifests.kinds import KNATIVE_SERVICE, Object, kind_of

MANY = 200  # around a thousand services a cluster's routing slows down (facts/demands.md 26)


@dataclass(frozen=True, slots=True)
class Address:
    """One URL of the whole app. `verified`: it answered as this app; None: it cannot be asked from here, see `note`."""

    url: str
    verified: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: an endpoint, or `gateway`."""

    id: str
    public: bool
    service: str
    """The Knative Service's name."""
    url: str
    internal_url: str
    verified: bool | None
    note: str = ""


def service_rows(app: App, capabilities: Capabilities, ready: Mapping[str, Object], ingress: str) -> list[Row]:
    """The rows of all Knative Services, asked in parallel; none without Knative."""
    public = {endpoint.id: endpoint.public for endpoint in app.endpoints}
    services = [item for item in ready.values() if kind_of(item) == KNATIVE_SERVICE]
    wanted = [(item, name) for item in services for name in _serves(item)]

    def row(pair: tuple[Object, str]) -> Row:
        item, name = pair
        url, internal = item["status"]["url"], item["status"].get("address", {}).get("url", "")
        checked = verify.check(url, app.name, app.bundle.hash, name, ingress)
        return Row(name, public.get(name, True), item["metadata"]["name"], url, internal, checked.ok, checked.note)

    return sorted(each(row, wanted), key=lambda found: (found.id == "gateway", found.id)) if capabilities.knative else []


def front_addresses(cluster: Cluster, app: App, capabilities: Capabilities) -> list[Address]:
    """The URLs of the Service in front of the app, asked; [] if it has none."""
    service = cluster.get(SERVICE, app.namespace, front_name(app.name)) if has_front(app, capabilities) else None
    if service is None:
        return []
    if service["spec"]["type"] == "LoadBalancer":
        found = service["status"].get("loadBalancer", {}).get("ingress", [])
        hosts = [str(entry.get("hostname") or entry["ip"]) for entry in found]
        return [Address(f"http://{host}", None, "a new load balancer answers after some minutes") for host in hosts]
    port = service["spec"]["ports"][0]["nodePort"]
    serves = "gateway" if capabilities.knative else "all"
    reachable = [host for host in ("localhost", *_nodes(cluster)) if verify.reachable(host, port)]
    for host in reachable:  # somebody else may have this port on this machine
        if verify.check(f"http://{host}:{port}", app.name, app.bundle.hash, serves, patience=2).ok:
            return [Address(f"http://{host}:{port}", True)]
    if reachable in ([], ["localhost"]):
        return [Address(f"http://localhost:{port}", None, "no node's port is reachable from here")]
    url = f"http://{reachable[-1]}:{port}"
    checked = verify.check(url, app.name, app.bundle.hash, serves)
    return [Address(url, checked.ok, checked.note)]


def notes(app: App, capabilities: Capabilities, addresses: Sequence[Address]) -> list[str]:
    """What people should know about how the app is reached and scales."""
    found = []
    if capabilities.knative and not app.gateway_min_scale:
        found.append("The gateway may sleep (gateway_min_scale = 0), so it has no node port: nothing behind one could wake it.")
    if not capabilities.knative and not capabilities.metrics_server:
        found.append("The cluster has no metrics-server: the autoscaler sees no load and keeps the number of pods.")
    if len(app.endpoints) > MANY:
        found.append(f"{len(app.endpoints)} endpoints are many for one namespace: `group` lets several share a service.")
    if capabilities.eks and not addresses:
        found.append(f"The load balancer is being made: kubectl get service {front_name(app.name)} -n {app.namespace}")
    return found


def _serves(item: Object) -> list[str]:
    ids = item["metadata"]["annotations"].get(ENDPOINT)
    return ids.split(",") if ids else ["gateway"]


def _nodes(cluster: Cluster) -> list[str]:
    """The nodes' addresses, external ones first; [] for someone who may not see nodes."""
    try:
        nodes: list[dict[str, Any]] = cluster.request("get", "/api/v1/nodes")["items"]
    except ClusterError:
        return []
    found = [entry for node in nodes for entry in node["status"].get("addresses", [])]
    return [entry["address"] for kind in ("ExternalIP", "InternalIP") for entry in found if entry["type"] == kind][:3]

"""What an app has in the cluster now: found by label, over every kind that any version has made, whoever made the names."""

from __future__ import annotations

from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.parallel import each
from jacfn_knative.errors import ForeignApp
from jacfn_knative.manifests.context import APP_LABEL, MANAGER, PROJECT
from jacfn_knative.manifests.kinds import KINDS, Kind, Object

REVISION = Kind("serving.knative.dev", "v1", "Revision", "revisions")
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets")
POD = Kind("", "v1", "Pod", "pods")


def selector(app_name: str) -> str:
    """The label selector of an app."""
    return f"{APP_LABEL}={app_name},app.kubernetes.io/managed-by={MANAGER}"


def owned(cluster: Cluster, namespace: str, app_name: str) -> list[Object]:
    """The app's objects, without those that a controller made from them (Knative copies labels to what it makes)."""
    found = each(lambda kind: cluster.list(kind, namespace, selector(app_name)), KINDS)
    return [item for items in found for item in items if not _controlled(item)]


def check_project(live: list[Object], app_name: str, namespace: str, project: str) -> None:
    """Raise ForeignApp if any of the app's objects records another project."""
    for item in live:
        owner = item["metadata"].get("annotations", {}).get(PROJECT)
        if owner is not None and owner != project:
            raise ForeignApp(app_name, namespace, owner, project)


def retained(cluster: Cluster, namespace: str, app_name: str) -> set[str]:
    """Names of ConfigMaps that a revision or an old ReplicaSet mounts: it may still wake, or be rolled back to."""
    items = [item for kind in (REVISION, REPLICA_SET) for item in cluster.list(kind, namespace, selector(app_name))]
    names = set()
    for item in items:
        pod = item["spec"].get("template", {}).get("spec", item["spec"])  # a Revision's spec is a pod spec
        for volume in pod.get("volumes", []):
            sources = volume.get("projected", {}).get("sources", [])
            names |= {source["configMap"]["name"] for source in sources if "configMap" in source}
    return names


def pods(cluster: Cluster, namespace: str, app_name: str) -> list[Object]:
    """All pods of the app, those that are ending included."""
    return cluster.list(POD, namespace, selector(app_name))


def is_going(item: Object) -> bool:
    """Whether an object is being removed."""
    return item["metadata"].get("deletionTimestamp") is not None


def _controlled(item: Object) -> bool:
    return any(owner.get("controller") for owner in item["metadata"].get("ownerReferences", []))

"""Taking an app out of a cluster: exactly what carries its label, over every kind that any version has made, and never the
namespace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from jacfn_knative.cluster import live, preflight
from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.discover import discover
from jacfn_knative.errors import DestroyFailed
from jacfn_knative.manifests.context import COMPONENT_LABEL
from jacfn_knative.manifests.kinds import KINDS, KNATIVE_SERVICE, Object, kind_of, reference
from jacfn_knative.report import Event, Report, silent

GONE_SECONDS = 180.0  # queue-proxy drains for about 31 s, mongod may take its 60
POLL_SECONDS = 0.5


def inventory(cluster: Cluster, app_name: str, namespace: str, project: str, *, keep_data: bool = False) -> list[Object]:
    """What a destroy would remove, in the order in which it would. [] if the app is not there. Writes nothing.

    `keep_data` leaves the database, its claim, its Secret and what they need out. Raises ForeignApp, NotAllowed.
    """
    knative = discover(cluster).knative
    kinds = [kind for kind in KINDS if kind != KNATIVE_SERVICE or knative]
    rights = [(kind, verb) for kind in kinds for verb in ("list", "delete")]
    preflight.check_access(cluster, namespace, [*rights, (live.POD, "list")])
    found = live.owned(cluster, namespace, app_name)
    live.check_project(found, app_name, namespace, project)
    going = [item for item in found if not (keep_data and _is_data(item, app_name))]
    return sorted(going, key=lambda item: (-KINDS.index(kind_of(item)), item["metadata"]["name"]))


def destroy(
    cluster: Cluster,
    app_name: str,
    namespace: str,
    project: str,
    report: Report = silent,
    *,
    keep_data: bool = False,
    seconds: float = GONE_SECONDS,
) -> list[str]:
    """Remove an app and wait until it is gone; returns what went, as `Kind/name`. A second call finds nothing and returns [].

    Raises what `inventory` raises before anything is touched; DestroyFailed if something is still there after `seconds`.
    """
    going = inventory(cluster, app_name, namespace, project, keep_data=keep_data)
    for item in going:
        cluster.delete(kind_of(item), namespace, item["metadata"]["name"])
        report(Event("delete", reference(item)))
    report(Event("wait", app_name, "until everything is gone"))

    def left() -> list[Object]:
        objects = [item for item in live.owned(cluster, namespace, app_name) if not (keep_data and _is_data(item, app_name))]
        pods = live.pods(cluster, namespace, app_name)
        return objects + [pod for pod in pods if not (keep_data and _is_data(pod, app_name))]

    if going:
        wait_until_gone(left, seconds)
    return [reference(item) for item in going]


def wait_until_gone(left: Callable[[], Sequence[Object]], seconds: float = GONE_SECONDS) -> None:
    """Ask until nothing is left. Raises DestroyFailed that names what is, and what holds it."""
    deadline = time.monotonic() + seconds
    while found := left():
        if time.monotonic() > deadline:
            raise DestroyFailed(
                f"{len(found)} objects are still there after {seconds:.0f} s",
                evidence="\n".join(_holds(item) for item in found),
                next_step="Run the same command again; what is held by a finalizer waits for whoever set it.",
            )
        time.sleep(POLL_SECONDS)


def _is_data(item: Object, app_name: str) -> bool:
    """The database with everything that it needs to run and to be opened again."""
    if item["metadata"]["labels"].get(COMPONENT_LABEL) == "mongodb" or item["kind"] == "ServiceAccount":
        return True
    return item["kind"] in ("Secret", "NetworkPolicy") and item["metadata"]["name"] == f"{app_name}-mongodb"


def _holds(item: Object) -> str:
    finalizers = item["metadata"].get("finalizers", [])
    return f"{item['kind']}/{item['metadata']['name']}" + (f" (held by {', '.join(finalizers)})" if finalizers else "")

"""A deploy's writes: phase by phase, each one ready before the next, then one request through every URL, then the removals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from jacfn_knative.app import App
from jacfn_knative.capabilities import Mode
from jacfn_knative.cluster import live
from jacfn_knative.cluster.addresses import Address, Row, front_addresses, notes, service_rows
from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.destroy import wait_until_gone
from jacfn_knative.cluster.explain import hangs, job_state, never_ready
from jacfn_knative.cluster.parallel import each
from jacfn_knative.cluster.prepare import Prepared, prepare
from jacfn_knative.cluster.watch import JOB_LABEL, Watch
from jacfn_knative.errors import DeployFailed, KnativeError
from jacfn_knative.manifests import Object
from jacfn_knative.manifests.context import COMPONENT_LABEL
from jacfn_knative.manifests.kinds import KNATIVE_SERVICE, PHASES, kind_of, phase, reference
from jacfn_knative.plan import Change, surplus_keys
from jacfn_knative.report import Event, Report, silent

READY_SECONDS = 300.0  # for each phase: a slow pull of an image fits, a pod that hangs does not hold a pipeline for ever


@dataclass(frozen=True)
class Deployed:
    """A deployed app: its table of URLs, and how it came about."""

    mode: Mode
    rows: tuple[Row, ...]
    """One for each endpoint and one for the gateway; none without Knative, where `addresses` are all that there is."""
    addresses: tuple[Address, ...]
    """The node port's or load balancer's URLs of the whole app."""
    counts: dict[str, int] = field(default_factory=dict)
    """Action -> number of objects."""
    notes: tuple[str, ...] = ()


def carry_out(
    cluster: Cluster,
    prepared: Prepared,
    report: Report = silent,
    *,
    ready_seconds: float = READY_SECONDS,
    ingress_address: str = "",
) -> Deployed:
    """Write what was prepared, phase by phase, each one ready before the next; ask every URL; then remove what is not wanted.

    `ingress_address` (`host:port`): where the cluster's ingress is reached if the services' hosts do not resolve here.
    Raises DeployFailed, with what had been written, when something does not become ready; what the server answers otherwise.
    """
    app, applied = prepared.app, list[str]()
    ready: dict[str, Object] = {}
    try:
        if prepared.creates_namespace:
            _create_namespace(cluster, app.namespace)
            report(Event("apply", f"Namespace/{app.namespace}", "created; a destroy leaves it"))
        _wait_for_destroy(cluster, prepared.going, report)
        wanted = _afresh(cluster, app, [change for change in prepared.changes if change.action != "delete"], report)
        # A new node port first: no dry run tells that one is out of range, and nothing else has been written if it is refused.
        ports = [change for change in wanted if _takes_port(change)]
        _write(cluster, ports, applied, report)
        wanted = [change for change in wanted if change not in ports]
        for _, group in groupby(wanted, key=_phase):
            changes = list(group)
            _write(cluster, changes, applied, report)
            ready |= Watch(cluster, app.namespace, app.name, report, ready_seconds).until_ready(changes)
        deployed = _verify(cluster, prepared, ready, report, ingress_address)
        _remove(cluster, app, [change for change in prepared.changes if change.action == "delete"], report)
    except DeployFailed as error:
        raise DeployFailed(error.what, evidence=error.evidence, next_step=error.next_step, applied=applied) from None
    except KnativeError as error:
        if applied:
            error.evidence = f"{error.evidence}\nWritten before that: {', '.join(applied)}".strip()
        raise
    return deployed


def deploy(
    cluster: Cluster,
    app: App,
    report: Report = silent,
    *,
    ready_seconds: float = READY_SECONDS,
    ingress_address: str = "",
) -> Deployed:
    """`prepare` and `carry_out` in one."""
    prepared = prepare(cluster, app, report=report)
    return carry_out(cluster, prepared, report, ready_seconds=ready_seconds, ingress_address=ingress_address)


def _write(cluster: Cluster, changes: Sequence[Change], applied: list[str], report: Report) -> None:
    def write(change: Change) -> None:
        item = change.item
        if change.action == "keep":
            report(Event("keep", change.reference))
            return
        if change.action == "replace":
            _delete_and_wait(cluster, item)
        if change.action == "create" and item["kind"] == "Secret":
            cluster.create(item)  # two first deploys at once must not make two passwords: the second one fails here
        else:
            _drop_surplus(cluster, item, cluster.apply(item))
        applied.append(change.reference)
        report(Event("apply", change.reference, ", ".join((change.action, *change.reasons))))

    each(write, changes)


def _drop_surplus(cluster: Cluster, item: Object, live: Object) -> None:
    """Remove the keys that a Secret should not have any more: an apply leaves what came with the Secret's creation."""
    if item["kind"] == "Secret" and (surplus := surplus_keys(item, live)):
        cluster.forget(item, surplus)


def _phase(change: Change) -> int:
    """A new gateway starts together with the functions; one that serves already changes after them, so that it never leads to
    what is not there."""
    if change.action == "create" and change.item["metadata"]["labels"][COMPONENT_LABEL] == "gateway":
        return PHASES["function"]
    return phase(change.item)


def _takes_port(change: Change) -> bool:
    """Whether a change is of a node port and of nothing else: one that leads to other pods as well has to wait for them."""
    if change.item.get("spec", {}).get("type") != "NodePort":
        return False
    return change.action == "create" or change.reasons == ("spec.ports[0].nodePort",)


def _afresh(cluster: Cluster, app: App, changes: Sequence[Change], report: Report) -> list[Change]:
    """Give what an earlier deploy left broken another try; returns the changes, what is kept and hangs replaced.

    A kubelet that backs off from a pull or a crash waits up to five minutes, a Job that gets no pods tries less and less often,
    and a Knative Service that was never ready may stay so for good (facts/knative-1.15.md 2); whoever deploys again has mended
    something.
    """
    pods = live.pods(cluster, app.namespace, app.name)
    broken = [pod for pod in pods if hangs(pod)]
    for pod in broken:
        if JOB_LABEL not in pod["metadata"]["labels"]:
            cluster.delete(live.POD, app.namespace, pod["metadata"]["name"])
            report(Event("delete", f"Pod/{pod['metadata']['name']}", "it hangs; a new one tries again"))
    again = {f"Job/{pod['metadata']['labels'][JOB_LABEL]}" for pod in broken if JOB_LABEL in pod["metadata"]["labels"]}
    again |= _jobs_without_pods(cluster, changes, pods)
    if any(kind_of(change.item) == KNATIVE_SERVICE for change in changes):
        services = cluster.list(KNATIVE_SERVICE, app.namespace, live.selector(app.name))
        again |= {reference(item) for item in services if never_ready(item)}
    return [
        replace(change, action="replace", reasons=("it hangs",))
        if change.action == "keep" and change.reference in again
        else change
        for change in changes
    ]


def _jobs_without_pods(cluster: Cluster, changes: Sequence[Change], pods: Sequence[Object]) -> set[str]:
    served = {pod["metadata"]["labels"].get(JOB_LABEL) for pod in pods}
    found = set()
    for change in changes:
        name = change.item["metadata"]["name"]
        if change.action == "keep" and change.item["kind"] == "Job" and name not in served:
            job = cluster.get(kind_of(change.item), change.item["metadata"]["namespace"], name)
            found |= {change.reference} if job and job_state(job) == "running" else set()
    return found


def _wait_for_destroy(cluster: Cluster, going: Sequence[Object], report: Report) -> None:
    for item in going:
        report(Event("wait", reference(item), "an earlier destroy is still removing it"))
        _wait_until_gone(cluster, item)


def _delete_and_wait(cluster: Cluster, item: Object) -> None:
    cluster.delete(kind_of(item), item["metadata"]["namespace"], item["metadata"]["name"])
    _wait_until_gone(cluster, item)


def _wait_until_gone(cluster: Cluster, item: Object) -> None:
    kind, metadata = kind_of(item), item["metadata"]
    wait_until_gone(lambda: [found] if (found := cluster.get(kind, metadata["namespace"], metadata["name"])) else [])


def _remove(cluster: Cluster, app: App, changes: Sequence[Change], report: Report) -> None:
    """Delete what the plan does not want, but no bundle that a revision has mounted since: another deploy may have run."""
    kept = live.retained(cluster, app.namespace, app.name) if changes else set()
    for change in changes:
        metadata = change.item["metadata"]
        if change.item["kind"] == "ConfigMap" and metadata["name"] in kept:
            continue
        cluster.delete(kind_of(change.item), metadata["namespace"], metadata["name"])
        report(Event("delete", change.reference))


def _verify(cluster: Cluster, prepared: Prepared, ready: dict[str, Object], report: Report, ingress: str) -> Deployed:
    app, capabilities = prepared.app, prepared.capabilities
    report(Event("verify", app.name, "one request through each URL"))
    rows = service_rows(app, capabilities, ready, ingress)
    addresses = front_addresses(cluster, app, capabilities)
    asked = [(found.url, found.verified, found.note) for found in rows]
    asked += [(found.url, found.verified, found.note) for found in addresses]
    failed = [f"{url}: {note}" for url, verified, note in asked if verified is False]
    if failed:
        raise DeployFailed(
            f"Everything is ready, and {len(failed)} of {len(asked)} URLs do not answer as they should",
            evidence="\n".join(failed),
            next_step="Is the cluster's ingress running, and ingress_address right?",
        )
    counts: dict[str, int] = {}
    for change in prepared.changes:
        counts[change.action] = counts.get(change.action, 0) + 1
    return Deployed(capabilities.mode, tuple(rows), tuple(addresses), counts, tuple(notes(app, capabilities, addresses)))


def _create_namespace(cluster: Cluster, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.request("post", "/api/v1/namespaces", body, query=[("fieldManager", "jacfn")])

"""Everything about a deploy that only reads: what would change, and whatever forbids it."""

from __future__ import annotations

from dataclasses import dataclass, field

from jacfn_knative.app import App
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.cluster import live, preflight, secrets
from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.discover import discover
from jacfn_knative.manifests import Object, objects
from jacfn_knative.manifests.kinds import KINDS, KNATIVE_SERVICE, Kind, reference
from jacfn_knative.plan import Change, plan
from jacfn_knative.report import Event, Report, silent


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before the first write. `changes` have the values of Secrets in them: never print their items."""

    app: App
    capabilities: Capabilities
    changes: tuple[Change, ...] = field(repr=False)
    going: tuple[Object, ...] = field(repr=False)
    """What an earlier destroy is still removing and this deploy makes again."""
    creates_namespace: bool

    @property
    def writes(self) -> tuple[Change, ...]:
        """What will be written, in order; empty for an unchanged redeploy."""
        return tuple(change for change in self.changes if change.action != "keep")


def prepare(cluster: Cluster, app: App, capabilities: Capabilities | None = None, report: Report = silent) -> Prepared:
    """Find out what a deploy would do, and everything that forbids it. Writes nothing.

    Raises NotAllowed, ForeignApp, ForeignObject, PortTaken, Rejected, Refused, InvalidApp, NoCluster, ClusterError.
    """
    capabilities = capabilities or discover(cluster)
    report(Event("check", app.namespace, "rights, owners, ports"))
    preflight.check_access(cluster, app.namespace, _rights(capabilities))
    exists = preflight.namespace_exists(cluster, app.namespace)
    found = live.owned(cluster, app.namespace, app.name) if exists else []
    live.check_project(found, app.name, app.namespace, app.project)
    there = [item for item in found if not live.is_going(item)]
    values = secrets.settle(app, there)
    desired = [secrets.with_data(item, values) for item in objects(app, capabilities, secrets.fingerprints(app, values))]
    kept = live.retained(cluster, app.namespace, app.name) if exists else set()
    changes = plan(desired, there, kept)
    if exists:
        preflight.check_foreign_objects(cluster, app.name, changes)
        preflight.check_placeholders(cluster, changes)
        preflight.check_acceptance(cluster, changes)
    else:
        preflight.check_node_port(cluster, changes)
    needed = {reference(item) for item in desired} | {f"PersistentVolumeClaim/data-{app.name}-mongodb-0"}
    going = [item for item in found if live.is_going(item) and reference(item) in needed]
    return Prepared(app, capabilities, tuple(changes), tuple(going), not exists)


def _rights(capabilities: Capabilities) -> list[tuple[Kind, str]]:
    """What a deploy does, as kinds and verbs."""
    kinds = [kind for kind in KINDS if kind != KNATIVE_SERVICE or capabilities.knative]
    made_by_others = [live.POD, live.REPLICA_SET, *([live.REVISION] if capabilities.knative else [])]
    rights = [(kind, verb) for kind in kinds for verb in ("list", "get", "create", "patch", "delete")]
    return rights + [(kind, "list") for kind in made_by_others] + [(live.POD, "delete")]

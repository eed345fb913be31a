"""Everything that can be known to be wrong before the first write: rights, other people's objects, taken ports, refusals."""

from __future__ import annotations

from collections.abc import Sequence

from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.live import is_going
from jacfn_knative.cluster.parallel import each
from jacfn_knative.errors import ForeignObject, NotAllowed, PortTaken, Refused, Rejected
from jacfn_knative.manifests.context import APP_LABEL, MANAGER
from jacfn_knative.manifests.kinds import KNATIVE_SERVICE, Kind, Object, kind_of, reference
from jacfn_knative.plan import Change

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SERVICE = Kind("", "v1", "Service", "services")


def check_access(cluster: Cluster, namespace: str, rights: Sequence[tuple[Kind, str]]) -> None:
    """Raise NotAllowed, with everything that is missing, unless every one of these verbs is allowed in the namespace.

    One question where the answer is `everything`, else one for each.
    """
    if _allowed(cluster, namespace, Kind("*", "*", "*", "*"), "*"):
        return
    answers = each(lambda right: _allowed(cluster, namespace, *right), rights)
    missing: dict[str, list[str]] = {}
    for (kind, verb), allowed in zip(rights, answers, strict=True):
        if not allowed:
            missing.setdefault(kind.resource, []).append(verb)
    if not missing:
        return
    same: dict[str, list[str]] = {}
    for resource, verbs in sorted(missing.items()):
        same.setdefault(", ".join(verbs), []).append(resource)
    resource, (verb, *_) = next(iter(missing.items()))
    raise NotAllowed(
        f"We are not allowed to do this in namespace {namespace}; nothing was written",
        evidence="\n".join(f"missing: {verbs}: {', '.join(resources)}" for verbs, resources in same.items()),
        next_step="Ask for a Role with these rights. To see it:"
        f" kubectl auth can-i {verb} {resource} -n {namespace} --context {cluster.context}",
    )


def namespace_exists(cluster: Cluster, namespace: str) -> bool:
    """Whether the namespace is there; someone who may not look is taken to know. Raises NotAllowed if it is missing and cannot be
    made."""
    try:
        cluster.request("get", f"/api/v1/namespaces/{namespace}")
    except NotAllowed:
        return True
    except Rejected as error:
        if error.status != 404:
            raise
        if not _allowed(cluster, "", Kind("", "v1", "Namespace", "namespaces"), "create"):
            raise NotAllowed(
                f"There is no namespace {namespace}, and we are not allowed to create one",
                evidence=error.evidence,
                next_step=f"Have it created (kubectl create namespace {namespace}), or choose another: K8s_NAMESPACE.",
            ) from None
        return False
    return True


def check_foreign_objects(cluster: Cluster, app_name: str, changes: Sequence[Change]) -> None:
    """Raise ForeignObject if something that would be created exists under its name: by its labels it is not the app's."""
    created = [change.item for change in changes if change.action == "create"]
    found = each(lambda item: cluster.get(kind_of(item), item["metadata"]["namespace"], item["metadata"]["name"]), created)
    for item in found:
        if item is None or (is_going(item) and item["metadata"].get("labels", {}).get(APP_LABEL) == app_name):
            continue
        labels = item["metadata"].get("labels", {})
        owner = labels.get(APP_LABEL)
        if owner == app_name and labels.get("app.kubernetes.io/managed-by") == MANAGER:  # it was not there a moment ago
            raise Refused(f"Another deploy of {app_name} is running", next_step="Wait for it, then deploy again.")
        whose = f"it belongs to the app {owner}" if owner else f"it has no label {APP_LABEL}"
        raise ForeignObject(
            f"{reference(item)} exists in namespace {item['metadata']['namespace']} and is not {app_name}'s: {whose}",
            evidence="Nothing was written.",
            next_step="Choose another app_name (APP_NAME) or namespace (K8s_NAMESPACE), or remove that object.",
        )


def check_placeholders(cluster: Cluster, changes: Sequence[Change]) -> None:
    """Raise ForeignObject if a Service has the name of a Knative Service that would be created.

    Knative makes a Service of that name for it, and would not touch somebody else's: it would never be ready.
    """
    created = [change.item for change in changes if change.action == "create" and kind_of(change.item) == KNATIVE_SERVICE]
    found = each(lambda item: cluster.get(SERVICE, item["metadata"]["namespace"], item["metadata"]["name"]), created)
    for item in filter(None, found):
        owners = item["metadata"].get("ownerReferences", [])
        if any(owner["apiVersion"].startswith(f"{KNATIVE_SERVICE.group}/") for owner in owners):
            continue  # Knative's own, of a service that was just removed
        owner = item["metadata"].get("labels", {}).get(APP_LABEL)
        raise ForeignObject(
            f"Service/{item['metadata']['name']} exists in namespace {item['metadata']['namespace']}"
            + (f" and belongs to the app {owner}" if owner else ""),
            evidence="Knative would need a Service of this name. Nothing was written.",
            next_step="Choose another app_name (APP_NAME) or namespace (K8s_NAMESPACE), or remove that object.",
        )


def check_acceptance(cluster: Cluster, changes: Sequence[Change]) -> None:
    """Dry-run every write on the server: schema, webhooks, quotas, ports. Raises PortTaken with the port's owner, or Rejected."""
    writes = [change.item for change in changes if change.action in ("create", "update")]

    def rehearse(item: Object) -> None:
        try:
            cluster.apply(item, dry_run=True)
        except Rejected as error:
            # Knative from 1.20 on tries a pod in a dry run: it cannot know the service account that is made just before.
            if kind_of(item) == KNATIVE_SERVICE and "service account" in error.evidence:
                return
            if "already allocated" in error.evidence:
                raise _port_taken(cluster, item, error) from None
            raise

    each(rehearse, writes)


def check_node_port(cluster: Cluster, changes: Sequence[Change]) -> None:
    """Raise PortTaken by the list of Services, where a dry run is impossible because the namespace does not exist yet."""
    for change in changes:
        if change.item.get("spec", {}).get("type") == "NodePort":
            owner = _port_owner(cluster, change.item)
            if owner:
                raise _taken(change.item, owner, "")


def _allowed(cluster: Cluster, namespace: str, kind: Kind, verb: str) -> bool:
    attributes = {"namespace": namespace, "verb": verb, "group": kind.group, "resource": kind.plural}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(cluster.request("post", REVIEWS, body)["status"]["allowed"])


def _port_taken(cluster: Cluster, item: Object, error: Rejected) -> PortTaken:
    return _taken(item, _port_owner(cluster, item), error.evidence)


def _taken(item: Object, owner: str, evidence: str) -> PortTaken:
    whose = f"{owner} has it" if owner else "another Service has it, in a namespace that we may not see"
    return PortTaken(
        f"The node port {_port(item)} is taken: {whose}",
        evidence=evidence or "Nothing was written.",
        next_step="Choose another one: node_port in [plugins.scale.kubernetes], or K8s_NODE_PORT (30000 to 32767).",
    )


def _port(item: Object) -> int | None:
    ports = item.get("spec", {}).get("ports", [])
    return ports[0].get("nodePort") if ports else None


def _port_owner(cluster: Cluster, item: Object) -> str:
    """`Service NAME in namespace NS`, with its app if it has one; "" if nobody is seen to have the port."""
    try:
        services = cluster.list(SERVICE)
    except NotAllowed:
        return ""
    own = (item["metadata"]["namespace"], item["metadata"]["name"])
    for service in services:
        metadata = service["metadata"]
        taken = {port.get("nodePort") for port in service["spec"].get("ports", [])}
        if _port(item) in taken and (metadata["namespace"], metadata["name"]) != own:
            app = metadata.get("labels", {}).get(APP_LABEL)
            return f"Service {metadata['name']} in namespace {metadata['namespace']}" + (f" (app {app})" if app else "")
    return ""

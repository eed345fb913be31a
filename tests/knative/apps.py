"""Apps for tests of the pure rooms, and the rules that every pod has to pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jacfn_knative.app import App, AppEndpoint, Bundle, Image, Knobs
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.manifests import Object, objects

KNATIVE = Capabilities(knative=True)
BARE = Capabilities(knative=False)
SHOP = App(
    name="shop",
    namespace="trade",
    project="the-shop",
    endpoints=tuple(
        AppEndpoint(id=name)
        for name in ("function/admin_action", "function/calculate_total", "walker/create_item", "walker/get_items")
    ),
    bundle=Bundle(
        hash="ab" * 32, files={"manifest.json": b"{}", "code.bin": b"\xe3\x00\x01", "src/main.jac": b"walker get_items {}"}
    ),
    image=Image(reference="registry.example/jacfn/runtime@sha256:" + "0" * 64),
)


def with_knobs(app: App, endpoint_id: str, **knobs: Any) -> App:
    """The app with other knobs for one endpoint."""
    return replace(
        app, endpoints=tuple(replace(item, knobs=Knobs(**knobs)) if item.id == endpoint_id else item for item in app.endpoints)
    )


def made(app: App = SHOP, capabilities: Capabilities = KNATIVE, **versions: str) -> dict[str, Object]:
    """The app's objects by `Kind/name` (`ksvc/name` for Knative's)."""
    from jacfn_knative.manifests.kinds import reference

    return {reference(item): item for item in objects(app, capabilities, versions)}


def pod_templates(item: Object) -> list[Object]:
    """The pod templates in an object."""
    spec = item.get("spec", {})
    if item["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return [spec["template"]] if "template" in spec else []


def environment(template: Object) -> dict[str, Any]:
    """Variable -> plain value, or (Secret, key)."""
    found = {}
    for item in template["spec"]["containers"][0]["env"]:
        reference = item.get("valueFrom", {}).get("secretKeyRef")
        found[item["name"]] = (reference["name"], reference["key"]) if reference else item["value"]
    return found


def restricted_violations(pod: Object) -> list[str]:
    """What the `restricted` Pod Security Standard (v1.31) would refuse in a pod spec."""
    found = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    found += [f"volume {volume['name']}" for volume in pod.get("volumes", []) if not set(volume) - {"name"} <= allowed]
    whole = pod.get("securityContext", {})
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        own = container.get("securityContext", {})
        checks = {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "runAsNonRoot": own.get("runAsNonRoot", whole.get("runAsNonRoot")) is True,
            "runAsUser": own.get("runAsUser", whole.get("runAsUser", 1)) != 0,
            "seccompProfile": own.get("seccompProfile", whole.get("seccompProfile")) == {"type": "RuntimeDefault"},
            "privileged": not own.get("privileged"),
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
        }
        found += [f"{container['name']}: {name}" for name, fine in checks.items() if not fine]
    return found


# What Knative Serving 1.15 takes in a revision template without a feature flag (facts/knative.md B.2).
KNATIVE_POD = {
    "serviceAccountName", "containers", "volumes", "imagePullSecrets", "enableServiceLinks", "automountServiceAccountToken",
    "timeoutSeconds", "responseStartTimeoutSeconds", "containerConcurrency",
}  # fmt: skip
KNATIVE_CONTAINER = {
    "name", "image", "imagePullPolicy", "command", "args", "env", "envFrom", "ports", "resources", "securityContext",
    "readinessProbe", "livenessProbe", "terminationMessagePolicy", "volumeMounts", "workingDir",
}  # fmt: skip


def flags_needed(template: Object) -> list[str]:
    """Fields of a Knative template that a feature flag would have to allow."""
    spec = template["spec"]
    found = sorted(set(spec) - KNATIVE_POD)
    for container in spec["containers"]:
        found += sorted(set(container) - KNATIVE_CONTAINER)
        found += [
            item["name"] for item in container["env"] if set(item.get("valueFrom", {})) - {"secretKeyRef", "configMapKeyRef"}
        ]
    kinds = {"emptyDir", "configMap", "secret", "projected"}
    return found + [volume["name"] for volume in spec["volumes"] if not set(volume) - {"name"} <= kinds]

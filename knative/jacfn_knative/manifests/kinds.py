"""The kinds of objects that an app can have, and the order in which they come into being."""

from __future__ import annotations

from typing import Any, NamedTuple

type Object = dict[str, Any]


class Kind(NamedTuple):
    """How the API server calls a kind; `group` is "" for the core."""

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As access rules and kubectl spell it: `services.serving.knative.dev`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


# Every kind that any version of jacfn has made or that is left behind by one that it made. Only ever add: destroy removes what
# older versions deployed. In the order of creation; removal is the other way round.
KINDS = (
    Kind("", "v1", "ServiceAccount", "serviceaccounts"),
    Kind("", "v1", "Secret", "secrets"),
    Kind("", "v1", "ConfigMap", "configmaps"),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),  # by the StatefulSet, which leaves it behind
    Kind("", "v1", "Service", "services"),
    Kind("apps", "v1", "StatefulSet", "statefulsets"),
    Kind("apps", "v1", "Deployment", "deployments"),
    Kind("batch", "v1", "Job", "jobs"),
    Kind("serving.knative.dev", "v1", "Service", "services"),
    Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("batch", "v1", "CronJob", "cronjobs"),
)
KNATIVE_SERVICE = next(kind for kind in KINDS if kind.group == "serving.knative.dev")

# A phase begins when everything of the one before is ready. By the label app.kubernetes.io/component.
PHASES = {
    "account": 0, "secret": 0, "bundle": 0, "network": 0,
    "mongodb": 1, "redis": 1,
    "init": 2,
    "function": 3,
    "gateway": 4, "server": 4,
    "front": 5, "warm": 5,
}  # fmt: skip


def kind_of(item: Object) -> Kind:
    """The Kind of an object. Raises KeyError for one that no app has."""
    group = item["apiVersion"].rpartition("/")[0]
    for kind in KINDS:
        if (kind.group, kind.kind) == (group, item["kind"]):
            return kind
    raise KeyError(f"{item['apiVersion']} {item['kind']}")


def phase(item: Object) -> int:
    """When an object is applied: 0 for what others need, 5 for what needs all others."""
    return PHASES[item["metadata"]["labels"]["app.kubernetes.io/component"]]


def reference(item: Object) -> str:
    """`Deployment/shop` for people; Knative's Service is `ksvc/NAME`, so that nobody takes it for the core's."""
    kind = kind_of(item)
    return f"{'ksvc' if kind == KNATIVE_SERVICE else kind.kind}/{item['metadata']['name']}"

"""What every manifest of one app is made from, and the labels and annotations that every object carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jacfn_knative.app import App, AppEndpoint, Knobs
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests.kinds import Object
from jacfn_knative.names import service_names

APP_LABEL = "jacfn.dev/app"
ENDPOINT = "jacfn.dev/endpoint"  # label: the service's name; annotation: the exact endpoint ids
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGER = "jacfn"
PROJECT = "jacfn.dev/project"
DEPLOYER = "jacfn.dev/deployer"
SECRETS = "jacfn.dev/secrets"


@dataclass(frozen=True)
class FunctionService:
    """One service and the endpoints that it serves: usually one, several where they share a group."""

    name: str
    endpoints: tuple[AppEndpoint, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(endpoint.id for endpoint in self.endpoints)

    @property
    def knobs(self) -> Knobs:
        """Of all its endpoints: they are the same."""
        return self.endpoints[0].knobs


@dataclass(frozen=True)
class Context:
    """An app, a cluster, and the fingerprints of its Secrets."""

    app: App
    capabilities: Capabilities
    secret_versions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def services(self) -> tuple[FunctionService, ...]:
        """The function services, by name. Raises NameCollision; InvalidApp if endpoints of a group differ in their knobs."""
        members: dict[str, list[AppEndpoint]] = {}
        for endpoint in sorted(self.app.endpoints, key=lambda item: item.id):
            identity = f"group/{endpoint.knobs.group}" if endpoint.knobs.group else endpoint.id
            members.setdefault(identity, []).append(endpoint)
        names = service_names(self.app.name, members)
        for identity, endpoints in members.items():
            if any(endpoint.knobs != endpoints[0].knobs for endpoint in endpoints):
                raise InvalidApp(
                    f"The endpoints of {identity} share one service and ask for different knobs",
                    evidence=", ".join(endpoint.id for endpoint in endpoints),
                    next_step="Give them the same settings in [plugins.scale.functions.<name>], or different groups.",
                )
        return tuple(sorted((FunctionService(names[i], tuple(e)) for i, e in members.items()), key=lambda service: service.name))

    def labels(self, component: str, endpoint: str = "") -> dict[str, str]:
        """The labels of an object or pod template. They never change for the same thing: a changed template is a new revision."""
        labels = {
            "app.kubernetes.io/name": component,
            "app.kubernetes.io/instance": self.app.name,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/part-of": self.app.name,
            "app.kubernetes.io/managed-by": MANAGER,
            APP_LABEL: self.app.name,
        }
        return labels | ({ENDPOINT: endpoint} if endpoint else {})

    def selector(self, component: str) -> dict[str, str]:
        """What selects the pods of a component. Immutable on Deployments and StatefulSets: never add to it."""
        return {APP_LABEL: self.app.name, COMPONENT_LABEL: component}

    def metadata(self, name: str, component: str, service: FunctionService | None = None) -> Object:
        """The metadata of an object of the app."""
        annotations = {PROJECT: self.app.project, DEPLOYER: self.capabilities.mode}
        if service:
            annotations[ENDPOINT] = ",".join(service.ids)
        return {
            "name": name,
            "namespace": self.app.namespace,
            "labels": self.labels(component, service.name if service else ""),
            "annotations": annotations,
        }

    def secret(self, name: str) -> str:
        """The name of one of the app's Secrets: `shop-jwt`."""
        return f"{self.app.name}-{name}"

    def fingerprint(self, *names: str) -> dict[str, str]:
        """The annotation by which a pod template follows the Secrets that it reads; {} where nothing is known of them."""
        known = [self.secret_versions[self.secret(name)] for name in names if self.secret(name) in self.secret_versions]
        return {SECRETS: ".".join(known)} if known else {}

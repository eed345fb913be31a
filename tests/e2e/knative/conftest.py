"""Programs, apps and the knative room's own connection for tests on the real cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import Cluster as Kubectl
from jacfn_knative.app import App, AppEndpoint, Bundle, Image
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.cluster import Cluster, Deployed, carry_out, connect, destroy, discover, prepare
from jacfn_knative.plan import Change
from jacfn_knative.report import Event
from jacfn_runtime.program.bundle import build_bundle

TWO_ENDPOINTS = """
def : pub answer() -> int {
    return 42;
}
walker : pub greet {
    can hello with Root entry {
        report "hello";
    }
}
"""


@dataclass
class Room:
    """The knative room on the cluster, with everything that it reported."""

    api: Cluster
    kubectl: Kubectl
    events: list[Event] = field(default_factory=list)

    def deploy(self, app: App, capabilities: Capabilities | None = None, seconds: float = 150) -> Deployed:
        """`prepare` and `carry_out`, through the cluster's ingress."""
        prepared = prepare(self.api, app, capabilities or discover(self.api), self.events.append)
        gateway = self.kubectl.env["GATEWAY"]
        return carry_out(self.api, prepared, self.events.append, ready_seconds=seconds, ingress_address=gateway)

    def plan(self, app: App, capabilities: Capabilities | None = None) -> dict[str, Change]:
        """What a deploy would write, by reference."""
        return {change.reference: change for change in prepare(self.api, app, capabilities).writes}

    def destroy(self, app: App, *, keep_data: bool = False) -> list[str]:
        """Remove the app."""
        return destroy(self.api, app.name, app.namespace, app.project, self.events.append, keep_data=keep_data)


@pytest.fixture(scope="session")
def room(cluster: Kubectl) -> Iterator[Room]:
    """The room, connected; needs Knative."""
    if not cluster.knative:
        pytest.skip("this cluster has no Knative")
    patch = pytest.MonkeyPatch()
    patch.setenv("KUBECONFIG", cluster.env["KUBECONFIG"])
    yield Room(connect(), cluster)
    patch.undo()


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Bundle, tuple[AppEndpoint, ...]]]:
    """A program's text -> its bundle and endpoints."""

    def build(text: str) -> tuple[Bundle, tuple[AppEndpoint, ...]]:
        folder: Path = tmp_path_factory.mktemp("program")
        (folder / "main.jac").write_text(text)
        manifest = build_bundle(folder / "main.jac", folder / "bundle")
        files = {
            str(path.relative_to(folder / "bundle")): path.read_bytes()
            for path in (folder / "bundle").rglob("*")
            if path.is_file()
        }
        endpoints = tuple(AppEndpoint(id=endpoint.id, public=endpoint.public) for endpoint in manifest.catalog.endpoints)
        return Bundle(hash=manifest.hash, files=files), endpoints

    return build


@pytest.fixture(scope="module")
def namespace(cluster: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one file of tests that enforces `restricted`, removed at the end."""
    name = request.module.__name__.rpartition("test_")[2].replace("_", "-")
    with cluster.namespace(f"jacfn-e2e-{name}-{os.getpid()}") as found:
        yield found


@pytest.fixture(scope="module")
def app(
    namespace: str, runtime_image: str, bundle_of: Callable[[str], tuple[Bundle, tuple[AppEndpoint, ...]]]
) -> Callable[..., App]:
    """An app of two endpoints, with whatever a test wants otherwise; `program` is another program's text."""

    def make(program: str = TWO_ENDPOINTS, **changed: Any) -> App:
        bundle, endpoints = bundle_of(program)
        found = App(
            name="duo",
            namespace=namespace,
            project="e2e",
            endpoints=endpoints,
            bundle=bundle,
            image=Image(reference=runtime_image),
            node_port=0,
        )
        return replace(found, **changed)

    return make

"""`jac start --scale --build` against a registry that demands a login, in a namespace that enforces `restricted`.

The registry runs in the network of the cluster's node and is forwarded to the same port here, so that `localhost:PORT` is one
registry for both, as the node's containerd speaks plain HTTP to localhost.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import servers
from e2e import homes
from e2e.cluster import SCRIPT, Cluster, eventually
from e2e.conftest import SHOP, Deployment
from knative.image.conftest import HTPASSWD, PASSWORD, TokenRegistry, registry_binary, token_registry

__all__ = ["registry_binary", "token_registry"]  # fixtures
NETWORK = Path("/run/netns/k8s")
ANN = {"DOCKER_USERNAME": "ann", "DOCKER_PASSWORD": PASSWORD}
PUSHED = re.compile(r"(\S+@(sha256:[0-9a-f]{64})): pushed: (\d+) of \d+ blobs sent, ([\d.]+) (kB|MB)")


@pytest.fixture(scope="module")
def registry(cluster: Cluster, registry_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`localhost:PORT` of a registry for `ann` with PASSWORD, here and on the node."""
    if not NETWORK.exists():
        pytest.skip("the cluster's node has no network namespace here")
    folder, port = tmp_path_factory.mktemp("registry"), servers.free_port()
    (folder / "htpasswd").write_text(HTPASSWD)
    configuration = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"0.0.0.0:{port}"},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yaml").write_text(json.dumps(configuration))
    node = cluster.env["NODE_IP"]
    forwarding = ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork", f"TCP:{node}:{port}"]
    serving = ["nsenter", f"--net={NETWORK}", registry_binary, "serve", str(folder / "config.yaml")]
    here, there = servers.Server(forwarding, port, "", folder), servers.Server(serving, port, "", folder)
    try:
        here.start()
        there.start()
        assert eventually(lambda: _demands_a_login(port), 20), (folder / "server.log").read_text()
        yield f"localhost:{port}"
    finally:
        there.stop()
        here.stop()


def _demands_a_login(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/").status_code == 401
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace(f"jacfn-h9-build-{os.getpid()}") as name:
        yield name


def build(app: Deployment, *arguments: str, **env: str) -> homes.Run:
    return app.jac("start", app.entry.name, "--scale", "--build", *arguments, **env)


def refused(app: Deployment, *arguments: str, **env: str) -> str:
    """What the command says, after checking that it failed, built nothing and wrote nothing to the cluster."""
    run = build(app, *arguments, **env)
    assert run.code != 0, str(run)
    assert "Traceback" not in run.err, str(run)
    assert not (app.entry.parent / ".jac").exists()
    assert app.cluster.everything(app.namespace, f"jacfn.dev/app={app.app}") == []
    return run.err


@pytest.fixture
def stranger(cluster: Cluster, namespace: str, runtime_image: str, tmp_path: Path) -> Deployment:
    """An app that no registry lets in."""
    return Deployment(cluster, namespace, "refused", homes.copy_of(SHOP, tmp_path), runtime_image, node_port=30031)


def test_a_wrong_password_is_named_and_nothing_is_applied(stranger: Deployment, registry: str) -> None:
    said = refused(stranger, "--registry", f"{registry}/me", **ANN | {"DOCKER_PASSWORD": "wr0ng-word"})
    assert f"{registry} does not accept the user name or password" in said
    assert "wr0ng-word" not in said


def test_a_missing_push_right_is_named_and_nothing_is_applied(stranger: Deployment, token_registry: TokenRegistry) -> None:
    said = refused(stranger, "--registry", f"{token_registry.name}/team", **ANN | {"DOCKER_USERNAME": "bob"})
    assert f"{token_registry.name} does not let this login push to team/refused" in said


def test_a_missing_login_is_named_and_nothing_is_applied(stranger: Deployment, registry: str, tmp_path: Path) -> None:
    said = refused(stranger, "--registry", f"{registry}/me", DOCKER_CONFIG=str(tmp_path))
    assert f"docker login {registry}" in said


class Shop:
    """The shop as `--build` deployed it, and what the last push said."""

    def __init__(self, app: Deployment, registry: str) -> None:
        self.app = app
        self.place = f"{registry}/me"
        self.run = self.deploy()

    def deploy(self) -> homes.Run:
        self.run = build(self.app, "--registry", self.place, **ANN)
        assert self.run.code == 0, str(self.run)
        return self.run

    @property
    def pushed(self) -> re.Match[str]:
        found = PUSHED.search(self.run.err)
        assert found, str(self.run)
        return found

    def pod_specs(self) -> list[dict[str, Any]]:
        services = self.app.cluster.get("ksvc", self.app.namespace, f"jacfn.dev/app={self.app.app}")
        assert services
        return [service["spec"]["template"]["spec"] for service in services]

    def answer(self) -> int:
        send = homes.knative(self.app.cluster, self.app.namespace, self.app.app)
        return send("POST", "/walker/get_items", {"content-type": "application/json"}, b"{}").status_code


@pytest.fixture(scope="module")
def shop(cluster: Cluster, namespace: str, registry: str, runtime_image: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    if not cluster.knative:
        pytest.skip("this cluster has no Knative")
    entry = homes.copy_of(SHOP, tmp_path_factory.mktemp("build"))
    app = Deployment(cluster, namespace, "shop", entry, runtime_image, node_port=30032)
    return Shop(app, registry)  # it goes with its namespace


def test_with_the_right_login_every_service_runs_in_the_app_s_own_image(shop: Shop) -> None:
    assert shop.answer() == 200
    for spec in shop.pod_specs():
        (container,) = spec["containers"]
        assert container["image"] == shop.pushed[1]
        assert {"name": "JACFN_BUNDLE", "value": "/app/bundle"} in container["env"]


def test_nodes_pull_with_a_secret_of_the_app(shop: Shop) -> None:
    found = shop.app.cluster.get("secrets", shop.app.namespace, "jacfn.dev/app=shop")
    (name,) = (item["metadata"]["name"] for item in found if item["type"] == "kubernetes.io/dockerconfigjson")
    assert [spec["imagePullSecrets"] for spec in shop.pod_specs()] == [[{"name": name}]] * len(shop.pod_specs())
    assert PASSWORD not in shop.run.err + shop.run.out


def test_built_again_elsewhere_it_is_the_same_and_nothing_is_sent(shop: Shop, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    entry, env = homes.copy_of(shop.app.entry, tmp_path), shop.app.env | {"JACFN_CACHE": str(tmp_path / "cache")}
    run = homes.jac("start", entry.name, "--scale", "--build", "--output", str(archive), folder=entry.parent, env=env)
    assert run.code == 0, str(run)
    digest = shop.pushed[2].removeprefix("sha256:")
    assert run.out.strip() == f"dev.local/shop:{digest[:12]}", f"{shop.run}\n{run}"
    shop.deploy()
    assert (shop.pushed[2], shop.pushed[3]) == (f"sha256:{digest}", "0")


def test_a_changed_line_pushes_one_small_layer(shop: Shop) -> None:
    before = shop.pushed[2]
    text = shop.app.entry.read_text()
    assert "return sum(items);" in text
    shop.app.entry.write_text(text.replace("return sum(items);", "return sum(items) * 2;"))
    shop.deploy()
    assert shop.pushed[2] != before
    assert shop.pushed[3] == "2"  # the layer of the bundle, and the configuration
    assert shop.pushed[5] == "kB"  # the bundle with what the slim loader needs, of an image of some 60 MB
    assert shop.answer() == 200


def test_an_archive_that_was_loaded_into_the_node_needs_no_registry(shop: Shop, tmp_path: Path) -> None:
    # An image of its own: kubelets ask for the login again where they once pulled the same content with one (1.35, KEP 2535).
    shop.app.entry.write_text(shop.app.entry.read_text() + "\nwalker:pub only_in_the_archive { }\n")
    archive = tmp_path / "image.tar"
    run = build(shop.app, "--output", str(archive))
    assert run.code == 0, str(run)
    assert "jac start --scale --build --registry dev.local" in run.err
    name = run.out.strip()
    subprocess.run([str(SCRIPT), "load", str(archive)], check=True, capture_output=True, timeout=120)
    again = build(shop.app, "--registry", "dev.local")
    assert again.code == 0, str(again)
    assert {spec["containers"][0]["image"] for spec in shop.pod_specs()} == {name}
    assert shop.answer() == 200

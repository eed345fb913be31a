"""Bad input to a deploy: each is refused at once with its reason, a non-zero exit, and nothing written."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e import homes
from e2e.cluster import Cluster
from e2e.conftest import SHOP, Deployment
from servers import free_port


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("jacfn-e2e-refusals") as name:
        yield name


@pytest.fixture
def app(cluster: Cluster, namespace: str, runtime_image: str, tmp_path: Path) -> Deployment:
    return Deployment(cluster, namespace, "refused", homes.copy_of(SHOP, tmp_path), runtime_image, node_port=30021)


def refused(app: Deployment, *arguments: str, **env: str) -> str:
    """What the command says on stderr, after checking that it failed without a traceback and wrote nothing."""
    run = app.jac(*(arguments or ("start", "main.jac", "--scale")), **env)
    assert run.code != 0, str(run)
    assert "Traceback" not in run.err, str(run)
    assert app.cluster.everything(app.namespace, f"jacfn.dev/app={app.app}") == []
    return run.err


def kubeconfig(app: Deployment, folder: Path, server: str, token: str = "") -> str:
    """A kubeconfig for another server address or another user; its path."""
    config = json.loads(app.cluster.kubectl("config", "view", "--raw", "-o", "json"))
    config["clusters"][0]["cluster"]["server"] = server or config["clusters"][0]["cluster"]["server"]
    if token:
        config["users"][0]["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


def test_no_cluster_reachable(app: Deployment, tmp_path: Path) -> None:
    said = refused(app, KUBECONFIG=kubeconfig(app, tmp_path, f"https://127.0.0.1:{free_port()}"))
    assert "cannot be reached" in said and "127.0.0.1" in said


def test_no_kubeconfig_at_all(app: Deployment, tmp_path: Path) -> None:
    assert "kubeconfig" in refused(app, KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path)).lower()


def test_not_allowed_to_create_in_the_namespace(app: Deployment, tmp_path: Path) -> None:
    app.cluster.kubectl("create", "serviceaccount", "reader", "-n", app.namespace)
    token = app.cluster.kubectl("create", "token", "reader", "-n", app.namespace).strip()
    said = refused(app, KUBECONFIG=kubeconfig(app, tmp_path, "", token))
    assert "not allowed" in said and app.namespace in said


def test_an_image_that_does_not_exist(app: Deployment) -> None:
    started = time.monotonic()
    said = refused(replace(app, image=f"{app.cluster.env['REGISTRY']}/jacfn/nothing:here"))
    assert "jacfn/nothing:here" in said
    assert time.monotonic() - started < 60, "the reason came from a timeout"


def test_an_image_that_is_no_runtime_image(app: Deployment) -> None:
    said = refused(replace(app, image=f"{app.cluster.env['REGISTRY']}/library/python:3.12-slim"))
    assert "is no image of jacfn" in said and "jacfn image runtime" in said


def test_a_node_port_that_is_taken_names_its_owner(app: Deployment) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "squatter"},
        "spec": {"type": "NodePort", "selector": {"a": "b"}},
    }
    manifest["spec"] |= {"ports": [{"port": 80, "nodePort": 30021}]}  # type: ignore[operator, attr-defined]
    app.cluster.kubectl("apply", "-n", app.namespace, "-f", "-", stdin=json.dumps(manifest))
    try:
        said = refused(app)
        assert "30021" in said and "squatter" in said
    finally:
        app.cluster.kubectl("delete", "service", "squatter", "-n", app.namespace)


def test_a_cluster_without_a_store_is_refused(app: Deployment) -> None:
    said = refused(app, K8s_MONGODB="False")
    assert "MONGODB_URI" in said or "mongodb_uri" in said


def test_destroy_without_a_terminal_and_without_yes_touches_nothing(shop_deployed: Deployment) -> None:
    def kept() -> set[str]:
        kinds = ("secrets", "configmaps", "statefulsets", "persistentvolumeclaims", "services")
        found = [
            item for kind in kinds for item in shop_deployed.cluster.get(kind, shop_deployed.namespace, "jacfn.dev/app=shop")
        ]
        return {item["metadata"]["uid"] for item in found}

    before = kept()
    run = shop_deployed.jac("destroy", "main.jac")
    assert run.code == 2, str(run)
    assert "--yes" in run.err
    assert before and kept() == before


def test_no_secret_shows_in_the_commands_output_or_the_manifests(shop_deployed: Deployment) -> None:
    secrets = shop_deployed.cluster.get("secrets", shop_deployed.namespace, f"jacfn.dev/app={shop_deployed.app}")
    values = [base64.b64decode(value).decode() for secret in secrets for value in secret.get("data", {}).values()]
    assert values
    run = shop_deployed.deploy()
    kinds = (
        ("ksvc", "deployments", "statefulsets", "configmaps", "jobs", "pods")
        if shop_deployed.cluster.knative
        else ("deployments", "pods")
    )
    shown = (
        run.out
        + run.err
        + "".join(shop_deployed.cluster.kubectl("get", kind, "-n", shop_deployed.namespace, "-o", "yaml") for kind in kinds)
    )
    assert [value for value in values if len(value) > 8 and value in shown] == []

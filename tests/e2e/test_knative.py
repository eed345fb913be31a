"""An app on Knative: a service for each endpoint, asleep when idle, safe to deploy again, gone without a trace after destroy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import homes
from e2e.cluster import Cluster, eventually
from e2e.conftest import SHOP, Deployment

ENDPOINTS = ["function/admin_action", "function/calculate_total", "walker/create_item", "walker/get_items"]
BODIES = {"function/calculate_total": {"items": [1.5, 2.5]}, "walker/create_item": {"name": "Widget", "price": 9.99}}


@pytest.fixture(autouse=True)
def _knative_only(cluster: Cluster) -> None:
    if not cluster.knative:
        pytest.skip("this cluster has no Knative")


@pytest.fixture(scope="module")
def send(shop_deployed: Deployment) -> homes.Send:
    return homes.knative(shop_deployed.cluster, shop_deployed.namespace, shop_deployed.app)


def post(send: homes.Send, path: str, body: Any = None, token: str | None = None) -> Any:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    return send("POST", path, headers, json.dumps(body or {}).encode())


@pytest.fixture(scope="module")
def token(send: homes.Send) -> str:
    user = {"username": "carol", "password": "a long enough password"}
    assert post(send, "/register", user).status_code == 201
    return str(post(send, "/login", user).json()["data"]["token"])


def pods(deployment: Deployment, endpoint: str | None = None) -> list[dict[str, Any]]:
    """The pods of an endpoint's function service that are not already ending; of all endpoints without a name."""
    found = deployment.cluster.get("pods", deployment.namespace, f"jacfn.dev/app={deployment.app},jacfn.dev/endpoint")
    live = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return [pod for pod in live if endpoint in (None, pod["metadata"]["annotations"].get("jacfn.dev/endpoint"))]


def test_each_endpoint_has_a_url_of_its_own(shop_deployed: Deployment) -> None:
    hosts = homes.hosts(shop_deployed.cluster, shop_deployed.namespace, shop_deployed.app)
    assert sorted(hosts) == sorted([*ENDPOINTS, "gateway"])
    assert len(set(hosts.values())) == 5


def test_only_the_public_walker_answers_without_a_token(send: homes.Send, token: str) -> None:
    without = {endpoint: post(send, f"/{endpoint}", BODIES.get(endpoint)).status_code for endpoint in ENDPOINTS}
    with_token = {endpoint: post(send, f"/{endpoint}", BODIES.get(endpoint), token).status_code for endpoint in ENDPOINTS}
    assert without == dict.fromkeys(ENDPOINTS, 401) | {"walker/get_items": 200}
    assert with_token == dict.fromkeys(ENDPOINTS, 200)


def test_the_bare_url_of_a_function_service_is_its_endpoint(shop_deployed: Deployment, token: str) -> None:
    hosts = homes.hosts(shop_deployed.cluster, shop_deployed.namespace, shop_deployed.app)
    total = homes.sender(shop_deployed.cluster.env["GATEWAY"], hosts["function/calculate_total"])
    assert post(total, "/", {"items": [1.0, 2.0]}, token).json()["data"]["result"] == 3.0


def test_what_one_service_creates_another_lists_for_the_same_user_only(send: homes.Send, token: str) -> None:
    created = post(send, "/walker/create_item", {"name": "only hers", "price": 1.0}, token)
    assert created.status_code == 200
    assert "only hers" in post(send, "/walker/get_items", {}, token).text
    assert "only hers" not in post(send, "/walker/get_items", {}).text


def test_one_address_answers_for_the_whole_app(shop_deployed: Deployment, token: str) -> None:
    cluster = shop_deployed.cluster
    hosts = homes.hosts(cluster, shop_deployed.namespace, shop_deployed.app)
    addresses = {
        "gateway": homes.sender(cluster.env["GATEWAY"], hosts["gateway"]),
        "node port": homes.sender(f"http://{cluster.env['NODE_IP']}:30001"),
    }
    for name, address in addresses.items():
        assert address("GET", "/docs", {}, b"").status_code == 200, name
        login = post(address, "/login", {"username": "carol", "password": "a long enough password"})
        assert login.status_code == 200, name
        assert post(address, "/walker/create_item", BODIES["walker/create_item"], token).status_code == 200, name


def test_every_endpoint_sleeps_and_wakes_with_its_data(shop_deployed: Deployment, send: homes.Send, token: str) -> None:
    post(send, "/walker/create_item", {"name": "from before the sleep", "price": 2.0}, token)
    assert eventually(lambda: not pods(shop_deployed), 120), [pod["metadata"]["name"] for pod in pods(shop_deployed)]
    for endpoint in ENDPOINTS:
        assert post(send, f"/{endpoint}", BODIES.get(endpoint), token).status_code == 200
        assert len(pods(shop_deployed, endpoint)) == 1, endpoint
    assert "from before the sleep" in post(send, "/walker/get_items", {}, token).text


def snapshot(deployment: Deployment) -> dict[str, tuple[Any, ...]]:
    """Generation and resourceVersion-free identity of everything that a deploy could touch."""
    found: dict[str, tuple[Any, ...]] = {}
    for kind in (
        "ksvc",
        "revisions",
        "configmaps",
        "secrets",
        "services",
        "statefulsets",
        "deployments",
        "jobs",
        "serviceaccounts",
    ):
        for item in deployment.cluster.get(kind, deployment.namespace, f"jacfn.dev/app={deployment.app}"):
            meta = item["metadata"]
            if kind == "revisions" or "ownerReferences" not in meta:  # what Knative makes of a service, it also scales
                found[f"{kind}/{meta['name']}"] = (meta["uid"], meta.get("generation"))
    return found


def writes(cluster: Cluster, namespace: str) -> list[str]:
    """Every write by a person's credentials to this namespace that the API server has logged, dry runs left out."""
    log = Path.home() / ".cache" / "test-cluster" / "log" / "audit.log"
    found = []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        reference = event.get("objectRef", {})
        if reference.get("namespace") == namespace and "dryRun" not in event["requestURI"]:
            found.append(f"{event['verb']} {reference.get('resource')}/{reference.get('name')}")
    return found


def test_an_unchanged_redeploy_writes_nothing(shop_deployed: Deployment) -> None:
    before, written = snapshot(shop_deployed), writes(shop_deployed.cluster, shop_deployed.namespace)
    shop_deployed.deploy()
    assert writes(shop_deployed.cluster, shop_deployed.namespace)[len(written) :] == []
    assert snapshot(shop_deployed) == before


@pytest.fixture
def edited(shop_deployed: Deployment) -> Iterator[Callable[[str, str], None]]:
    """Change the program's text for one test; put back and deployed again at the end."""
    original = shop_deployed.entry.read_text()

    def edit(old: str, new: str) -> None:
        assert old in original
        shop_deployed.entry.write_text(original.replace(old, new))

    yield edit
    shop_deployed.entry.write_text(original)
    shop_deployed.deploy()


def test_changing_one_walkers_body_changes_only_what_must(
    shop_deployed: Deployment, edited: Callable[[str, str], None], send: homes.Send, token: str
) -> None:
    before = snapshot(shop_deployed)
    edited("return sum(items);", "return sum(items) * 2;")
    shop_deployed.deploy()
    after = snapshot(shop_deployed)
    kept = {name for name in before if after.get(name) == before[name]}
    assert post(send, "/function/calculate_total", {"items": [1.0, 2.0]}, token).json()["data"]["result"] == 6.0
    data_and_secrets = {
        name for name in before if name.split("/")[0] in ("secrets", "statefulsets", "services", "serviceaccounts")
    }
    assert {name for name in data_and_secrets if "shop" in name} <= kept | {n for n in before if "-0000" in n}


def test_a_second_project_without_settings_is_refused(shop_deployed: Deployment, tmp_path: Path) -> None:
    other = Deployment(
        shop_deployed.cluster, shop_deployed.namespace, shop_deployed.app, homes.copy_of(SHOP, tmp_path), shop_deployed.image
    )
    written = writes(shop_deployed.cluster, shop_deployed.namespace)
    run = other.jac("start", "main.jac", "--scale")
    assert run.code != 0
    assert "another project" in run.err, str(run)
    assert "belongs to" in other.destroy().err
    assert writes(shop_deployed.cluster, shop_deployed.namespace)[len(written) :] == []


def test_destroy_leaves_nothing_and_touches_no_neighbour(shop_deployed: Deployment, tmp_path: Path) -> None:
    cluster, namespace = shop_deployed.cluster, shop_deployed.namespace
    neighbours = snapshot(shop_deployed)
    doomed = Deployment(cluster, namespace, "shop-two", homes.copy_of(SHOP, tmp_path), shop_deployed.image, node_port=30002)
    doomed.deploy()
    assert any(name.startswith("persistentvolumeclaim") for name in cluster.everything(namespace, "jacfn.dev/app=shop-two"))
    run = doomed.destroy()
    assert run.code == 0, str(run)
    assert cluster.everything(namespace, "jacfn.dev/app=shop-two") == []
    assert snapshot(shop_deployed) == neighbours


def test_keep_data_keeps_the_database_for_the_next_deploy(shop_deployed: Deployment, tmp_path: Path) -> None:
    cluster, namespace = shop_deployed.cluster, shop_deployed.namespace
    app = Deployment(cluster, namespace, "keeper", homes.copy_of(SHOP, tmp_path), shop_deployed.image, node_port=30003)
    app.deploy()
    user = {"username": "dora", "password": "a long enough password"}
    assert post(homes.knative(cluster, namespace, "keeper"), "/register", user).status_code == 201
    assert app.destroy("--keep-data").code == 0
    left = {name.split(".")[0].split("/")[0] for name in cluster.everything(namespace, "jacfn.dev/app=keeper")}
    assert "ksvc" not in left and "persistentvolumeclaim" in left
    app.deploy()
    assert post(homes.knative(cluster, namespace, "keeper"), "/login", user).status_code == 200
    assert app.destroy().code == 0
    assert cluster.everything(namespace, "jacfn.dev/app=keeper") == []


def test_without_mongodb_a_sleeping_endpoint_wakes_and_says_503(shop_deployed: Deployment, send: homes.Send, token: str) -> None:
    cluster, namespace = shop_deployed.cluster, shop_deployed.namespace
    assert eventually(lambda: not pods(shop_deployed, "walker/get_items"), 120)
    cluster.kubectl("scale", "statefulset", "-n", namespace, "-l", f"jacfn.dev/app={shop_deployed.app}", "--replicas=0")
    try:
        assert eventually(lambda: not cluster.get("pods", namespace, "app.kubernetes.io/component=mongodb"), 90)
        redis = cluster.get("deployments", namespace, f"jacfn.dev/app={shop_deployed.app},app.kubernetes.io/component=redis")
        assert redis, "the shop has a Redis"
        answer = post(send, "/walker/create_item", BODIES["walker/create_item"], token)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    finally:
        cluster.kubectl("scale", "statefulset", "-n", namespace, "-l", f"jacfn.dev/app={shop_deployed.app}", "--replicas=1")
    assert eventually(lambda: post(send, "/walker/create_item", BODIES["walker/create_item"], token).status_code == 200, 120)

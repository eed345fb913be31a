"""The same app on a cluster without Knative: a Deployment, a Service on the node port and an autoscaler, said aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e import homes
from e2e.cluster import Cluster
from e2e.conftest import SHOP, Deployment


@pytest.fixture(autouse=True)
def _bare_only(cluster: Cluster) -> None:
    if cluster.knative:
        pytest.skip("this cluster has Knative")


def test_the_deploy_says_that_it_falls_back(cluster: Cluster, runtime_image: str, tmp_path: Path) -> None:
    with cluster.namespace("jacfn-e2e-aloud") as namespace:
        app = Deployment(cluster, namespace, "aloud", homes.copy_of(SHOP, tmp_path), runtime_image, node_port=30011)
        run = app.deploy()
        assert "no Knative" in run.err
        assert f"http://{cluster.env['NODE_IP']}:30011" in run.out or "http://localhost:30011" in run.out
        assert app.destroy().code == 0
        assert cluster.everything(namespace, "jacfn.dev/app=aloud") == []


def test_the_autoscaler_has_the_specs_numbers(shop_deployed: Deployment) -> None:
    (scaler,) = shop_deployed.cluster.get("hpa", shop_deployed.namespace, f"jacfn.dev/app={shop_deployed.app}")
    metric = scaler["spec"]["metrics"][0]["resource"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 5)
    assert (metric["name"], metric["target"]["averageUtilization"]) == ("cpu", 80)


def test_the_pod_has_the_specs_probes_and_a_cpu_request(shop_deployed: Deployment) -> None:
    deployments = shop_deployed.cluster.get("deployments", shop_deployed.namespace, f"jacfn.dev/app={shop_deployed.app}")
    (app,) = [
        item for item in deployments if item["metadata"]["labels"]["app.kubernetes.io/component"] not in ("redis", "mongodb")
    ]
    (container,) = app["spec"]["template"]["spec"]["containers"]
    readiness, liveness = container["readinessProbe"], container["livenessProbe"]
    assert (readiness["initialDelaySeconds"], readiness["periodSeconds"]) == (10, 20)
    assert (liveness["initialDelaySeconds"], liveness["periodSeconds"], liveness["failureThreshold"]) == (10, 20, 80)
    assert container["resources"]["requests"]["cpu"]


def test_an_unchanged_redeploy_keeps_every_generation(shop_deployed: Deployment) -> None:
    def generations() -> dict[str, int]:
        items = [
            item
            for kind in ("deployments", "statefulsets", "services", "hpa", "configmaps", "secrets")
            for item in shop_deployed.cluster.get(kind, shop_deployed.namespace, f"jacfn.dev/app={shop_deployed.app}")
        ]
        return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"].get("generation", 0) for item in items}

    before = generations()
    shop_deployed.deploy()
    assert generations() == before

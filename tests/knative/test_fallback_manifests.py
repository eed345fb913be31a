"""A cluster without Knative: Deployment, Service, HorizontalPodAutoscaler, with the numbers of the jac-scale document."""

from __future__ import annotations

from dataclasses import replace

from jacfn_knative.app import Autoscaling, Health
from jacfn_knative.capabilities import Capabilities
from knative.apps import BARE, SHOP, environment, made


def test_one_deployment_serves_everything() -> None:
    everything = made(SHOP, BARE)
    assert not [name for name in everything if name.startswith(("ksvc/", "CronJob/"))]
    template = everything["Deployment/shop"]["spec"]["template"]
    env = environment(template)
    assert (env["JACFN_SERVE"], env["PORT"], env["JWT_EXP_DELTA_DAYS"]) == ("all", "8000", "7")
    assert template["spec"]["containers"][0]["command"] == ["python", "-m", "jacfn_runtime"]


def test_probes_have_the_documents_numbers_and_ask_no_store() -> None:
    (container,) = made(SHOP, BARE)["Deployment/shop"]["spec"]["template"]["spec"]["containers"]
    http = {"path": "/healthz/live", "port": 8000}
    assert container["readinessProbe"] == {"httpGet": http, "initialDelaySeconds": 10, "periodSeconds": 20}
    assert container["livenessProbe"] == {
        "httpGet": http,
        "initialDelaySeconds": 10,
        "periodSeconds": 20,
        "failureThreshold": 80,
    }


def test_the_health_check_path_is_a_setting() -> None:
    app = replace(SHOP, health=Health(path="/docs"))
    (container,) = made(app, BARE)["Deployment/shop"]["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/docs"


def test_the_autoscaler_owns_the_replicas_and_has_a_cpu_request_to_go_by() -> None:
    everything = made(SHOP, BARE)
    assert "replicas" not in everything["Deployment/shop"]["spec"]
    (container,) = everything["Deployment/shop"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == "100m"
    spec = everything["HorizontalPodAutoscaler/shop"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 5)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}


def test_autoscaling_is_a_setting() -> None:
    spec = made(replace(SHOP, autoscaling=Autoscaling(min_replicas=2, max_replicas=9, cpu_percent=50)), BARE)[
        "HorizontalPodAutoscaler/shop"
    ]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)


def test_a_cluster_without_autoscaling_v2_gets_no_autoscaler() -> None:
    assert "HorizontalPodAutoscaler/shop" not in made(SHOP, Capabilities(knative=False, autoscaling_v2=False))


def test_a_pod_that_goes_drains_first() -> None:
    spec = made(SHOP, BARE)["Deployment/shop"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][0] == "python"  # there in every image of ours
    assert spec["terminationGracePeriodSeconds"] == 60


def test_one_pod_does_not_block_the_drain_of_its_node() -> None:
    assert made(SHOP, BARE)["PodDisruptionBudget/shop"]["spec"]["maxUnavailable"] == 1


def test_the_service_in_front_has_the_same_name_in_both_modes() -> None:
    spec = made(SHOP, BARE)["Service/shop-service"]["spec"]
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP", "nodePort": 30001}]
    assert spec["selector"] == {"jacfn.dev/app": "shop", "app.kubernetes.io/component": "server"}

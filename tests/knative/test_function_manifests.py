"""Knative Services: one for each endpoint, and the gateway."""

from __future__ import annotations

import json
from dataclasses import replace

from jacfn_knative.app import AppEndpoint, Knobs, Resources
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.manifests import Object
from knative.apps import SHOP, environment, made, with_knobs

GET_ITEMS = "ksvc/shop-get-items-qhumao"


def template(name: str = GET_ITEMS, app: object = SHOP) -> Object:
    found: Object = made(app)[name]["spec"]["template"]  # type: ignore[arg-type]
    return found


def test_each_endpoint_is_a_service_of_its_own() -> None:
    services = {name: item for name, item in made().items() if name.startswith("ksvc/") and name != "ksvc/shop"}
    assert sorted(item["metadata"]["annotations"]["jacfn.dev/endpoint"] for item in services.values()) == [
        "function/admin_action", "function/calculate_total", "walker/create_item", "walker/get_items",
    ]  # fmt: skip
    for name, item in services.items():
        assert item["metadata"]["labels"]["jacfn.dev/endpoint"] == name.removeprefix("ksvc/")
        served = environment(item["spec"]["template"])["JACFN_SERVE"]
        assert served == item["metadata"]["annotations"]["jacfn.dev/endpoint"]
        assert item["spec"]["template"]["metadata"]["annotations"]["jacfn.dev/endpoint"] == served


def test_a_process_is_started_in_exec_form_and_is_ready_when_it_listens() -> None:
    (container,) = template()["spec"]["containers"]
    assert container["command"] == ["python", "-m", "jacfn_runtime"]
    assert container["readinessProbe"] == {"httpGet": {"path": "/healthz/live"}}  # no delay, no period: queue-proxy polls
    assert container["ports"] == [{"name": "http1", "containerPort": 8000}]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert "PORT" not in environment(template())


def test_it_sleeps_by_default_and_never_grows_without_bound() -> None:
    annotations = template()["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/min-scale"] == "0"
    assert annotations["autoscaling.knative.dev/max-scale"] == "10"
    assert "autoscaling.knative.dev/window" not in annotations


def test_who_wants_more_pods_at_least_gets_as_many_at_most() -> None:
    annotations = template(app=with_knobs(SHOP, "walker/get_items", min_scale=20))["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/max-scale"] == "20"


def test_knobs_become_annotations_of_the_template() -> None:
    app = with_knobs(
        SHOP, "walker/get_items", min_scale=1, max_scale=3, target=12.5, window=30, retention=60, cpu="250m", memory="96Mi"
    )
    annotations = template(app=app)["metadata"]["annotations"]
    found = {name.rpartition("/")[2]: value for name, value in annotations.items() if name.startswith("autoscaling")}
    assert found == {
        "min-scale": "1", "max-scale": "3", "target": "12.5", "window": "30s", "scale-to-zero-pod-retention-period": "60s",
    }  # fmt: skip
    assert template(app=app)["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "250m", "memory": "96Mi"}


def test_limits_of_the_process_come_with_limits_of_the_proxy_beside_it() -> None:
    def proxy(resources: Resources) -> dict[str, str]:
        annotations = template(app=replace(SHOP, resources=resources))["metadata"]["annotations"]
        return {name.rpartition("/")[2]: value for name, value in annotations.items() if name.startswith("queue.sidecar")}

    assert proxy(Resources()) == {}
    assert proxy(Resources(cpu_limit="1", memory_limit="1Gi")) == {"cpu-resource-limit": "1", "memory-resource-limit": "128Mi"}


def test_autoscaling_is_never_written_on_the_service_itself() -> None:
    for name, item in made().items():
        assert not [key for key in item["metadata"]["annotations"] if "autoscaling" in key], name


def test_a_timeout_above_300_seconds_switches_the_other_timeout_off() -> None:
    assert "responseStartTimeoutSeconds" not in template()["spec"]
    spec = template(app=with_knobs(SHOP, "walker/get_items", timeout=301))["spec"]
    assert (spec["timeoutSeconds"], spec["responseStartTimeoutSeconds"]) == (301, 0)


def test_all_traffic_goes_to_the_latest_revision() -> None:
    assert made()[GET_ITEMS]["spec"]["traffic"] == [{"latestRevision": True, "percent": 100}]


def test_another_endpoint_changes_nothing_but_the_gateway() -> None:
    before = made()
    after = made(replace(SHOP, endpoints=(*SHOP.endpoints, AppEndpoint(id="walker/new"))))
    assert {name for name in before if after.get(name) != before[name]} == {
        "ksvc/shop",
        *(name for name in before if name.startswith("Job/")),
    } - {name for name in before if name.startswith("Job/") and name in after}


def test_a_knob_of_one_endpoint_changes_that_service_only() -> None:
    before, after = made(), made(with_knobs(SHOP, "walker/get_items", min_scale=1))
    assert {name for name in before if after[name] != before[name]} == {GET_ITEMS}


def test_a_project_that_is_renamed_makes_no_new_revision() -> None:
    before, after = made(), made(replace(SHOP, project="renamed"))
    assert before[GET_ITEMS]["spec"] == after[GET_ITEMS]["spec"]


def test_weaker_isolation_reaches_the_endpoint_that_asked() -> None:
    app = with_knobs(SHOP, "walker/get_items", isolation="snapshot")
    assert json.loads(environment(template(app=app))["JACFN_ISOLATION"]) == {"walker/get_items": "snapshot"}
    assert "JACFN_ISOLATION" not in environment(template("ksvc/shop-create-item-xu74ud", app))


def test_a_group_shares_one_service() -> None:
    app = SHOP
    for endpoint in ("walker/get_items", "walker/create_item"):
        app = with_knobs(app, endpoint, group="items")
    services = [item for name, item in made(app).items() if name.startswith("ksvc/shop-")]
    assert len(services) == 3
    (shared,) = [item for item in services if "," in item["metadata"]["annotations"]["jacfn.dev/endpoint"]]
    assert environment(shared["spec"]["template"])["JACFN_SERVE"] == "walker/create_item,walker/get_items"
    routes = json.loads(environment(template("ksvc/shop", app))["JACFN_ROUTES"])
    assert routes["walker/create_item"] == routes["walker/get_items"]


def test_the_gateway_knows_the_way_to_every_endpoint_whatever_the_clusters_domain() -> None:
    routes = json.loads(environment(template("ksvc/shop"))["JACFN_ROUTES"])
    assert routes["walker/get_items"] == "http://shop-get-items-qhumao.trade.svc"
    assert sorted(routes) == sorted(endpoint.id for endpoint in SHOP.endpoints)


def test_the_gateway_stays_awake_unless_told_otherwise() -> None:
    assert template("ksvc/shop")["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "1"
    asleep = made(replace(SHOP, gateway_min_scale=0))
    assert asleep["ksvc/shop"]["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "0"
    assert "Service/shop-service" not in asleep  # its port would have nobody behind it, and nobody would wake it


def test_the_gateway_waits_as_long_as_the_slowest_endpoint_may_take() -> None:
    assert template("ksvc/shop")["spec"]["timeoutSeconds"] == 300
    assert template("ksvc/shop", with_knobs(SHOP, "walker/get_items", timeout=500))["spec"]["timeoutSeconds"] == 500


def test_the_node_port_leads_to_the_gateways_queue_proxy() -> None:
    spec = made()["Service/shop-service"]["spec"]
    assert spec["type"] == "NodePort"
    assert spec["selector"] == {"serving.knative.dev/service": "shop"}
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 8012, "protocol": "TCP", "nodePort": 30001}]


def test_no_node_port_if_none_is_wanted() -> None:
    assert "Service/shop-service" not in made(replace(SHOP, node_port=0))


def test_eks_gets_a_network_load_balancer() -> None:
    service = made(SHOP, Capabilities(knative=True, eks=True))["Service/shop-service"]
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-type"] == "nlb"
    assert "nodePort" not in service["spec"]["ports"][0]


def test_knobs_are_compared_by_value() -> None:
    assert Knobs() == Knobs(min_scale=0)

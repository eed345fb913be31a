"""What is true of every object of an app, in both modes."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from jacfn_knative.app import App, DataServices, Image, Jwt, PullCredentials, Resources, Sso, SsoClient
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests import Object, objects
from jacfn_knative.manifests.kinds import KINDS, kind_of, phase, reference
from knative.apps import BARE, KNATIVE, SHOP, environment, flags_needed, made, pod_templates, restricted_violations, with_knobs

SECRET = "0123456789abcdef" * 4
FULL: App = replace(
    with_knobs(SHOP, "walker/get_items", warm="08:00-18:00", isolation="snapshot", timeout=600, window=30, retention=60),
    jwt=Jwt(secret=SECRET),
    sso=Sso(host="https://shop.example/sso", clients={"google": SsoClient(client_id="id", client_secret=SECRET)}),
    data=DataServices(storage_class="fast"),
    image=Image(reference="r/i:1", credentials=PullCredentials(registry="r", username="u", password=SECRET)),
    secret_env={"STRIPE_KEY": SECRET},
    env={"LANG": "C.UTF-8"},
    run_main=True,
)
EVERY = [
    pytest.param(item, id=f"{capabilities.mode}-{reference(item)}")
    for capabilities in (KNATIVE, BARE)
    for item in objects(FULL, capabilities)
]


@pytest.mark.parametrize("item", EVERY)
def test_every_object_says_what_it_is_and_whose(item: Object) -> None:
    metadata = item["metadata"]
    assert metadata["namespace"] == "trade"
    labels = metadata["labels"]
    wanted = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "part-of", "managed-by")}
    assert wanted <= set(labels) and labels["app.kubernetes.io/managed-by"] == "jacfn"
    assert labels["jacfn.dev/app"] == "shop"
    assert all(re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value) for value in labels.values())
    assert metadata["annotations"]["jacfn.dev/project"] == "the-shop"
    assert metadata["annotations"]["jacfn.dev/deployer"] in ("knative", "deployment")


@pytest.mark.parametrize("item", EVERY)
def test_every_pod_template_is_admitted_under_the_restricted_standard(item: Object) -> None:
    for template in pod_templates(item):
        assert restricted_violations(template["spec"]) == []


@pytest.mark.parametrize("item", EVERY)
def test_every_pod_is_labelled_and_hardened(item: Object) -> None:
    for template in pod_templates(item):
        spec = template["spec"]
        assert template["metadata"]["labels"]["jacfn.dev/app"] == "shop"
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert spec["serviceAccountName"] == "shop"
        mounted: set[str] = set()
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            mounted |= {mount["name"] for mount in container["volumeMounts"]}
        claims = {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
        assert mounted - claims == {volume["name"] for volume in spec["volumes"]}  # Knative takes no other


@pytest.mark.parametrize("item", EVERY)
def test_no_object_is_of_a_kind_that_destroy_does_not_know(item: Object) -> None:
    assert kind_of(item) in KINDS


@pytest.mark.parametrize("item", EVERY)
def test_no_manifest_has_a_secret_in_it(item: Object) -> None:
    assert SECRET not in json.dumps(item)
    assert item["kind"] != "Secret" or not {"data", "stringData"} & set(item)


@pytest.mark.parametrize("item", EVERY)
def test_no_probe_asks_for_a_store(item: Object) -> None:
    for template in pod_templates(item):
        for container in template["spec"]["containers"]:
            paths = [
                value["httpGet"]["path"] for name, value in container.items() if name.endswith("Probe") and "httpGet" in value
            ]
            assert set(paths) <= {"/healthz/live"}


@pytest.mark.parametrize("item", [param for param in EVERY if param.values[0]["kind"] == "Service"])
def test_a_knative_template_needs_no_feature_flag(item: Object) -> None:
    for template in pod_templates(item):
        assert flags_needed(template) == []


def test_objects_come_in_phases() -> None:
    phases = [phase(item) for item in objects(FULL, KNATIVE)]
    assert phases == sorted(phases)
    assert set(phases) == {0, 1, 2, 3, 4, 5}


def test_the_same_app_gives_the_same_objects() -> None:
    again = replace(SHOP, endpoints=SHOP.endpoints[::-1])
    assert objects(again, KNATIVE) == objects(SHOP, KNATIVE)


def test_names_are_unique() -> None:
    for capabilities in (KNATIVE, BARE):
        found = objects(FULL, capabilities)
        assert len({reference(item) for item in found}) == len(found)


def test_an_unknown_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match="Ingress"):
        kind_of({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"})


def test_kinds_are_called_as_access_rules_call_them() -> None:
    assert {kind.resource for kind in KINDS} >= {"secrets", "services", "services.serving.knative.dev", "deployments.apps"}


def test_a_pod_follows_the_secrets_that_it_reads() -> None:
    versions = {"shop-jwt": "j1", "shop-mongodb": "m1", "shop-redis": "r1", "shop-sso": "s1", "shop-env": "e1"}

    def annotation(name: str, **changed: str) -> str:
        item = made(FULL, KNATIVE, **(versions | changed))[name]
        return str(item["spec"]["template"]["metadata"]["annotations"]["jacfn.dev/secrets"])

    function = next(name for name in made(FULL) if "get-items" in name)
    assert annotation(function) != annotation(function, **{"shop-jwt": "j2"})
    assert annotation(function) == annotation(function, **{"shop-sso": "s2"})  # functions never see it
    assert annotation("ksvc/shop") != annotation("ksvc/shop", **{"shop-sso": "s2"})


def test_secrets_reach_pods_by_reference_and_single_sign_on_reaches_the_gateway_only() -> None:
    everything = made(FULL)
    gateway = environment(everything["ksvc/shop"]["spec"]["template"])
    function = environment(next(item for name, item in everything.items() if "get-items" in name)["spec"]["template"])
    shared = {
        "MONGODB_URI": ("shop-mongodb", "uri"),
        "REDIS_URL": ("shop-redis", "url"),
        "JWT_SECRET": ("shop-jwt", "secret"),
        "STRIPE_KEY": ("shop-env", "STRIPE_KEY"),
        "LANG": "C.UTF-8",
        "JWT_ALGORITHM": "HS256",
    }
    assert shared.items() <= gateway.items() and shared.items() <= function.items()
    assert gateway["SSO_GOOGLE_CLIENT_SECRET"] == ("shop-sso", "google_secret")
    assert (gateway["SSO_HOST"], gateway["JWT_EXP_DELTA_DAYS"]) == ("https://shop.example/sso", "7")
    assert not [name for name in function if name.startswith("SSO_") or name == "JWT_EXP_DELTA_DAYS"]


def test_another_openid_provider_is_known_by_its_issuer() -> None:
    clients = {"acme": SsoClient(client_id="id", client_secret=SECRET, issuer="https://id.acme.example")}
    app = replace(SHOP, sso=Sso(clients=clients, redirects=("https://shop.example/a", "https://shop.example/b")))
    gateway = environment(made(app)["ksvc/shop"]["spec"]["template"])
    assert gateway["SSO_ACME_ISSUER"] == "https://id.acme.example"
    assert gateway["SSO_REDIRECTS"] == "https://shop.example/a,https://shop.example/b"


def test_nodes_pull_with_the_secret_that_was_made() -> None:
    def pull(app: App) -> object:
        return made(app)["ksvc/shop"]["spec"]["template"]["spec"].get("imagePullSecrets")

    assert pull(FULL) == [{"name": "shop-pull"}]
    assert made(FULL)["Secret/shop-pull"]["type"] == "kubernetes.io/dockerconfigjson"
    assert pull(SHOP) is None


def test_a_dollar_sign_in_a_value_reaches_the_process_as_it_is() -> None:
    app = replace(SHOP, env={"A": "$(JACFN_APP)", "B": "5$$", "C": "$x"}, sso=Sso(host="https://x/$(A)"))
    found = environment(made(app)["ksvc/shop"]["spec"]["template"])
    assert [found[name] for name in ("A", "B", "C")] == ["$$(JACFN_APP)", "5$$$$", "$$x"]  # the kubelet halves them
    assert found["SSO_HOST"] == "https://x/$$(A)"


def test_where_the_app_has_limits_every_container_has_some() -> None:
    limited = replace(SHOP, resources=Resources(cpu_limit="1", memory_limit="256Mi"))
    warm = with_knobs(limited, "walker/get_items", warm="08:00-18:00")
    for capabilities in (KNATIVE, BARE):
        for name, item in made(warm, capabilities).items():
            for template in pod_templates(item):
                pod = template["spec"]
                for container in [*pod["containers"], *pod.get("initContainers", [])]:
                    assert set(container["resources"]["limits"]) == {"cpu", "memory"}, name


def test_an_app_without_redis_gets_none() -> None:
    app = replace(SHOP, data=DataServices(redis=False))
    assert not [name for name in made(app) if "redis" in name]
    assert "REDIS_URL" not in environment(made(app)["ksvc/shop"]["spec"]["template"])


def test_given_data_services_are_not_provisioned_and_their_addresses_stay_in_secrets() -> None:
    app = replace(SHOP, data=DataServices(mongodb_uri=f"mongodb://u:{SECRET}@db/x", redis_url=f"redis://:{SECRET}@cache/0"))
    everything = made(app)
    assert not [name for name in everything if name.split("/")[0] in ("StatefulSet", "Deployment", "NetworkPolicy")]
    assert SECRET not in json.dumps(everything)
    assert environment(everything["ksvc/shop"]["spec"]["template"])["MONGODB_URI"] == ("shop-mongodb", "uri")


def test_a_bundle_in_the_image_needs_no_config_maps() -> None:
    app = replace(SHOP, bundle=replace(SHOP.bundle, files={}, folder="/app/bundle"))
    everything = made(app)
    assert not [name for name in everything if name.startswith("ConfigMap/")]
    template = everything["ksvc/shop"]["spec"]["template"]
    assert environment(template)["JACFN_BUNDLE"] == "/app/bundle"
    assert [volume["name"] for volume in template["spec"]["volumes"]] == ["tmp"]


def test_the_mode_is_written_on_every_object() -> None:
    assert {item["metadata"]["annotations"]["jacfn.dev/deployer"] for item in objects(SHOP, KNATIVE)} == {"knative"}
    assert {item["metadata"]["annotations"]["jacfn.dev/deployer"] for item in objects(SHOP, BARE)} == {"deployment"}


def test_endpoints_of_a_group_must_agree() -> None:
    app = with_knobs(with_knobs(SHOP, "walker/get_items", group="g"), "walker/create_item", group="g", timeout=10)
    with pytest.raises(InvalidApp, match="different knobs"):
        objects(app, KNATIVE)


def test_resources_are_the_settings_and_a_small_request_where_there_is_none() -> None:
    def resources(app: App) -> object:
        return made(app)["ksvc/shop"]["spec"]["template"]["spec"]["containers"][0]["resources"]

    assert resources(SHOP) == {"requests": {"cpu": "25m", "memory": "48Mi"}}
    given = Resources(cpu_request="250m", cpu_limit="1", memory_request="128Mi", memory_limit="512Mi")
    assert resources(replace(SHOP, resources=given)) == {
        "requests": {"cpu": "250m", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    assert resources(replace(SHOP, resources=Resources(memory_limit="32Mi"))) == {
        "requests": {"cpu": "25m", "memory": "32Mi"},  # our own request would be above the limit
        "limits": {"memory": "32Mi"},
    }
    assert Capabilities(knative=True).mode == "knative"

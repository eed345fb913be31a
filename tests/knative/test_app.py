"""An App that exists can be deployed as far as that can be known without a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jacfn_knative.app import (
    App,
    AppEndpoint,
    Autoscaling,
    Bundle,
    DataServices,
    Health,
    Image,
    Jwt,
    Knobs,
    PullCredentials,
    Resources,
    Sso,
    SsoClient,
)  # fmt: skip
from jacfn_knative.errors import InvalidApp
from knative.apps import SHOP, with_knobs


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"min_scale": -1}, "min_scale"),
        ({"min_scale": 5, "max_scale": 3}, "below min_scale"),
        ({"max_scale": -1}, "max_scale"),
        ({"target": 0}, "target"),
        ({"window": 5}, "window"),
        ({"window": 3601}, "window"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 601}, "timeout"),
        ({"retention": 3601}, "retention"),
        ({"cpu": "lots"}, "cpu"),
        ({"memory": "1 GB"}, "memory"),
        ({"isolation": "none"}, "isolation"),
    ],
)
def test_a_knob_that_knative_would_refuse_is_refused_by_name(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidApp, match=named):
        Knobs(**knobs)


def test_knobs_at_their_bounds_are_accepted() -> None:
    Knobs(min_scale=3, max_scale=3, target=0.01, window=6, timeout=600, retention=3600, cpu="0.5", memory="128Mi")
    Knobs(min_scale=3, max_scale=0)  # no upper limit


@pytest.mark.parametrize("name", ["create_item", "walker/", "walker/a b", "walker/2x", "node/x", "walker/a/b"])
def test_what_is_no_endpoint_is_refused(name: str) -> None:
    with pytest.raises(InvalidApp, match="no endpoint"):
        AppEndpoint(id=name)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "./a", ""])
def test_a_bundle_stays_within_its_folder(path: str) -> None:
    with pytest.raises(InvalidApp, match="no path within a bundle"):
        Bundle(hash="ab" * 32, files={path: b""})


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        (Bundle, {"hash": "XYZ"}, "bundle hash"),
        (Bundle, {"hash": "ab" * 32, "folder": "bundle"}, "absolute"),
        (Image, {"reference": ""}, "image reference"),
        (Image, {"reference": "a b"}, "image reference"),
        (DataServices, {"mongodb": False}, "no database"),
        (DataServices, {"mongodb_uri": "http://x"}, "mongodb_uri"),
        (DataServices, {"redis_url": "http://x"}, "redis_url"),
        (DataServices, {"storage": "big"}, "storage"),
        (Resources, {"cpu_limit": "x"}, "cpu_limit"),
        (Health, {"path": "docs"}, "slash"),
        (Health, {"path": "/healthz/ready"}, "asks the stores"),
        (Health, {"liveness_period": 0}, "liveness_period"),
        (Health, {"readiness_initial_delay": -1}, "readiness_initial_delay"),
        (Autoscaling, {"min_replicas": 0}, "min_replicas"),
        (Autoscaling, {"min_replicas": 6}, "max_replicas"),
        (Autoscaling, {"cpu_percent": 0}, "cpu_percent"),
        (Jwt, {"secret": "short"}, "forged"),
        (Jwt, {"algorithm": "none"}, "algorithm"),
        (Jwt, {"days": 0}, "exp_delta_days"),
        (Sso, {"clients": {"Go ogle": SsoClient(client_id="x")}}, "platform"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(kind: Any, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidApp, match=named):
        kind(**fields)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "My Shop"}, "app's name"),
        ({"namespace": "Trade"}, "namespace"),
        ({"project": " "}, "project"),
        ({"endpoints": ()}, "no endpoints"),
        ({"endpoints": (AppEndpoint(id="walker/a"), AppEndpoint(id="walker/a"))}, "twice"),
        ({"node_port": 70000}, "node_port"),
        ({"container_port": 80}, "container_port"),
        ({"container_port": 8012}, "queue-proxy"),
        ({"gateway_min_scale": -1}, "gateway_min_scale"),
        ({"env": {"A B": "x"}}, "environment variable"),
        ({"env": {"PORT": "1"}}, "PORT"),
        ({"secret_env": {"JWT_SECRET": "1"}}, "JWT_SECRET"),
        ({"env": {"SSO_HOST": "x"}}, "SSO_HOST"),
        ({"env": {"SSO_ACME_ISSUER": "x"}, "sso": Sso(clients={"acme": SsoClient(client_id="i")})}, "SSO_ACME_ISSUER"),
        ({"env": {"KEY": "1"}, "secret_env": {"KEY": "2"}}, "KEY is given twice"),
    ],
)
def test_an_app_that_could_not_be_deployed_does_not_exist(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidApp, match=named):
        replace(SHOP, **fields)


@pytest.mark.parametrize(
    ("resources", "knobs", "named"),
    [
        ({"cpu_request": "2", "cpu_limit": "1500m"}, {}, "cpu_request = 2 is above cpu_limit = 1500m"),
        ({"memory_request": "1Gi", "memory_limit": "1G"}, {}, "memory_request = 1Gi is above memory_limit = 1G"),
        ({"cpu_limit": "1"}, {"cpu": "1001m"}, "cpu of walker/get_items = 1001m is above cpu_limit = 1"),
        ({"memory_limit": "64Mi"}, {"memory": "65Mi"}, "memory of walker/get_items = 65Mi is above memory_limit = 64Mi"),
    ],
)
def test_a_request_above_the_limit_is_refused_with_whose_it_is(
    resources: dict[str, str], knobs: dict[str, str], named: str
) -> None:
    with pytest.raises(InvalidApp, match=named):
        with_knobs(replace(SHOP, resources=Resources(**resources)), "walker/get_items", **knobs)


def test_a_request_may_be_as_high_as_the_limit() -> None:
    limited = Resources(cpu_request="1", cpu_limit="1000m", memory_request="64Mi", memory_limit="1Gi")
    with_knobs(replace(SHOP, resources=limited), "walker/get_items", cpu="1", memory="1024Mi")


def test_no_store_at_all_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidApp) as refused:
        DataServices(mongodb=False)
    assert "mongodb_uri" in refused.value.next_step


@pytest.mark.parametrize(
    "data",
    [
        {"mongodb_uri": "mongodb://localhost:27017/jac_db"},
        {"mongodb_uri": "mongodb://user:p%40ss@127.0.0.1"},
        {"mongodb_uri": "mongodb://[::1]:27017/?replicaSet=rs0"},
        {"redis_url": "rediss://:hush@LOCALHOST:6379/0"},
    ],
)
def test_a_store_on_this_machine_is_none_for_pods(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidApp, match="leads to this machine") as refused:
        DataServices(**data)
    assert "hush" not in str(refused.value)


def test_a_store_elsewhere_may_have_an_odd_name() -> None:
    DataServices(mongodb_uri="mongodb://localhost.example,127.0.0.1.nip.io/x", redis_url="redis://localhost@cache/0")


def test_a_given_address_wins_over_provisioning() -> None:
    data = DataServices(mongodb_uri="mongodb://db/x", redis_url="redis://cache")
    assert not data.provisions_mongodb and not data.provisions_redis and data.has_redis
    assert DataServices(redis=False).has_redis is False


def test_no_secret_shows_in_a_repr() -> None:
    secret = "0123456789abcdef" * 4
    app: App = replace(
        SHOP,
        jwt=Jwt(secret=secret),
        sso=Sso(clients={"google": SsoClient(client_id="id", client_secret=secret)}),
        data=DataServices(mongodb_uri=f"mongodb://u:{secret}@db/x", redis_url=f"redis://:{secret}@cache"),
        image=Image(reference="r", credentials=PullCredentials(registry="r", username="u", password=secret)),
        secret_env={"STRIPE_KEY": secret},
    )
    assert secret not in repr(app)

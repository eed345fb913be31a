"""Values of Secrets: made once, kept, or taken from the settings; never told by their fingerprint."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from jacfn_knative.app import App, DataServices, Image, Jwt, PullCredentials, Sso, SsoClient
from jacfn_knative.cluster.secrets import Values, fingerprints, settle, with_data
from jacfn_knative.errors import Refused
from jacfn_knative.manifests import Object
from jacfn_knative.manifests.secrets import keys
from knative.apps import SHOP, made

GIVEN = "0123456789abcdef" * 3


def live(values: Values) -> list[Object]:
    """The Secrets as the cluster would have them."""
    return [
        {
            "kind": "Secret",
            "metadata": {"name": name},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in found.items()},
        }
        for name, found in values.items()
    ]


def test_every_secret_has_exactly_the_keys_that_the_manifests_promise() -> None:
    app = replace(
        SHOP,
        sso=Sso(clients={"google": SsoClient(client_id="i", client_secret="s")}),
        secret_env={"STRIPE_KEY": "x"},
        image=Image(reference="r", credentials=PullCredentials(registry="r", username="u", password="p")),
    )
    values = settle(app, [])
    assert {name.removeprefix("shop-"): tuple(sorted(found)) for name, found in values.items()} == {
        name: tuple(sorted(found)) for name, found in keys(app).items()
    }


def test_what_is_made_is_long_random_and_different_each_time() -> None:
    first, second = settle(SHOP, []), settle(SHOP, [])
    assert len(first["shop-jwt"]["secret"]) >= 32
    for name, key in (("jwt", "secret"), ("mongodb", "password"), ("mongodb", "keyfile"), ("redis", "password")):
        assert first[f"shop-{name}"][key] != second[f"shop-{name}"][key]
    assert 6 <= len(first["shop-mongodb"]["keyfile"]) <= 1024  # what mongod takes


def test_what_is_there_is_kept() -> None:
    first = settle(SHOP, [])
    assert settle(SHOP, live(first)) == first


def test_addresses_have_the_passwords_in_them() -> None:
    values = settle(SHOP, [])
    assert f":{values['shop-mongodb']['password']}@shop-mongodb-service:27017" in values["shop-mongodb"]["uri"]
    assert values["shop-redis"]["redis.conf"] == f"requirepass {values['shop-redis']['password']}\n"
    assert values["shop-redis"]["password"] in values["shop-redis"]["url"]


def test_what_the_settings_give_wins() -> None:
    app = replace(SHOP, jwt=Jwt(secret=GIVEN), data=DataServices(mongodb_uri="mongodb://db/x", redis_url="redis://cache"))
    values = settle(app, live(settle(SHOP, [])))
    assert values["shop-jwt"]["secret"] == GIVEN
    assert values["shop-mongodb"]["uri"] == "mongodb://db/x" and values["shop-redis"]["url"] == "redis://cache"


def test_the_password_of_a_database_that_is_not_in_use_now_is_kept() -> None:
    before = settle(SHOP, [])
    outside = settle(replace(SHOP, data=DataServices(mongodb_uri="mongodb://db/x")), live(before))
    back = settle(SHOP, live(outside))
    assert back["shop-mongodb"] == before["shop-mongodb"]


def test_a_secret_that_the_settings_no_longer_name_is_removed() -> None:
    before = settle(replace(SHOP, secret_env={"STRIPE_KEY": "x", "MAIL_KEY": "y"}), [])
    after = settle(replace(SHOP, secret_env={"MAIL_KEY": "y"}), live(before))
    assert after["shop-env"] == {"MAIL_KEY": "y"}
    assert after["shop-jwt"] == before["shop-jwt"]


def test_a_database_whose_password_is_lost_is_not_given_a_new_one() -> None:
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "data-shop-mongodb-0"}}
    with pytest.raises(Refused, match="password"):
        settle(SHOP, [claim])
    settle(replace(SHOP, data=DataServices(mongodb_uri="mongodb://db/x")), [claim])  # another database: nothing is lost
    settle(SHOP, [claim, *live(settle(SHOP, []))])


def test_fingerprints_follow_the_values_and_the_signing_secret() -> None:
    values = settle(SHOP, [])
    before = fingerprints(SHOP, values)
    changed = values | {"shop-redis": values["shop-redis"] | {"url": "redis://elsewhere"}}
    after = fingerprints(SHOP, changed)
    assert {name for name in before if before[name] != after[name]} == {"shop-redis"}
    assert fingerprints(SHOP, values) == before
    rotated = fingerprints(SHOP, values | {"shop-jwt": {"secret": GIVEN}})
    assert not set(rotated.values()) & set(before.values())
    assert not any(value in json.dumps(before) for found in values.values() for value in found.values())


def test_only_secrets_get_data() -> None:
    values = settle(SHOP, [])
    everything: dict[str, Object] = made()
    filled = with_data(everything["Secret/shop-jwt"], values)
    assert base64.b64decode(filled["data"]["secret"]).decode() == values["shop-jwt"]["secret"]
    assert with_data(everything["ServiceAccount/shop"], values) == everything["ServiceAccount/shop"]


def test_pull_credentials_become_a_docker_config() -> None:
    app: App = replace(
        SHOP, image=Image(reference="r", credentials=PullCredentials(registry="r.example", username="u", password="p"))
    )
    config = json.loads(settle(app, [])["shop-pull"][".dockerconfigjson"])
    assert base64.b64decode(config["auths"]["r.example"]["auth"]) == b"u:p"

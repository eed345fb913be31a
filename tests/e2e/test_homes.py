"""One journey, four homes: the same requests are answered byte for byte alike, ids, times and tokens masked."""

from __future__ import annotations

import pytest

from e2e import homes
from e2e.conftest import SHOP, Deployment
from e2e.journey import JOURNEY, Answer, travel

EXPECTED_STATUS = {
    "the docs page": 200,
    "the API description": 200,
    "a guest lists nothing": 200,
    "an empty body equals {}": 200,
    "create without a token": 401,
    "a protected function without a token": 401,
    "a function without a token": 401,
    "register ann": 201,
    "register ann again": 409,
    "register bob": 201,
    "a wrong password": 401,
    "bob on ann's item": 404,
    "a guest on ann's item": 404,
    "a node that never was": 404,
    "an id that is none": 404,
    "a missing field": 422,
    "a wrong type": 422,
    "an unknown field": 422,
    "a wrong type in a list": 422,
    "not JSON": 400,
    "not an object": 422,
    "a form": 415,
    "a forged token": 401,
    "GET on a walker": 405,
    "no such walker": 404,
    "no such page": 404,
}  # every other step: 200


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """What `jac start` answers."""
    with homes.start(SHOP, tmp_path_factory.mktemp("start")) as send:
        return travel(send)


def assert_same(answers: dict[str, Answer], reference: dict[str, Answer]) -> None:
    different = [
        f"{name}\n  here: {answers[name]}\n  jac start: {reference[name]}"
        for name in reference
        if answers[name] != reference[name]
    ]
    assert not different, "\n".join(different)


def test_jac_start_answers_as_the_contract_says(reference: dict[str, Answer]) -> None:
    statuses = {step.name: reference[step.name].status for step in JOURNEY}
    assert statuses == {step.name: EXPECTED_STATUS.get(step.name, 200) for step in JOURNEY}
    assert '"name":"Widget"' in reference["ann lists two"].body
    assert '"result":60.0' in reference["the spec's sum"].body
    assert '"result":"admin only"' in reference["the protected function"].body
    assert reference["bob on ann's item"].body == reference["a node that never was"].body == reference["an id that is none"].body


def test_the_laptops_fleet_answers_the_same(reference: dict[str, Answer], tmp_path_factory: pytest.TempPathFactory) -> None:
    with homes.local(SHOP, tmp_path_factory.mktemp("local")) as send:
        assert_same(travel(send), reference)


def test_the_cluster_answers_the_same(reference: dict[str, Answer], shop_deployed: Deployment) -> None:
    if shop_deployed.cluster.knative:
        send = homes.knative(shop_deployed.cluster, shop_deployed.namespace, shop_deployed.app)
    else:
        send = homes.fallback(shop_deployed.cluster, shop_deployed.node_port)
    assert_same(travel(send), reference)

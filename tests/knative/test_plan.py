"""The plan: what changes, what stays, and why."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_knative.manifests import Object
from jacfn_knative.plan import HASH, Change, differences, plan, stamped
from knative.apps import made


def config(name: str, data: dict[str, str] | None = None, **more: Any) -> Object:
    metadata = {"name": name, "labels": {"app.kubernetes.io/component": "bundle"}, "annotations": {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}, **more}


def served(item: Object) -> Object:
    """The object as an API server gives it back after an apply."""
    live = copy.deepcopy(stamped(item))
    live["metadata"] |= {"uid": "1", "resourceVersion": "7", "creationTimestamp": "now"}
    live["status"] = {"phase": "Active"}
    return live


def actions(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.action, change.reference) for change in changes]


def test_what_is_not_there_is_created_in_the_order_of_the_manifests() -> None:
    desired = list(made().values())
    assert actions(plan(desired, [])) == [("create", reference) for reference in made()]


def test_an_unchanged_app_is_kept_as_a_whole() -> None:
    desired = list(made().values())
    assert {change.action for change in plan(desired, [served(item) for item in desired])} == {"keep"}


def test_a_changed_field_is_an_update_that_names_it() -> None:
    (change,) = plan([config("a", {"x": "new"})], [served(config("a", {"x": "old"}))])
    assert (change.action, change.reasons) == ("update", ("data.x",))


def test_a_field_that_somebody_changed_by_hand_is_put_back() -> None:
    live = served(config("a", {"x": "ours"}))
    live["data"]["x"] = "theirs"
    (change,) = plan([config("a", {"x": "ours"})], [live])
    assert (change.action, change.reasons) == ("update", ("data.x",))


def test_a_field_that_the_manifest_no_longer_has_is_removed() -> None:
    (change,) = plan([config("a", {"x": "1"})], [served(config("a", {"x": "1", "y": "2"}))])
    assert (change.action, change.reasons) == ("update", ("a field was removed",))


def test_what_the_server_adds_is_no_difference() -> None:
    live = served(config("a", {"x": "1"}))
    live["data"]["default"] = "from the server"
    (change,) = plan([config("a", {"x": "1"})], [live])
    assert change.action == "keep"


def test_what_is_no_longer_wanted_goes_last_and_in_reverse_order() -> None:
    both = made()
    old = [served(item) for item in (both["ServiceAccount/shop"], both["Service/shop-service"], both["ksvc/shop"])]
    changes = plan([config("new")], old)
    assert actions(changes) == [
        ("create", "ConfigMap/new"),
        ("delete", "ksvc/shop"),
        ("delete", "Service/shop-service"),
        ("delete", "ServiceAccount/shop"),
    ]


def test_a_bundle_that_a_retained_revision_names_stays() -> None:
    live = [served(config("old")), served(config("older"))]
    assert actions(plan([], live, retained={"old"})) == [("delete", "ConfigMap/older")]


def test_a_deploy_never_deletes_a_volume_claim() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-shop-mongodb-0"}}
    assert plan([], [claim]) == []


@pytest.mark.parametrize(("status", "action"), [("True", "replace"), ("False", "keep")])
def test_a_job_is_run_again_only_if_it_had_failed(status: str, action: str) -> None:
    job = next(item for name, item in made().items() if name.startswith("Job/"))
    live = served(job) | {
        "status": {"conditions": [{"type": "Complete", "status": "True"}, {"type": "Failed", "status": status}]}
    }
    (change,) = plan([job], [live])
    assert change.action == action


def test_a_running_job_is_kept() -> None:
    job = next(item for name, item in made().items() if name.startswith("Job/"))
    (change,) = plan([job], [stamped(job)])
    assert change.action == "keep"


def test_a_secrets_hash_says_nothing_about_its_values() -> None:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque"}
    first, second = (stamped(secret | {"data": {"key": value}}) for value in ("YQ==", "Yg=="))
    assert first["metadata"] == second["metadata"]
    (change,) = plan([secret | {"data": {"key": "Yg=="}}], [served(secret | {"data": {"key": "YQ=="}})])
    assert (change.action, change.reasons) == ("update", ("data.key",))


def test_a_key_that_a_secret_no_longer_has_is_removed() -> None:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque"}
    (change,) = plan([secret | {"data": {"a": "YQ=="}}], [served(secret | {"data": {"a": "YQ==", "b": "Yg=="}})])
    assert (change.action, change.reasons) == ("update", ("data.b",))


def test_a_change_does_not_show_what_is_in_its_object() -> None:
    (change,) = plan([config("a", {"password": "hunter2"})], [])
    assert "hunter2" not in repr(change) and change.reference == "ConfigMap/a"


def test_quantities_are_compared_as_quantities_and_only_where_they_are_some() -> None:
    def pod(cpu: Any, memory: Any) -> Object:
        return {"spec": {"resources": {"requests": {"cpu": cpu, "memory": memory}}}}

    assert list(differences(pod("0.5", "1Gi"), pod("500m", "1024Mi"))) == []
    assert list(differences(pod(1, "1G"), pod("1", "1000M"))) == []
    assert list(differences(pod("0.5", "1Gi"), pod("501m", "1G"))) == [
        "spec.resources.requests.cpu",
        "spec.resources.requests.memory",
    ]
    assert list(differences(pod("x", True), pod("y", "1"))) == ["spec.resources.requests.cpu", "spec.resources.requests.memory"]
    assert list(differences({"env": "0.5"}, {"env": "500m"})) == ["env"]


def test_a_shorter_list_is_a_difference_as_a_whole() -> None:
    assert list(differences({"a": [1, 2]}, {"a": [1]})) == ["a"]
    assert list(differences({"a": [{"b": 1}]}, {"a": [{"b": 2, "c": 3}]})) == ["a[0].b"]


def test_an_empty_field_that_the_server_dropped_is_no_difference() -> None:
    assert list(differences({"a": "", "b": {}, "c": [], "d": None}, {})) == []
    assert list(differences({"a": False, "b": 0}, {})) == ["a", "b"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert list(differences(value, copy.deepcopy(value))) == []


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_the_hash_depends_on_the_manifest_and_not_on_an_old_hash(data: dict[str, Any]) -> None:
    item = config("a", data)
    assert stamped(stamped(item)) == stamped(item)
    assert stamped(item)["metadata"]["annotations"][HASH] != stamped(config("b", data))["metadata"]["annotations"][HASH]

"""One app through its life on a real cluster: deployed, unchanged, changed by hand, changed, in the other mode, kept warm, gone.

The tests build on each other, in order: a deploy takes half a minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from e2e import homes
from e2e.cluster import eventually
from e2e.knative.conftest import TWO_ENDPOINTS, Room
from jacfn_knative.app import App, Jwt, Knobs
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.errors import ForeignApp

MakeApp = Callable[..., App]
BARE = Capabilities(knative=False)
NODE_PORT = 30051


@pytest.fixture(scope="module")
def duo(room: Room, app: MakeApp) -> App:
    """The app, deployed."""
    found = app(node_port=NODE_PORT)
    room.deploy(found)
    return found


def test_every_url_was_asked_and_answers_as_what_was_deployed(room: Room, duo: App) -> None:
    deployed = room.deploy(duo)
    assert [row.id for row in deployed.rows] == ["function/answer", "walker/greet", "gateway"]
    assert all(row.verified for row in deployed.rows)
    assert len({row.url for row in deployed.rows}) == 3
    assert [(address.url, address.verified) for address in deployed.addresses] == [
        (f"http://{room.kubectl.env['NODE_IP']}:{NODE_PORT}", True)
    ]


def test_an_unchanged_deploy_writes_nothing(room: Room, duo: App) -> None:
    assert room.plan(duo) == {}
    room.events.clear()
    assert room.deploy(duo).counts == {"keep": 16}
    assert not [event for event in room.events if event.step in ("apply", "delete")]


def test_the_gateway_reaches_the_services_within_the_cluster(room: Room, duo: App) -> None:
    send = homes.sender(f"http://{room.kubectl.env['NODE_IP']}:{NODE_PORT}")
    answer = send("POST", "/function/answer", {"content-type": "application/json"}, b"{}")
    assert (answer.status_code, answer.json()["data"]["result"]) == (200, 42), answer.text


def test_no_object_that_was_made_has_a_secret_in_it(room: Room, duo: App) -> None:
    shown = room.kubectl.kubectl("get", "ksvc,cm,statefulset,deploy,job,cronjob,pod,svc", "-n", duo.namespace, "-o", "json")
    values = json.loads(room.kubectl.kubectl("get", "secret", "-n", duo.namespace, "-o", "json"))["items"]
    encoded = [value for item in values for value in item["data"].values()]
    assert encoded and not [value for value in encoded if value in shown]


def test_a_change_by_hand_is_seen_and_put_back(room: Room, duo: App) -> None:
    service = next(row.service for row in room.deploy(duo).rows if row.id == "walker/greet")
    patch = {"spec": {"template": {"metadata": {"annotations": {"autoscaling.knative.dev/max-scale": "77"}}}}}
    room.kubectl.kubectl("patch", "ksvc", service, "-n", duo.namespace, "--type=merge", "-p", json.dumps(patch))
    room.kubectl.kubectl("scale", "statefulset", "duo-mongodb", "-n", duo.namespace, "--replicas=0")
    changes = room.plan(duo)
    assert {name: change.action for name, change in changes.items()} == {
        f"ksvc/{service}": "update",
        "StatefulSet/duo-mongodb": "update",
    }
    assert "spec.replicas" in changes["StatefulSet/duo-mongodb"].reasons
    room.deploy(duo)
    assert room.plan(duo) == {}


def test_a_knob_changes_one_service(room: Room, duo: App) -> None:
    endpoints = tuple(
        replace(item, knobs=Knobs(retention=10, window=8)) if item.id == "walker/greet" else item for item in duo.endpoints
    )
    assert [change.reference[:14] for change in room.plan(replace(duo, endpoints=endpoints)).values()] == ["ksvc/duo-greet"]


def test_another_endpoint_leaves_the_data_services_alone_and_old_bundles_to_old_revisions(
    room: Room, app: MakeApp, duo: App
) -> None:
    wider = app(TWO_ENDPOINTS + "def : pub more() -> int { return 1; }\n", node_port=NODE_PORT)
    changes = room.plan(wider)
    assert {name.partition("/")[0] for name in changes} == {"ConfigMap", "Job", "ksvc"}
    before = {item["metadata"]["name"] for item in room.kubectl.get("configmaps", duo.namespace, "jacfn.dev/app=duo")}
    room.deploy(wider)
    after = {item["metadata"]["name"] for item in room.kubectl.get("configmaps", duo.namespace, "jacfn.dev/app=duo")}
    assert before < after  # the old revisions may still be woken
    room.deploy(duo)
    assert "ksvc/duo-more" not in {name[:13] for name in room.kubectl.everything(duo.namespace, "jacfn.dev/app=duo")}


def test_a_new_signing_secret_reaches_every_pod_by_a_new_revision(room: Room, duo: App) -> None:
    rotated = replace(duo, jwt=Jwt(secret="0123456789abcdef" * 4))
    changes = room.plan(rotated)
    assert "Secret/duo-jwt" in changes and changes["Secret/duo-jwt"].reasons == ("data.secret",)
    assert len([name for name in changes if name.startswith("ksvc/")]) == 3
    assert not [name for name in changes if name.startswith(("StatefulSet/", "Deployment/"))]


def test_another_project_is_stopped_before_any_write(room: Room, duo: App) -> None:
    with pytest.raises(ForeignApp, match="belongs to another project"):
        room.deploy(replace(duo, project="somebody-else"))
    with pytest.raises(ForeignApp):
        room.destroy(replace(duo, project="somebody-else"))
    assert room.plan(duo) == {}


def test_a_warm_window_keeps_an_endpoint_awake_without_a_new_revision(room: Room, duo: App) -> None:
    endpoints = tuple(
        replace(item, knobs=Knobs(warm="00:00-24:00")) if item.id == "walker/greet" else item for item in duo.endpoints
    )
    warm = replace(duo, endpoints=endpoints)
    assert [(change.action, change.item["kind"]) for change in room.plan(warm).values()] == [("create", "CronJob")]
    room.deploy(warm)
    (job,) = room.kubectl.get("cronjobs", duo.namespace, "jacfn.dev/app=duo")
    room.kubectl.kubectl("create", "job", "now", f"--from=cronjob/{job['metadata']['name']}", "-n", duo.namespace)

    def awake(endpoint: str) -> bool:
        pods = room.kubectl.get("pods", duo.namespace, "jacfn.dev/endpoint")
        return any(
            pod["metadata"]["annotations"].get("jacfn.dev/endpoint") == endpoint and "deletionTimestamp" not in pod["metadata"]
            for pod in pods
        )

    assert eventually(lambda: not awake("function/answer"), 120)  # the other one falls asleep as ever
    assert awake("walker/greet")
    room.kubectl.kubectl("delete", "job", "now", "-n", duo.namespace)
    room.deploy(duo)


def test_the_other_mode_takes_over_and_the_first_ones_objects_go_when_it_is_ready(room: Room, duo: App) -> None:
    deployed = room.deploy(duo, BARE)
    assert deployed.mode == "deployment" and [address.verified for address in deployed.addresses] == [True]
    kinds = {name.partition("/")[0] for name in room.kubectl.everything(duo.namespace, "jacfn.dev/app=duo")}
    assert "horizontalpodautoscaler.autoscaling" in kinds
    assert eventually(lambda: not room.kubectl.get("ksvc", duo.namespace), 60)
    send = homes.sender(f"http://{room.kubectl.env['NODE_IP']}:{NODE_PORT}")
    answer = send("POST", "/walker/greet", {"content-type": "application/json"}, b"{}")
    assert (answer.status_code, answer.json()["data"]["reports"]) == (200, ["hello"]), answer.text
    assert {change.action for change in room.plan(duo, BARE).values()} <= {"delete"}  # bundles of revisions that are gone
    room.deploy(duo)

    def deployments() -> list[str]:
        return [item["metadata"]["name"] for item in room.kubectl.get("deployments", duo.namespace)]

    assert eventually(lambda: "duo" not in deployments(), 60)


def test_destroy_with_the_data_kept_leaves_the_database_and_a_deploy_finds_it_again(room: Room, duo: App) -> None:
    claim = room.kubectl.get("pvc", duo.namespace)[0]["metadata"]["uid"]
    password = room.kubectl.kubectl("get", "secret", "duo-mongodb", "-n", duo.namespace, "-o", "jsonpath={.data}")
    assert "StatefulSet/duo-mongodb" not in room.destroy(duo, keep_data=True)
    left = {name.partition("/")[0].partition(".")[0] for name in room.kubectl.everything(duo.namespace, "jacfn.dev/app=duo")}
    assert {"statefulset", "persistentvolumeclaim", "secret"} <= left and not {"service", "job", "configmap"} - {"service"} & left
    room.deploy(duo)
    assert room.kubectl.get("pvc", duo.namespace)[0]["metadata"]["uid"] == claim
    assert room.kubectl.kubectl("get", "secret", "duo-mongodb", "-n", duo.namespace, "-o", "jsonpath={.data}") == password


def test_destroy_leaves_nothing_and_never_the_namespace_and_may_be_said_twice(room: Room, duo: App) -> None:
    gone = room.destroy(duo)
    assert "PersistentVolumeClaim/data-duo-mongodb-0" in gone and "ksvc/duo" in gone
    assert room.kubectl.everything(duo.namespace, "jacfn.dev/app=duo") == []
    assert duo.namespace in room.kubectl.kubectl("get", "namespaces", "-o", "name")
    assert room.destroy(duo) == []

"""Deploys that cannot succeed on a real cluster: the reason is said in words, within seconds, with what had been written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from e2e.knative.conftest import TWO_ENDPOINTS, Room
from jacfn_knative.app import App, AppEndpoint, DataServices, Image, Resources
from jacfn_knative.errors import DeployFailed, ForeignObject, KnativeError, PortTaken, Refused, Rejected

MakeApp = Callable[..., App]
OUTSIDE = DataServices(mongodb_uri="mongodb://nowhere.invalid/x", redis=False)
# Fine where it is built and verified, wrong where it is deployed.
SEEDS_THAT_RAISE = """
import os;
with entry {
    if os.environ.get("MONGODB_URI") {
        raise ValueError("the seeds went wrong");
    }
}
def : pub answer() -> int { return 42; }
"""


def failure(room: Room, app: App, within: float = 60) -> KnativeError:
    """The error of a deploy that has to fail within so many seconds; the app is removed afterwards."""
    started = time.monotonic()
    with pytest.raises(KnativeError) as failed:
        room.deploy(app)
    assert time.monotonic() - started < within, "the reason came from a timeout"
    room.destroy(app)
    return failed.value


def test_an_image_that_is_not_there(room: Room, app: MakeApp) -> None:
    image = f"{room.kubectl.env['REGISTRY']}/jacfn/nothing:here"
    error = failure(room, app(name="noimage", image=Image(reference=image), data=OUTSIDE))
    assert isinstance(error, DeployFailed)
    assert image in error.evidence and "not found" in error.evidence and "Push the image" in error.next_step
    assert any(name.startswith("Secret/noimage") for name in error.applied)


def test_an_image_that_is_no_runtime(room: Room, app: MakeApp) -> None:
    image = f"{room.kubectl.env['REGISTRY']}/library/python:3.12-slim"
    error = failure(room, app(name="root", image=Image(reference=image), data=OUTSIDE))
    assert "run as root" in error.evidence


def test_seeds_that_raise_stop_the_deploy_with_file_and_line(room: Room, app: MakeApp) -> None:
    error = failure(room, app(SEEDS_THAT_RAISE, name="seeds"), within=90)
    assert "with entry" in error.what
    assert "the seeds went wrong" in error.evidence and "main.jac" in error.evidence
    assert isinstance(error, DeployFailed) and not [name for name in error.applied if name.startswith("ksvc/")]


def test_a_process_that_ends_at_its_start_shows_its_last_lines(room: Room, app: MakeApp) -> None:
    good = app(name="crash")
    ghost = replace(good, endpoints=(*good.endpoints, AppEndpoint(id="walker/ghost")))  # the bundle has no such endpoint
    error = failure(room, ghost, within=90)
    assert isinstance(error, DeployFailed)
    assert "walker/ghost does not become ready" in error.what
    assert "exit code" in error.evidence and "ghost" in error.evidence.partition("exit code")[2]


def test_a_quota_that_does_not_admit_the_pods(room: Room, app: MakeApp, namespace: str) -> None:
    hard = {"count/services.serving.knative.dev": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": hard}}
    room.kubectl.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(quota))
    try:
        time.sleep(1)  # until the admission plugin has seen it
        error = failure(room, app(name="quota"), within=30)
        assert isinstance(error, Rejected) and "exceeded quota" in error.evidence
        assert not room.kubectl.everything(namespace, "jacfn.dev/app=quota")  # found by the dry run: nothing was written
    finally:
        room.kubectl.kubectl("delete", "quota", "none", "-n", namespace)


def test_a_quota_that_leaves_the_first_pod_no_room_and_is_raised_then(room: Room, app: MakeApp, namespace: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"}, "spec": {"hard": {"pods": "0"}}}
    room.kubectl.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(quota))
    crowded = app(name="crowded", data=replace(OUTSIDE, mongodb_uri=f"mongodb://nowhere.{namespace}.svc/x"))
    started = time.monotonic()
    try:
        time.sleep(1)
        with pytest.raises(DeployFailed) as failed:
            room.deploy(crowded)
        assert "exceeded quota" in failed.value.evidence and "raise it" in failed.value.next_step
        assert time.monotonic() - started < 90, "the reason came from a timeout"
    finally:
        room.kubectl.kubectl("delete", "quota", "pods", "-n", namespace)
    with pytest.raises(DeployFailed, match="init"):  # the Job is tried anew at once, and waits for a store that is not there
        room.deploy(crowded, seconds=20)
    pods = room.kubectl.get("pods", namespace, "jacfn.dev/app=crowded")
    room.destroy(crowded)
    assert pods, "the controller's back-off was waited for"


def test_a_quota_on_limits_admits_an_app_that_has_some(room: Room, app: MakeApp, namespace: str) -> None:
    hard = {"limits.memory": "16Gi", "limits.cpu": "40", "requests.cpu": "4"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limits"}, "spec": {"hard": hard}}
    room.kubectl.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(quota))
    limited = app(name="limited", resources=Resources(memory_limit="256Mi", cpu_limit="2"))
    try:
        assert all(row.verified for row in room.deploy(limited).rows)
    finally:
        room.kubectl.kubectl("delete", "quota", "limits", "-n", namespace)
        room.destroy(limited)


def test_a_request_that_no_node_can_meet(room: Room, app: MakeApp) -> None:
    error = failure(room, app(name="large", data=OUTSIDE, resources=Resources(cpu_request="64")), within=60)
    assert "Insufficient cpu" in error.evidence and "Lower the requests" in error.next_step


def test_a_node_port_that_is_taken_or_impossible(room: Room, app: MakeApp, namespace: str) -> None:
    squatter = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "squatter"},
        "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80, "nodePort": 30052}]},
    }  # fmt: skip
    room.kubectl.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(squatter))
    error = failure(room, app(name="port", node_port=30052), within=20)
    assert isinstance(error, PortTaken)
    assert "30052" in error.what and "squatter" in error.what and namespace in error.what
    impossible = failure(room, app(name="port", node_port=4242), within=20)
    assert "valid range" in impossible.evidence
    assert not room.kubectl.everything(namespace, "jacfn.dev/app=port")


def test_an_object_of_somebody_else_under_the_same_name(room: Room, app: MakeApp, namespace: str) -> None:
    room.kubectl.kubectl("create", "secret", "generic", "theirs-jwt", "-n", namespace)
    error = failure(room, app(name="theirs"), within=20)
    assert isinstance(error, ForeignObject) and "Secret/theirs-jwt" in error.what
    assert not room.kubectl.everything(namespace, "jacfn.dev/app=theirs")


def test_a_database_without_its_password_is_not_overwritten(room: Room, app: MakeApp, namespace: str) -> None:
    lost = app(name="lost")
    room.deploy(lost)
    room.destroy(lost, keep_data=True)
    room.kubectl.kubectl("delete", "secret", "lost-mongodb", "-n", namespace)
    error = failure(room, lost, within=20)
    assert isinstance(error, Refused) and "password" in error.what


def test_a_failed_deploy_leaves_what_served_before_and_the_next_one_mends_it(room: Room, app: MakeApp) -> None:
    good = app(name="mend")
    room.deploy(good)
    image = f"{room.kubectl.env['REGISTRY']}/jacfn/nothing:here"
    with pytest.raises(DeployFailed):
        room.deploy(replace(good, image=Image(reference=image)))
    with pytest.raises(DeployFailed):  # said again, tried again: not the memory of the first time
        room.deploy(replace(good, image=Image(reference=image)))
    assert any("hangs" in event.text for event in room.events)
    assert all(row.verified for row in room.deploy(good).rows)
    room.destroy(good)


def test_a_namespace_that_is_not_there_is_made_and_stays(room: Room, app: MakeApp) -> None:
    name = f"jacfn-e2e-made-{os.getpid()}"
    fresh = app(name="fresh", namespace=name, data=OUTSIDE, image=Image(reference=f"{room.kubectl.env['REGISTRY']}/no/thing:1"))
    try:
        with pytest.raises(DeployFailed):
            room.deploy(fresh)
        room.destroy(fresh)
        assert name in room.kubectl.kubectl("get", "namespaces", "-o", "name")
    finally:
        room.kubectl.kubectl("delete", "namespace", name, "--wait=false", check=False)


def test_a_deploy_during_a_destroy_waits_for_it(room: Room, app: MakeApp) -> None:
    again = app(TWO_ENDPOINTS, name="again", node_port=30053)
    room.deploy(again)
    for kind in ("ksvc", "statefulset", "pvc", "deployment"):
        room.kubectl.kubectl("delete", kind, "-n", again.namespace, "-l", "jacfn.dev/app=again", "--wait=false")
    room.events.clear()
    deployed = room.deploy(again)
    assert any("earlier destroy" in event.text for event in room.events)
    assert all(row.verified for row in deployed.rows)
    room.destroy(again)

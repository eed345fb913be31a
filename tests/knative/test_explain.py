"""Why something is not ready: the texts are those that Kubernetes and Knative gave on a real cluster (facts/knative-*.md)."""

from __future__ import annotations

from typing import Any

import pytest

from jacfn_knative.cluster import explain
from jacfn_knative.cluster.discover import lower_bound
from jacfn_knative.cluster.watch import pods_of, subject
from jacfn_knative.manifests import Object
from knative.apps import made


def pod(
    *statuses: dict[str, Any], phase: str = "Pending", conditions: list[dict[str, Any]] | None = None, **metadata: Any
) -> Object:
    return {
        "metadata": {"name": "p", "labels": {}, "creationTimestamp": "2026-11-23T10:00:00Z", **metadata},
        "status": {"phase": phase, "containerStatuses": list(statuses), "conditions": conditions or []},
    }


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "user-container", "image": "r/shop:1", "ready": False, "restartCount": 0, "state": state, **more}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return container({"waiting": {"reason": reason, "message": message}})


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("failed to resolve reference: r/shop:1: not found", "Push the image"),
        ("unexpected status from HEAD request: 401 Unauthorized", "docker login"),
        ("pull access denied, repository does not exist", "private"),
        ("dial tcp: lookup nowhere.example: no such host", "do not reach the registry"),
        ("something else", "Check the image's name"),
    ],
)
def test_an_image_that_cannot_be_pulled_is_named_with_what_to_do(message: str, advice: str) -> None:
    problem = explain.pod_problem(pod(waiting("ErrImagePull", message)))
    assert problem and "r/shop:1" in problem.what and message in problem.what and advice in problem.next_step


def test_an_image_that_runs_as_root_is_explained() -> None:
    text = "container has runAsNonRoot and image will run as root"
    problem = explain.pod_problem(pod(waiting("CreateContainerConfigError", text)))
    assert problem and text in problem.what and "USER" in problem.next_step
    missing = explain.pod_problem(pod(waiting("CreateContainerConfigError", 'secret "nosuch" not found')))
    assert missing and "nosuch" in missing.what


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"exitCode": 1, "message": "Traceback\nRuntimeError: boom\n"}, "exit code 1"),
        ({"exitCode": 0}, "a server should not end"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "memory"),
        ({"exitCode": 128, "reason": "StartError", "message": 'exec: "/nosuch": no such file'}, "/nosuch"),
    ],
)
def test_a_process_that_ended_is_a_problem_at_once(ended: dict[str, Any], said: str) -> None:
    for status in (
        container({"terminated": ended}),
        container({"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": ended}),
    ):
        problem = explain.pod_problem(pod(status))
        assert problem and said in problem.what
        assert problem.last_words == ("Traceback\nRuntimeError: boom" if ended["exitCode"] == 1 else "")


def test_a_database_may_need_a_second_start() -> None:
    crashed = container({"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 14}}, restartCount=1)
    assert explain.pod_problem(pod(crashed), restarts_allowed=2) is None
    assert explain.pod_problem(pod(crashed | {"restartCount": 2}), restarts_allowed=2)


def test_a_container_that_runs_before_the_others_counts_too() -> None:
    item = pod(waiting("PodInitializing"))
    item["status"]["initContainerStatuses"] = [waiting("ErrImagePull", "not found")]
    problem = explain.pod_problem(item)
    assert problem and "cannot be pulled" in problem.what
    item["status"]["initContainerStatuses"] = [container({"terminated": {"exitCode": 0}}) | {"ready": True}]
    assert explain.pod_problem(item) is None
    assert explain.pod_waits(item) == "pod: PodInitializing"


def test_a_ready_container_that_crashed_once_is_no_problem() -> None:
    status = container({"running": {}}, lastState={"terminated": {"exitCode": 1}}) | {"ready": True}
    assert explain.pod_problem(pod(status)) is None


def test_want_of_room_is_told_apart_because_it_may_pass() -> None:
    problem = explain.pod_problem(pod(conditions=[UNSCHEDULABLE]))
    assert problem and problem.room and "Insufficient cpu" in problem.what
    assert not explain.hangs(pod(conditions=[UNSCHEDULABLE]))


def test_only_a_pod_that_stays_broken_hangs() -> None:
    broken = waiting("ImagePullBackOff")
    assert explain.hangs(pod(broken))
    assert not explain.hangs(pod(broken, deletionTimestamp="now"))
    assert not explain.hangs(pod(container({"terminated": {"exitCode": 1}}), phase="Failed"))
    assert not explain.hangs(pod())


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (pod(waiting("ContainerCreating")), "pod: ContainerCreating"),
        (pod(conditions=[{"type": "PodScheduled", "status": "False"}]), "pod: not scheduled yet"),
        (pod(container({"running": {}}), phase="Running"), "pod: starting"),
        (pod(), "pod: Pending"),
    ],
)
def test_what_a_pod_waits_for_is_said_in_a_few_words(item: Object, words: str) -> None:
    assert explain.pod_waits(item) == words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"level": "warning", "event": "MongoDB cannot be reached", "reason": "refused"}', "MongoDB cannot be reached: refused"),
        ('{"event": "ready"}', "ready"),
        ('{"other": 1}', '{"other": 1}'),
        ("plain words", "plain words"),
        ("12", "12"),
        ("", ""),
    ],
)
def test_a_log_line_is_said_as_a_sentence(line: str, said: str) -> None:
    assert explain.log_line(line) == said


def knative(*conditions: tuple[str, str, str], observed: int = 2, latest: str = "s-00002", ready: str = "s-00002") -> Object:
    return {
        "metadata": {"name": "s", "generation": 2},
        "status": {
            "observedGeneration": observed,
            "latestCreatedRevisionName": latest,
            "latestReadyRevisionName": ready,
            "conditions": [{"type": kind, "status": status, "message": message} for kind, status, message in conditions],
        },
    }


def test_a_service_is_ready_only_as_it_is_now() -> None:
    assert explain.service_ready(knative(("Ready", "True", "")))
    assert not explain.service_ready(knative(("Ready", "True", ""), observed=1))
    assert not explain.service_ready(knative(("Ready", "True", ""), ready="s-00001"))
    assert not explain.service_ready(knative(("Ready", "Unknown", "")))
    assert not explain.service_ready({"metadata": {"generation": 1}})


def test_a_service_was_never_ready_if_it_is_given_up_and_no_revision_was() -> None:
    given_up = ("Ready", "False", "")
    assert explain.never_ready(knative(given_up, ready=""))
    assert not explain.never_ready(knative(given_up, ready="s-00001"))
    assert not explain.never_ready(knative(("Ready", "Unknown", ""), ready=""))


@pytest.mark.parametrize(
    ("message", "advice", "room"),
    [
        ('Revision "s-00002" failed with message: Unable to fetch image "R": ... 404 Not Found.', "Push the image", False),
        ("pods is forbidden: exceeded quota: q, requested: pods=1", "raise it", True),
        ("pods is forbidden: failed quota: q: must specify limits.memory for: queue-proxy", "K8s_MEMORY_LIMIT", False),
        ("pods is forbidden: minimum cpu usage per Container is 50m, but request is 25m", "LimitRange", False),
        ("pods is forbidden: violates PodSecurity restricted", "report this", False),
        ("0/1 nodes are available: 1 Insufficient cpu.", "Lower the requests", True),
        ('domain name error: invalid domain name "T-NAME.NS"', "too long", False),
        ("something new", "", False),
    ],
)
def test_knatives_cause_is_taken_from_the_condition_that_has_it(message: str, advice: str, room: bool) -> None:
    general = ("Ready", "False", 'Configuration "s" does not have any ready Revision.')
    problem = explain.service_problem(knative(general, ("ConfigurationsReady", "False", message)))
    assert problem and problem.what == message and advice in problem.next_step and problem.room is room


def test_a_service_that_is_not_false_or_not_current_has_no_problem() -> None:
    assert explain.service_problem(knative(("Ready", "Unknown", "waiting"))) is None
    assert explain.service_problem(knative(("Ready", "False", "old"), observed=1)) is None
    assert explain.service_problem(knative(("Ready", "False", ""), ("RoutesReady", "False", "route"))) == explain.Problem("route")


def test_a_crash_is_what_the_revision_says() -> None:
    assert explain.revision_crashed(knative(("ContainerHealthy", "False", "")))
    assert not explain.revision_crashed(knative(("ContainerHealthy", "True", "")))
    assert not explain.revision_crashed(None)


def deployment(kind: str = "Deployment", **status: Any) -> Object:
    return {"kind": kind, "metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": {"observedGeneration": 3, **status}}


def test_a_deployment_is_ready_when_all_pods_are_of_the_new_version() -> None:
    assert explain.deployment_ready(deployment(replicas=2, readyReplicas=2, updatedReplicas=2))
    assert not explain.deployment_ready(deployment(replicas=3, readyReplicas=3, updatedReplicas=2))
    assert not explain.deployment_ready(deployment(replicas=2, readyReplicas=1, updatedReplicas=2))
    assert not explain.deployment_ready(deployment(replicas=2, readyReplicas=2, updatedReplicas=2, observedGeneration=2))


def test_a_deployment_says_why_it_cannot_make_pods() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: q"}
    problem = explain.deployment_problem(deployment(conditions=[{"type": "Available", "status": "False"}, failure]))
    assert problem and problem.room and "quota" in problem.what
    assert explain.deployment_problem(deployment()) is None


def test_a_job_without_pods_is_explained_by_its_own_newest_event() -> None:
    def event(when: str, reason: str, message: str, uid: str = "2") -> Object:
        about = {"name": "j", "uid": uid}
        return {"involvedObject": about, "reason": reason, "message": message, "metadata": {}, "lastTimestamp": when}

    job = {"metadata": {"name": "j", "uid": "2"}}
    events = [
        event("2", "FailedCreate", 'Error creating: pods "j-2" is forbidden: exceeded quota: q'),
        event("1", "FailedCreate", 'Error creating: pods "j-1" is forbidden: failed quota: q'),
        event("3", "SuccessfulCreate", "fine"),
        event("3", "FailedCreate", "of a Job that had its name before", uid="1"),
    ]
    problem = explain.no_pods_problem(job, events)
    assert problem and problem.room and "j-2" in problem.what and "raise it" in problem.next_step
    assert explain.no_pods_problem(job, events[2:]) is None


def test_a_job_is_complete_failed_or_running() -> None:
    states = [
        explain.job_state({"status": {"conditions": [{"type": kind, "status": "True"}]}})
        for kind in ("Complete", "Failed", "Suspended")
    ]
    assert states == ["complete", "failed", "running"]


def test_warnings_are_the_newest_of_each_reason_without_the_usual_ones() -> None:
    def event(reason: str, message: str, when: str, name: str = "p", kind: str = "Warning") -> Object:
        about = {"involvedObject": {"name": name}, "metadata": {}}
        return about | {"type": kind, "reason": reason, "message": message, "lastTimestamp": when}

    events = [
        event("FailedMount", "new", "2"),
        event("FailedMount", "old", "1"),
        event("InternalError", "please apply your changes to the latest version and try again", "3"),
        event("Unhealthy", "dial tcp 10.0.0.1:8012: connect: connection refused", "3"),
        event("Pulled", "fine", "3", kind="Normal"),
        event("Failed", "somebody else's", "3", name="q"),
    ]
    assert explain.warnings(events, ["p"]) == ["FailedMount: new"]


def test_pods_are_those_of_the_newest_version() -> None:
    service = made()["ksvc/shop"] | {"status": {"latestCreatedRevisionName": "shop-00002"}}
    pods = [pod(name=name, labels={"serving.knative.dev/revision": name}) for name in ("shop-00001", "shop-00002")]
    assert [found["metadata"]["name"] for found in pods_of(service, pods)] == ["shop-00002"]
    ending = pod(labels={"serving.knative.dev/revision": "shop-00002"}, deletionTimestamp="now")
    assert pods_of(service, [ending]) == []


def test_a_deployments_old_pods_say_nothing_about_its_new_ones() -> None:
    item = made()["Deployment/shop-redis"]
    item["metadata"]["generation"] = 2
    labels = {"app.kubernetes.io/component": "redis"}
    old = pod(name="old", labels=labels | {"pod-template-hash": "1"})
    new = pod(name="new", labels=labels | {"pod-template-hash": "2"}, creationTimestamp="2026-11-23T10:00:09Z")
    rolled = {"status": {"observedGeneration": 2, "updatedReplicas": 1}}
    assert pods_of(item | rolled, [old, new]) == [new]
    assert pods_of(item | {"status": {"observedGeneration": 1, "updatedReplicas": 1}}, [old]) == []
    assert pods_of(item | {"status": {"observedGeneration": 2}}, [old]) == []


def test_stateful_sets_and_jobs_know_their_pods_by_label() -> None:
    everything = made()
    database = everything["StatefulSet/shop-mongodb"] | {"status": {"updateRevision": "r2"}}
    labels = {"app.kubernetes.io/component": "mongodb"}
    pods = [pod(labels=labels | {"controller-revision-hash": revision}) for revision in ("r1", "r2")]
    assert pods_of(database, pods) == pods[1:]
    job = next(item for name, item in everything.items() if name.startswith("Job/"))
    own = pod(labels={"batch.kubernetes.io/job-name": job["metadata"]["name"]})
    assert pods_of(job, [own, *pods]) == [own]


def test_people_hear_of_endpoints_not_of_objects() -> None:
    everything = made()
    assert subject(everything["ksvc/shop-get-items-qhumao"]) == "walker/get_items"
    assert subject(everything["ksvc/shop"]) == "gateway"
    assert subject(everything["StatefulSet/shop-mongodb"]) == "mongodb"


@pytest.mark.parametrize(
    ("pod_fields", "version"),
    [
        ({}, "1.15 or older"),
        ({"hostNetwork": {}}, "1.16+"),
        ({"volumes": {"items": {"properties": {"hostPath": {}}}}}, "1.17+"),
        ({"containers": {"items": {"properties": {"securityContext": {"properties": {"privileged": {}}}}}}}, "1.17+"),
        ({"volumes": {"items": {"properties": {"csi": {}, "hostPath": {}}}}}, "1.18+"),
        ({"volumes": {"items": {"properties": {"image": {}, "csi": {}}}}}, "1.19+"),
        ({"volumes": {"items": {"properties": {"ephemeral": {}, "image": {}}}}}, "1.23+"),
    ],
)
def test_knatives_version_can_be_told_from_its_schema(pod_fields: dict[str, Any], version: str) -> None:
    assert lower_bound(pod_fields) == version

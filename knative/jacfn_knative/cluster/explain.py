"""Why something is not ready, in words: pure, from objects as the API server gives them.

Knative says the cause of a crash or of an image that is not there only at its progress deadline (facts/knative-measured.md 4.ix);
its pods say it at once. So success is judged by Knative's conditions, and failure is explained, and noticed, by the pods.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from jacfn_knative.manifests.kinds import Object

IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
ROOM_ADVICE = "Lower the requests (K8s_CPU_REQUEST, K8s_MEMORY_REQUEST, cpu, memory), or add a node."


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one thing, and what to do."""

    what: str
    next_step: str = ""
    pod: str = ""
    container: str = ""
    ended: bool = False
    """The process has ended: its last lines say more."""
    last_words: str = ""
    """Those of them that the kubelet kept."""
    room: bool = False
    """It is for want of room: pods that are just ending may leave some."""


def pod_problem(pod: Object, restarts_allowed: int = 0) -> Problem | None:
    """Why this pod will not become ready by waiting, if it will not."""
    name = pod["metadata"]["name"]
    for status in _statuses(pod):
        if status.get("ready"):
            continue
        waiting = status.get("state", {}).get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in IMAGE_REASONS:
            return Problem(f"The image {status['image']} cannot be pulled: {message or reason}", _image_advice(message), name)
        if reason in CONFIG_REASONS:
            return Problem(f"{reason}: {message}", _config_advice(message), name)
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
        if ended and status.get("restartCount", 0) >= restarts_allowed:
            return _ended(ended, name, status["name"])
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Problem(f"No node has room for the pod: {condition['message']}", ROOM_ADVICE, name, room=True)
    return None


def hangs(pod: Object) -> bool:
    """Whether a pod has a problem that only another try can end: not one that wants room, and not one that is on its way out."""
    problem = pod_problem(pod) if not pod["metadata"].get("deletionTimestamp") else None
    done = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return problem is not None and not problem.room and not done


def pod_waits(pod: Object) -> str:
    """What a pod is waiting for just now, in a few words."""
    for status in _statuses(pod):
        reason = status.get("state", {}).get("waiting", {}).get("reason")
        if reason:
            return f"pod: {reason}"
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"pod: {condition.get('message') or 'not scheduled yet'}"
    phase = pod.get("status", {}).get("phase", "Pending")
    return "pod: starting" if phase == "Running" else f"pod: {phase}"


def log_line(line: str) -> str:
    """A line of the runtime's JSON log as a sentence; any other line as it is."""
    try:
        found = json.loads(line)
        return ": ".join(str(found[key]) for key in ("event", "reason") if found.get(key)) or line
    except (ValueError, TypeError, AttributeError, KeyError):
        return line


def service_ready(service: Object) -> bool:
    """Whether a Knative Service is ready as it is now, not as it was before its last change."""
    status = service.get("status", {})
    latest = status.get("latestCreatedRevisionName")
    return _current(service) and condition(service, "Ready") == "True" and latest == status.get("latestReadyRevisionName")


def never_ready(service: Object) -> bool:
    """Whether Knative has given up a service of which no revision was ever ready: it serves nobody."""
    return condition(service, "Ready") == "False" and not service["status"].get("latestReadyRevisionName")


def service_problem(service: Object) -> Problem | None:
    """What Knative says about a service that it has given up, cause first; None while it has not."""
    if not _current(service) or condition(service, "Ready") != "False":
        return None
    found = {item["type"]: item for item in service["status"]["conditions"]}
    for kind in ("ConfigurationsReady", "RoutesReady", "Ready"):
        if found.get(kind, {}).get("status") == "False":
            message = found[kind].get("message") or found[kind].get("reason", "")
            return _for_message(message)
    return None


def revision_crashed(revision: Object | None) -> bool:
    """Whether Knative holds a crash against a revision. Before 1.15.3 it never takes that back, even if the pods run again."""
    return revision is not None and condition(revision, "ContainerHealthy") == "False"


def deployment_ready(item: Object) -> bool:
    """Whether a Deployment or StatefulSet has finished rolling out what it was last told."""
    status, wanted = item.get("status", {}), item["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas")]
    return _current(item) and counts == [wanted] * 3


def deployment_problem(item: Object) -> Problem | None:
    """Why the controller cannot even make pods: quota, Pod Security, service account."""
    for found in item.get("status", {}).get("conditions", []):
        if found["type"] == "ReplicaFailure" and found["status"] == "True":
            return _for_message(found["message"])
    return None


def no_pods_problem(item: Object, events: Sequence[Object]) -> Problem | None:
    """Why a Job or StatefulSet has no pods: unlike a Deployment they say it in events only."""
    own = [event for event in events if event["involvedObject"].get("uid") == item["metadata"]["uid"]]
    failed = sorted((event for event in own if event.get("reason") == "FailedCreate"), key=_when)
    return _for_message(str(failed[-1].get("message", ""))) if failed else None


def job_state(item: Object) -> str:
    """`complete`, `failed` or `running`."""
    if condition(item, "Complete") == "True":
        return "complete"
    return "failed" if condition(item, "Failed") == "True" else "running"


def condition(item: Object, kind: str) -> str:
    """The status of one condition: `True`, `False`, `Unknown`, or "" if there is none."""
    for found in item.get("status", {}).get("conditions", []):
        if found["type"] == kind:
            return str(found["status"])
    return ""


def warnings(events: Sequence[Object], names: Sequence[str]) -> list[str]:
    """The newest warning of each reason about these objects, without those that healthy deploys show as well."""
    found: dict[str, str] = {}
    for event in sorted(events, key=_when):
        message = str(event.get("message", ""))
        usual = "please apply your changes to the latest version" in message or "connection refused" in message
        if event.get("type") == "Warning" and event["involvedObject"].get("name") in names and not usual:
            found[event.get("reason", "")] = f"{event.get('reason')}: {message}"
    return list(found.values())


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event["metadata"].get("creationTimestamp"))


def _statuses(pod: Object) -> list[Object]:
    """Of all containers, those first that run first."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _current(item: Object) -> bool:
    return bool(item.get("status", {}).get("observedGeneration") == item["metadata"].get("generation"))


def _ended(ended: Object, pod: str, container: str) -> Problem:
    code, message = ended.get("exitCode"), (ended.get("message") or "").strip()
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        return Problem(f"The container cannot be started: {message}", "Is this a jacfn runtime image?", pod, container)
    what, next_step = f"The process ended with exit code {code}", ""
    if ended.get("reason") == "OOMKilled":
        what, next_step = "The process needed more memory than its limit (OOMKilled)", "Raise K8s_MEMORY_LIMIT."
    elif code == 0:
        what += " although a server should not end"
    return Problem(what, next_step, pod, container, ended=True, last_words=message)


def _image_advice(message: str) -> str:
    lowered = message.lower()
    if any(word in lowered for word in ("unauthorized", "denied", "forbidden", "401", "403", "authentication")):
        return "The image is private: `docker login` here (DOCKER_USERNAME and DOCKER_PASSWORD for Docker Hub) and deploy again."
    if "not found" in lowered or "404" in lowered or "notfound" in lowered:
        return "Push the image, or check its name: nodes look for it in the registry as they see it, not as this machine does."
    if "no such host" in lowered or "refused" in lowered or "timeout" in lowered:
        return "The nodes do not reach the registry under this name."
    return "Check the image's name and that nodes may pull it."


def _config_advice(message: str) -> str:
    if "run as root" in message:
        return "The image must name a numeric user that is not root (USER 65532); images that jacfn makes do."
    return ""


def _for_message(message: str) -> Problem:
    return Problem(message, _service_advice(message), room="nodes are available" in message or "exceeded quota" in message)


def _service_advice(message: str) -> str:
    if "Unable to fetch image" in message:
        return _image_advice(message)
    if "failed quota" in message:
        return "The namespace's quota wants limits of every container: set K8s_CPU_LIMIT and K8s_MEMORY_LIMIT."
    if "usage per Container" in message or "usage per Pod" in message:
        return (
            "A LimitRange of the namespace does not admit the pods: change it, or K8s_CPU_REQUEST, K8s_MEMORY_REQUEST and limits."
        )
    if "exceeded quota" in message:
        return "The namespace's quota does not admit the pods: raise it, or lower requests and max_scale."
    if "violates PodSecurity" in message:
        return (
            "The namespace enforces a Pod Security Standard that the pods do not meet; please report this as a defect of jacfn."
        )
    if "nodes are available" in message:
        return ROOM_ADVICE
    if "domain name error" in message:
        return "A host name is too long: choose a shorter namespace or app_name."
    return ""

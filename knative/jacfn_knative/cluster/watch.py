"""Waiting until what was applied is ready, and noticing at once when it never will be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from jacfn_knative.cluster import explain
from jacfn_knative.cluster.connection import Cluster
from jacfn_knative.cluster.live import POD, REVISION, selector
from jacfn_knative.errors import ClusterError, DeployFailed, NotAllowed
from jacfn_knative.manifests.context import COMPONENT_LABEL, ENDPOINT
from jacfn_knative.manifests.kinds import KNATIVE_SERVICE, Kind, Object, kind_of, reference
from jacfn_knative.plan import Change
from jacfn_knative.report import Event, Report

POLL_SECONDS = 0.5
# A False of Knative may be of the moment: kn and func believe it after so long (facts/knative.md B.7).
BELIEF_SECONDS = 2.0
# Want of room passes while pods of an old revision are ending: queue-proxy drains for about 31 s. Without such pods a scheduler
# that has just said no is given a little time all the same, for a node that is just joining.
ROOM_SECONDS = {True: 60.0, False: 15.0}
# An API server that is restarted is away for some seconds; a deploy outlives that.
OUTAGE_SECONDS = 20.0
LOG_LINES = 30
QUIET_SECONDS = 8.0  # a Job that takes longer is asked what it is doing, and what has no pods by then why
EVENT = Kind("", "v1", "Event", "events")
JOB_LABEL = "batch.kubernetes.io/job-name"
WATCHED = ("StatefulSet", "Deployment", "Job")


def subject(item: Object) -> str:
    """What people call an object: the endpoint, `gateway`, `mongodb`, ..."""
    metadata = item["metadata"]
    return str(metadata["annotations"].get(ENDPOINT) or metadata["labels"][COMPONENT_LABEL])


def is_watched(item: Object) -> bool:
    """Whether an object has to become ready."""
    return item["kind"] in WATCHED or kind_of(item) == KNATIVE_SERVICE


@dataclass
class Watch:
    """One wait for some objects of one app."""

    cluster: Cluster
    namespace: str
    app_name: str
    report: Report
    seconds: float
    pending: dict[str, Change] = field(default_factory=dict)
    ready: dict[str, Object] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    false_since: dict[str, float] = field(default_factory=dict)
    newest: dict[str, list[Object]] = field(default_factory=dict)
    ending: bool = False
    started: float = field(default_factory=time.monotonic)

    def until_ready(self, changes: Sequence[Change]) -> dict[str, Object]:
        """The objects as they are when all are ready, by reference. Raises DeployFailed as soon as one is known never to be."""
        self.pending = {change.reference: change for change in changes if is_watched(change.item)}
        answered = time.monotonic()
        while self.pending:
            try:
                self._look()
                answered = time.monotonic()
            except NotAllowed:
                raise
            except ClusterError:
                if time.monotonic() - answered > OUTAGE_SECONDS:
                    raise
            if self.pending and self.waited > self.seconds:
                raise self._timeout()
            if self.pending:
                time.sleep(POLL_SECONDS)
        return self.ready

    @property
    def waited(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self.started

    def _look(self) -> None:
        kinds = {kind_of(change.item) for change in self.pending.values()}
        live = {
            reference(item): item for kind in kinds for item in self.cluster.list(kind, self.namespace, selector(self.app_name))
        }
        pods = self.cluster.list(POD, self.namespace, selector(self.app_name))
        self.ending = any(pod["metadata"].get("deletionTimestamp") for pod in pods)
        for name, change in list(self.pending.items()):
            item = live.get(name)
            if item is None:
                continue  # just made, and this list is a moment older
            if self._is_ready(item, change):
                del self.pending[name]
                self.ready[name] = item
                self.report(Event("ready", subject(change.item), f"{self.waited:.1f} s"))
            else:
                self.newest[name] = pods_of(item, pods)
                self._judge(name, item, self.newest[name])

    def _is_ready(self, item: Object, change: Change) -> bool:
        if kind_of(item) != KNATIVE_SERVICE:
            return explain.job_state(item) == "complete" if item["kind"] == "Job" else explain.deployment_ready(item)
        if explain.service_ready(item):
            return True
        if change.action != "keep" or explain.condition(item, "Ready") != "False":
            return False
        # Unchanged, and it was ready once: up to Knative 1.15.2 a crash, or a node's restart, is held against it for ever.
        latest = item["status"].get("latestReadyRevisionName", "")
        crashed = latest == item["status"].get("latestCreatedRevisionName") and "url" in item["status"]
        if not (crashed and explain.revision_crashed(self.cluster.get(REVISION, self.namespace, latest))):
            return False
        heal = f"kubectl delete deployment {latest}-deployment -n {self.namespace}"
        text = f"Knative holds an old crash of {latest} against it, it may well serve; to clear that: {heal}"
        self.report(Event("warning", subject(change.item), text))
        return True

    def _judge(self, name: str, item: Object, pods: Sequence[Object]) -> None:
        """Raise DeployFailed if it will not become ready, else say what it waits for."""
        what = subject(self.pending[name].item)
        if item["kind"] == "Job" and explain.job_state(item) == "failed":
            raise self._failed_init(pods)
        problem, believed = self._problem(item, pods)
        if problem is None and not pods and self.waited > QUIET_SECONDS and self.pending[name].action != "keep":
            problem, believed = self._no_pods(item)
        if problem is None:
            self.false_since.pop(name, None)
        elif time.monotonic() - self.false_since.setdefault(name, time.monotonic()) >= believed:
            raise self._failure(what, problem)
        waits = explain.pod_waits(pods[0]) if pods else "no pod yet"
        if item["kind"] == "Job" and pods and self.waited > QUIET_SECONDS:
            waits = explain.log_line(self._last_words(pods[0], 1)) or waits  # such as: it waits for a store
        if self.said.get(name) != waits:
            self.said[name] = waits
            self.report(Event("wait", what, waits))

    def _problem(self, item: Object, pods: Sequence[Object]) -> tuple[explain.Problem | None, float]:
        """What is wrong with an object, as its pods or its conditions say, and after how many seconds that is to be believed."""
        data = item["metadata"]["labels"][COMPONENT_LABEL] in ("mongodb", "redis")  # a database may need a second start
        found = [explain.pod_problem(pod, restarts_allowed=2 if data else 0) for pod in pods]
        # That a Job's process has ended is the Job's to judge.
        problem = next((one for one in found if one and not (one.ended and item["kind"] == "Job")), None)
        if problem and not problem.room:
            return problem, 0.0
        problem = problem or (explain.service_problem if kind_of(item) == KNATIVE_SERVICE else explain.deployment_problem)(item)
        return problem, ROOM_SECONDS[self.ending] if problem and problem.room else BELIEF_SECONDS

    def _no_pods(self, item: Object) -> tuple[explain.Problem | None, float]:
        """The same for a Job or StatefulSet that gets no pods: a quota, a LimitRange, Pod Security."""
        if item["kind"] not in ("Job", "StatefulSet"):
            return None, 0.0
        try:
            problem = explain.no_pods_problem(item, self.cluster.list(EVENT, self.namespace))
        except NotAllowed:  # a deploy needs no right to see events
            return None, 0.0
        return problem, ROOM_SECONDS[self.ending] if problem and problem.room else BELIEF_SECONDS

    def _failure(self, what: str, problem: explain.Problem) -> DeployFailed:
        evidence = [problem.what]
        if problem.ended:
            log = self.cluster.log(self.namespace, problem.pod, problem.container, LOG_LINES)
            evidence.append(log or problem.last_words or "It left no log.")
        return DeployFailed(f"{what} does not become ready", evidence="\n".join(evidence), next_step=problem.next_step)

    def _failed_init(self, pods: Sequence[Object]) -> DeployFailed:
        """The program's own error, from the log of the Job's last pod."""
        log = ""
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))[-1:]:
            problem = explain.pod_problem(pod)
            log = self.cluster.log(self.namespace, pod["metadata"]["name"], "user-container", LOG_LINES)
            log = log or (problem.last_words or problem.what if problem else "")
        return DeployFailed(
            "The program's `with entry` blocks, or the preparation of its stores, failed: no function was touched",
            evidence=log or "The init Job left no log.",
            next_step="Mend it and deploy again; `jac start` runs the same blocks on this machine.",
        )

    def _last_words(self, pod: Object, lines: int = 5) -> str:
        return self.cluster.log(self.namespace, pod["metadata"]["name"], pod["spec"]["containers"][0]["name"], lines)

    def _timeout(self) -> DeployFailed:
        names = {name.partition("/")[2] for name in self.pending}
        try:
            pods = self.cluster.list(POD, self.namespace, selector(self.app_name))
            names |= {pod["metadata"]["name"] for pod in pods}
            warnings = explain.warnings(self.cluster.list(EVENT, self.namespace), sorted(names))
        except ClusterError as error:
            warnings = [f"No events: {error.what}"]
        lines = [f"{subject(change.item)}: {self.said.get(name, 'not seen yet')}" for name, change in self.pending.items()]
        lines += [log for name in self.pending for pod in self.newest.get(name, [])[:1] if (log := self._last_words(pod))]
        return DeployFailed(
            f"Not ready after {self.seconds:.0f} s: {', '.join(subject(change.item) for change in self.pending.values())}",
            evidence="\n".join([*lines, *warnings]),
            next_step=f"kubectl get pods -n {self.namespace} -l {selector(self.app_name)}",
        )


def pods_of(item: Object, pods: Sequence[Object]) -> list[Object]:
    """The pods of an object's newest version that are not on their way out."""
    live = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    status, name = item.get("status", {}), item["metadata"]["name"]
    if kind_of(item) == KNATIVE_SERVICE:
        return _labelled(live, "serving.knative.dev/revision", status.get("latestCreatedRevisionName"))
    if item["kind"] == "Job":
        return _labelled(live, JOB_LABEL, name)
    same = _labelled(live, COMPONENT_LABEL, item["metadata"]["labels"][COMPONENT_LABEL])
    if item["kind"] == "StatefulSet":
        return _labelled(same, "controller-revision-hash", status.get("updateRevision"))
    if not same or not status.get("updatedReplicas") or status.get("observedGeneration") != item["metadata"].get("generation"):
        return []  # a Deployment that has not made its new pods yet: the old ones say nothing
    newest = max(same, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return _labelled(same, "pod-template-hash", newest["metadata"]["labels"].get("pod-template-hash"))


def _labelled(pods: Sequence[Object], label: str, value: str | None) -> list[Object]:
    return [pod for pod in pods if value and pod["metadata"]["labels"].get(label) == value]

"""Wake from zero on the test cluster: ours beside Knative's own Go hello, interleaved, from request to 200, with its parts.

Run with `WAKE_ROUNDS=30 python -m tests.bench wake`. Needs ../shared/cluster up with Knative. Measured are a public function that
touches no store, the same by way of the gateway, and the spec's public walker, which reads its root from MongoDB behind Redis;
and a bare falcon under `python -m uvicorn`, which tells what a Python process can be had for on this machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.bench.table import Row

sys.path.insert(0, str(Path(__file__).parents[1]))
from e2e import homes
from e2e.cluster import Cluster, environment, eventually
from e2e.conftest import SHOP, Deployment

PING = "".join(f'\n\ndef : pub {name}() -> str {{\n    return "pong";\n}}\n' for name in ("ping", "ping_behind"))
PORT = 8000  # that our manifests ask for: the spec's
# A window of 6 s is the least that Knative allows: rounds come quickly.
JAC_TOML = '[project]\nname = "wake-bench"\n' + "".join(
    f'[plugins.scale.functions.{name}]\nwindow = "6s"\n' for name in ("ping", "ping_behind", "get_items")
)
BARE_COMMAND = ["python", "-m", "uvicorn", "--app-dir", "/app", "--host", "0.0.0.0", "--port", "8080"]
BARE_COMMAND += ["--no-access-log", "--log-level", "warning", "bare:app"]
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def yardstick(name: str, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Knative Service of one container, which sleeps as soon as ours do."""
    window = {"autoscaling.knative.dev/window": "6s"}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "template": {
                "metadata": {"annotations": window},
                "spec": {"containers": [container | {"securityContext": RESTRICTED}], **spec},
            }
        },
    }


def yardsticks(runtime_image: str) -> list[dict[str, Any]]:
    """Knative's own Go hello; and a bare falcon under `python -m uvicorn`, in our image, with its bytecode."""
    return [
        yardstick("hello-go", {"image": "ko.local/helloworld:dev", "imagePullPolicy": "Never"}),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "bare"},
            "data": {"bare.py": (Path(__file__).parent / "bare.py").read_text()},
        },
        yardstick(
            "bare-falcon",
            {"image": runtime_image, "command": BARE_COMMAND, "volumeMounts": [{"name": "app", "mountPath": "/app"}]},
            volumes=[{"name": "app", "configMap": {"name": "bare"}}],
        ),
    ]


@dataclass
class Pod:
    """What a watch saw of one pod: which service's, where, and when it saw each step first, in seconds since the epoch."""

    service: str
    uid: str
    address: str = ""
    steps: dict[str, float] = field(default_factory=dict)


class PodWatch:
    """Watches the pods of a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        command = ["kubectl", "get", "pods", "-n", namespace, "--watch", "--output-watch-events", "-o", "json"]
        self.process = subprocess.Popen(command, env=os.environ | cluster.env, stdout=subprocess.PIPE, text=True)
        self.seen: dict[str, Pod] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:  # one event a line
            self._note(json.loads(line)["object"], time.time())

    def _note(self, found: dict[str, Any], now: float) -> None:
        meta, status = found["metadata"], found["status"]
        pod = self.seen.setdefault(meta["name"], Pod(meta["labels"].get("serving.knative.dev/service", ""), meta["uid"]))
        pod.address = status.get("podIP", "")
        pod.steps.setdefault("pod created", now)
        if any(each["type"] == "PodScheduled" and each["status"] == "True" for each in status.get("conditions", [])):
            pod.steps.setdefault("scheduled", now)

    def latest(self, service: str, since: float) -> Pod | None:
        """The newest pod of a service, if it was made since then."""
        pods = (pod for pod in reversed(self.seen.values()) if pod.service == service)
        return next((pod for pod in pods if pod.steps["pod created"] >= since), None)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def process_starts(pod_uid: str) -> dict[str, float]:
    """When each process of a pod was started, by its name, in seconds since the epoch, to 10 ms.

    The status of a pod knows only whole seconds; this machine is the node, so its /proc knows better (proc(5), field 22 of stat).
    """
    booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])
    found: dict[str, float] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if pod_uid not in (process / "cgroup").read_text().replace("_", "-"):
                continue
            name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
            began = booted + int(rest.split()[19]) / os.sysconf("SC_CLK_TCK")
            found[name] = min(began, found.get(name, began))
    return found


def listened_after(pod: Pod) -> float | None:
    """Seconds from the start of our process in this pod until it listened, as its metrics tell; None for somebody else's."""
    with suppress(httpx.HTTPError):
        for line in httpx.get(f"http://{pod.address}:{PORT}/metrics", timeout=5).text.splitlines():
            if line.startswith("jacfn_cold_start_seconds "):
                return float(line.split()[1])
    return None


def parts_of(pod: Pod) -> dict[str, float]:
    """When each part of a wake was over, in seconds since the epoch."""
    names = {
        "pause": "sandbox started",
        "sleep": "sandbox started",
        "queue": "queue-proxy started",
    }  # here `sleep` is the sandbox
    parts = pod.steps | {names.get(name, "user container started"): began for name, began in process_starts(pod.uid).items()}
    if (after := listened_after(pod)) is not None:
        parts["process listening"] = parts["user container started"] + after
    return parts


@contextmanager
def deployed(cluster: Cluster, image: str) -> Iterator[tuple[str, dict[str, tuple[str, str, str]]]]:
    """The shop with public functions, and the yardsticks; yields the namespace and {name: (host, path, ksvc name)}."""
    with cluster.namespace("jacfn-bench-wake") as namespace, tempfile.TemporaryDirectory() as folder:
        entry = homes.copy_of(SHOP, Path(folder))
        entry.write_text(entry.read_text() + PING)
        (entry.parent / "jac.toml").write_text(JAC_TOML)
        app = Deployment(cluster, namespace, "wake", entry, image, node_port=30031)
        app.deploy()
        for item in yardsticks(image):
            cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(item))
        for name in ("hello-go", "bare-falcon"):
            cluster.kubectl("wait", "-n", namespace, f"ksvc/{name}", "--for=condition=Ready", "--timeout=120s")
        hosts = homes.hosts(cluster, namespace, "wake")
        services = {
            item["metadata"]["annotations"].get("jacfn.dev/endpoint", ""): item["metadata"]["name"]
            for item in cluster.get("ksvc", namespace, "jacfn.dev/app=wake")
        }
        yield (
            namespace,
            {
                "hello-go": (f"hello-go.{namespace}.example.com", "/", "hello-go"),
                "bare falcon": (f"bare-falcon.{namespace}.example.com", "/", "bare-falcon"),
                "function (no store)": (hosts["function/ping"], "/function/ping", services["function/ping"]),
                "walker (root from the store)": (hosts["walker/get_items"], "/walker/get_items", services["walker/get_items"]),
                "function through the gateway": (
                    hosts["gateway"],
                    "/function/ping_behind",
                    services["function/ping_behind"],
                ),
            },
        )
        app.destroy()


def awake(cluster: Cluster, namespace: str, service: str) -> bool:
    """Whether the service has a pod that is not on its way out: draining takes queue-proxy half a minute and serves nobody."""
    pods = cluster.get("pods", namespace, f"serving.knative.dev/service={service}")
    return any("deletionTimestamp" not in pod["metadata"] for pod in pods)


def wake(cluster: Cluster, host: str, path: str) -> tuple[float, float]:
    """One request to a sleeping service; when it was sent and how long the 200 took, in seconds."""
    method = "GET" if path == "/" else "POST"
    sent, clock = time.time(), time.perf_counter()
    response = httpx.request(method, cluster.env["GATEWAY"] + path, headers={"host": host}, timeout=60)
    assert response.status_code == 200, response.text
    return sent, time.perf_counter() - clock


def measure(rounds: int = int(os.environ.get("WAKE_ROUNDS", "15"))) -> list[Row]:
    """Wall time of wakes, ours over hello-go, medians of interleaved rounds in rotating order."""
    env = environment()
    if env is None:
        return []
    cluster = Cluster(env)
    image = os.environ.get("JACFN_RUNTIME_IMAGE") or _runtime_image(cluster)
    times: dict[str, list[float]] = {}
    parts: dict[str, list[dict[str, float]]] = {}
    with deployed(cluster, image) as (namespace, targets):
        watch = PodWatch(cluster, namespace)
        order = list(targets)
        for number in range(rounds):
            for name in order[number % len(order) :] + order[: number % len(order)]:
                host, path, service = targets[name]
                assert eventually(lambda service=service: not awake(cluster, namespace, service), 120, 0.25), service  # type: ignore[misc]
                sent, seconds = wake(cluster, host, path)
                times.setdefault(name, []).append(seconds)
                time.sleep(0.5)  # the watch sees what is true a moment later
                pod = watch.latest(service, sent - 0.1)
                steps = parts_of(pod) if pod else {}
                parts.setdefault(name, []).append({key: at - sent for key, at in steps.items()} | {"first byte": seconds})
        watch.close()
    go = statistics.median(times["hello-go"])
    return [
        Row(
            f"wake from zero, {name}, over Knative's Go hello",
            statistics.median(values) / go,
            "x",
            1.10 if name.startswith(("function (", "walker")) else None,  # the budget is for a direct wake
            {"n": len(values), **_summary(values), **_parts(parts[name])},
        )
        for name, values in times.items()
    ]


def _summary(values: list[float]) -> dict[str, str]:
    ordered = sorted(values)
    return {"p50 / p95 / min ms": f"{statistics.median(values) * 1e3:.0f} / {_p95(ordered) * 1e3:.0f} / {ordered[0] * 1e3:.0f}"}


def _parts(rounds: list[dict[str, float]]) -> dict[str, str]:
    keys = {key for steps in rounds for key in steps}
    measured = {key: sorted(steps[key] for steps in rounds if key in steps) for key in keys}
    return {
        f"{key}, p50 / p95 ms after the request": f"{statistics.median(at) * 1e3:.0f} / {_p95(at) * 1e3:.0f}"
        for key, at in sorted(measured.items(), key=lambda item: statistics.median(item[1]))
    }


def _p95(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]


def _runtime_image(cluster: Cluster) -> str:
    registry = cluster.env["REGISTRY"]
    command = [str(homes.BIN / "jacfn"), "image", "runtime", "--base", f"{registry}/library/python:3.12-slim"]
    command += ["--push", f"{registry}/jacfn/runtime:bench"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout.strip().splitlines()[-1]

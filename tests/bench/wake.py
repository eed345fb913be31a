"""Wake from zero on the test cluster: ours beside Knative's own Go hello, interleaved, from request to 200, with its parts.

Run with `WAKE_ROUNDS=30 python -m tests.bench wake`. Needs ../shared/cluster up with Knative. Two endpoints of ours are
measured: a public function that touches no store, and the spec's public walker, which reads its root from MongoDB behind Redis.
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
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tests.bench.table import Row

sys.path.insert(0, str(Path(__file__).parents[1]))
from e2e import homes
from e2e.cluster import Cluster, environment, eventually
from e2e.conftest import SHOP, Deployment

PING = '\n\ndef : pub ping() -> str {\n    return "pong";\n}\n'
# A window of 6 s is the least that Knative allows: rounds come quickly.
JAC_TOML = '[project]\nname = "wake-bench"\n' + "".join(
    f'[plugins.scale.functions.{name}]\nwindow = "6s"\n' for name in ("ping", "get_items")
)
HELLO = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "hello-go"},
    "spec": {
        "template": {
            "metadata": {"annotations": {"autoscaling.knative.dev/window": "6s"}},
            "spec": {
                "containers": [
                    {
                        "image": "ko.local/helloworld:dev",
                        "imagePullPolicy": "Never",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "runAsNonRoot": True,
                            "runAsUser": 65532,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                    }
                ]
            },
        }
    },
}


class PodWatch:
    """Watches the pods of a namespace and keeps when each step of a wake was first seen here, in seconds since the epoch."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        command = ["kubectl", "get", "pods", "-n", namespace, "--watch", "--output-watch-events", "-o", "json"]
        self.process = subprocess.Popen(command, env=os.environ | cluster.env, stdout=subprocess.PIPE, text=True)
        self.seen: dict[str, dict[str, float]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:  # one event a line
            self._note(json.loads(line)["object"], time.time())

    def _note(self, pod: dict[str, Any], now: float) -> None:
        steps = self.seen.setdefault(
            pod["metadata"]["name"], {"service": pod["metadata"]["labels"].get("serving.knative.dev/service", "")}
        )
        steps.setdefault("created", now)
        for condition in pod["status"].get("conditions", []):
            if condition["status"] == "True" and condition["type"] == "PodScheduled":
                steps.setdefault("scheduled", now)
        for container in pod["status"].get("containerStatuses", []):
            started = container["state"].get("running", {}).get("startedAt")
            if started:
                steps.setdefault(f"{container['name']} seen running", now)
                steps.setdefault(f"{container['name']} startedAt", datetime.fromisoformat(started).timestamp())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@contextmanager
def deployed(cluster: Cluster, image: str) -> Iterator[tuple[str, dict[str, tuple[str, str, str]]]]:
    """The shop with a public function, and hello-go; yields the namespace and {name: (host, path, ksvc name)}."""
    with cluster.namespace("jacfn-bench-wake") as namespace, tempfile.TemporaryDirectory() as folder:
        entry = homes.copy_of(SHOP, Path(folder))
        entry.write_text(entry.read_text() + PING)
        (entry.parent / "jac.toml").write_text(JAC_TOML)
        app = Deployment(cluster, namespace, "wake", entry, image, node_port=30031)
        app.deploy()
        cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(HELLO))
        cluster.kubectl("wait", "-n", namespace, "ksvc/hello-go", "--for=condition=Ready", "--timeout=120s")
        hosts = homes.hosts(cluster, namespace, "wake")
        services = {
            item["metadata"]["annotations"].get("jacfn.dev/endpoint", ""): item["metadata"]["name"]
            for item in cluster.get("ksvc", namespace, "jacfn.dev/app=wake")
        }
        yield (
            namespace,
            {
                "hello-go": (f"hello-go.{namespace}.example.com", "/", "hello-go"),
                "function (no store)": (hosts["function/ping"], "/function/ping", services["function/ping"]),
                "walker (root from the store)": (hosts["walker/get_items"], "/walker/get_items", services["walker/get_items"]),
                "the same function through the gateway": (hosts["gateway"], "/function/ping", services["function/ping"]),
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
                time.sleep(1.5)  # the watch sees the containers' states a moment after they are true
                steps = next(
                    (s for s in reversed(watch.seen.values()) if s["service"] == service and s["created"] >= sent - 0.1), {}
                )
                parts.setdefault(name, []).append({key: value - sent for key, value in steps.items() if key != "service"})
        watch.close()
    go = statistics.median(times["hello-go"])
    return [
        Row(
            f"wake from zero, {name}, over Knative's Go hello",
            statistics.median(values) / go,
            "x",
            None if name == "hello-go" or "gateway" in name else 1.10,  # the budget is for a direct wake
            {"n": len(values), **_summary(values), **_parts(parts[name])},
        )
        for name, values in times.items()
    ]


def _summary(values: list[float]) -> dict[str, str]:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"p50 / p95 / min ms": f"{statistics.median(values) * 1e3:.0f} / {p95 * 1e3:.0f} / {ordered[0] * 1e3:.0f}"}


def _parts(rounds: list[dict[str, float]]) -> dict[str, str]:
    keys = {key for steps in rounds for key in steps}
    medians = {key: statistics.median(steps[key] for steps in rounds if key in steps) for key in keys}
    return {
        f"{key}, ms after the request": f"{value * 1e3:.0f}" for key, value in sorted(medians.items(), key=lambda item: item[1])
    }


def _runtime_image(cluster: Cluster) -> str:
    registry = cluster.env["REGISTRY"]
    command = [str(homes.BIN / "jacfn"), "image", "runtime", "--base", f"{registry}/library/python:3.12-slim"]
    command += ["--push", f"{registry}/jacfn/runtime:bench"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout.strip().splitlines()[-1]

"""The test cluster of ../shared/cluster, seen through kubectl: namespaces that clean up after themselves, and questions."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT.parent / "shared" / "cluster" / "cluster"


def environment() -> dict[str, str] | None:
    """What `cluster env` exports (KUBECONFIG, PATH, REGISTRY, GATEWAY, NODE_IP), or None where no cluster runs."""
    if not SCRIPT.exists():
        return None
    shell = f'eval "$({SCRIPT} env)" && kubectl get --raw /readyz >/dev/null && env -0'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=60, check=False)
    if result.returncode:
        return None
    pairs = dict(item.split("=", 1) for item in result.stdout.decode().split("\0") if "=" in item)
    return {name: pairs[name] for name in ("KUBECONFIG", "PATH", "REGISTRY", "GATEWAY", "NODE_IP")}


@dataclass(frozen=True)
class Cluster:
    """A running test cluster."""

    env: dict[str, str]

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """kubectl's standard output. Raises CalledProcessError with its words when `check`."""
        result = subprocess.run(
            ["kubectl", *arguments],
            env=os.environ | self.env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            input=stdin,
        )
        if check and result.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def get(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """Objects of one kind, by label."""
        more = ["-l", selector] if selector else []
        return list(json.loads(self.kubectl("get", kind, "-n", namespace, "-o", "json", *more))["items"])

    @property
    def knative(self) -> bool:
        """Whether the cluster has Knative Serving."""
        return "serving.knative.dev" in self.kubectl("api-versions")

    @contextlib.contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace that enforces the restricted Pod Security Standard, removed at the end."""
        self.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=true")
        self.kubectl("create", "namespace", name)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", check=False)

    def everything(self, namespace: str, selector: str) -> list[str]:
        """Every namespaced object with these labels, of every kind that the cluster has, as kind/name."""
        kinds = self.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
        kinds = [kind for kind in kinds if kind not in ("events", "events.events.k8s.io") and not kind.endswith("metrics.k8s.io")]
        found = self.kubectl("get", ",".join(kinds), "-n", namespace, "-l", selector, "-o", "name", "--ignore-not-found")
        return sorted(found.split())


def eventually[T](question: Callable[[], T], seconds: float, every: float = 0.5) -> T:
    """The first true answer within so many seconds; the last answer otherwise (the caller asserts)."""
    deadline = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(every)
    return answer

"""The four homes of a program: `jac start`, the laptop's fleet, Knative, a cluster without it. Each is a way to send requests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from e2e.cluster import ROOT, Cluster
from servers import free_port

BIN = Path(sys.executable).parent
Send = Callable[[str, str, dict[str, str], bytes], httpx.Response]
TIMEOUT = httpx.Timeout(60.0)
SAME_NAME = {"APP_NAME": "shop"}  # it shows in answers: the API's title, the realm of a 401


def clean_env() -> dict[str, str]:
    """This process's environment without anything that would configure jacfn, with the virtual environment's programs first."""
    dropped = ("JACFN_", "K8s_", "JWT_", "SSO_", "DOCKER_", "MONGODB_URI", "REDIS_URL", "APP_NAME", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": f"{BIN}:{kept['PATH']}"}


def copy_of(program: Path, folder: Path) -> Path:
    """A copy of a program's folder, so that a run leaves nothing in the checkout."""
    target = folder / program.parent.name
    shutil.copytree(program.parent, target, ignore=shutil.ignore_patterns(".jac", "__pycache__"))
    return target / program.name


@dataclass
class Run:
    """A finished command."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def jac(*arguments: str, folder: Path, env: dict[str, str] | None = None, seconds: float = 600) -> Run:
    """Run `jac ARGUMENTS` in a folder, without a terminal."""
    result = subprocess.run(
        [str(BIN / "jac"), *arguments],
        cwd=folder,
        env=clean_env() | (env or {}),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Run(result.returncode, result.stdout, result.stderr)


def sender(base: str, host: str | None = None) -> Send:
    """Send to a base URL, with a Host header where the resolver does not know the host."""

    def send(method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        return httpx.request(
            method, base + path, headers=headers | ({"host": host} if host else {}), content=body, timeout=TIMEOUT
        )

    return send


@contextlib.contextmanager
def server(arguments: list[str], folder: Path, port: int, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A long-running `jac` command, awaited until it answers on the port, ended with SIGTERM."""
    log = (folder / f"server-{port}.log").open("wb")
    process = subprocess.Popen(
        [str(BIN / "jac"), *arguments],
        cwd=folder,
        env=clean_env() | (env or {}),
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/healthz/live", timeout=5).status_code == 200:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (folder / f"server-{port}.log").read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        log.close()


@contextlib.contextmanager
def start(program: Path, folder: Path) -> Iterator[Send]:
    """`jac start main.jac`."""
    entry, port = copy_of(program, folder), free_port()
    with server(["start", entry.name, "--port", str(port)], entry.parent, port, SAME_NAME):
        yield sender(f"http://127.0.0.1:{port}")


@contextlib.contextmanager
def local(program: Path, folder: Path) -> Iterator[Send]:
    """`jac start main.jac --scale --target local`."""
    entry, port = copy_of(program, folder), free_port()
    with server(["start", entry.name, "--scale", "--target", "local", "--port", str(port)], entry.parent, port, SAME_NAME):
        yield sender(f"http://127.0.0.1:{port}")


def knative(cluster: Cluster, namespace: str, app: str) -> Send:
    """A deployed app: walkers and functions each at their own URL, everything else at the gateway's."""
    senders = {endpoint: sender(cluster.env["GATEWAY"], host) for endpoint, host in hosts(cluster, namespace, app).items()}

    def send(method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        endpoint = "/".join(path.strip("/").split("/")[:2])
        return senders.get(endpoint, senders["gateway"])(method, path, headers, body)

    return send


def hosts(cluster: Cluster, namespace: str, app: str) -> dict[str, str]:
    """The host of each endpoint's Knative Service, by endpoint id; the gateway's under `gateway`."""
    found = {}
    for service in cluster.get("ksvc", namespace, f"jacfn.dev/app={app}"):
        endpoint = service["metadata"]["annotations"].get("jacfn.dev/endpoint", "gateway")
        found[endpoint] = str(urlsplit(service["status"]["url"]).hostname)
    return found


def fallback(cluster: Cluster, port: int) -> Send:
    """A deployed app without Knative: one address for everything."""
    return sender(f"http://{cluster.env['NODE_IP']}:{port}")


__all__ = ["ROOT", "Run", "Send", "copy_of", "fallback", "hosts", "jac", "knative", "local", "sender", "server", "start"]

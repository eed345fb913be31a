"""CPU per warm request of the server process, over a bare falcon route: a function, a read of 10 items, a write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.bench.start import resident_mebibytes
from tests.bench.table import Row

sys.path.insert(0, str(Path(__file__).parents[1]))
from e2e import homes
from e2e.conftest import SHOP
from servers import free_port

REQUESTS = 400
TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def bare() -> Iterator[tuple[int, int]]:
    """The yardstick under `python -m uvicorn`; its port and process id."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", str(port), "bare:app"]
    process = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        _await(port)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _await(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=2)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cost(pid: int, once: Callable[[], None], requests: int = REQUESTS) -> float:
    """CPU microseconds of the server per request, after a warm-up."""
    for _ in range(20):
        once()
    before = cpu_seconds(pid)
    for _ in range(requests):
        once()
    return (cpu_seconds(pid) - before) / requests * 1e6


def measure() -> list[Row]:
    """The four figures, taken in one run, and the idle memory of both servers."""
    with tempfile.TemporaryDirectory() as folder, bare() as (bare_port, bare_pid):
        yardstick = httpx.Client(base_url=f"http://127.0.0.1:{bare_port}")
        entry, port = homes.copy_of(SHOP, Path(folder)), free_port()
        bare_memory = resident_mebibytes(bare_pid)
        with homes.server(["start", entry.name, "--port", str(port)], entry.parent, port) as process:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
            user = {"username": "bench", "password": "a long enough password"}
            token = client.post("/register", json=user).json()["data"]["token"]
            client.headers["authorization"] = f"Bearer {token}"
            item = {"name": "Widget", "price": 1.0}
            for _ in range(10):
                assert client.post("/walker/create_item", json=item).status_code == 200
            hello = cost(bare_pid, lambda: _ok(yardstick.post("/", json={})), 2000)
            function = cost(process.pid, lambda: _ok(client.post("/function/calculate_total", json={"items": [1.0, 2.0]})))
            read = cost(process.pid, lambda: _ok(client.post("/walker/get_items", json={})))
            write = cost(process.pid, lambda: _ok(client.post("/walker/create_item", json=item)), 200)
            memory = resident_mebibytes(process.pid)
    detail = {"bare falcon": f"{hello:.0f} us"}
    return [
        Row("CPU per request, function, over bare falcon", function / hello, "x", 2.5, detail | {"ours": f"{function:.0f} us"}),
        Row("CPU per request, read of 10 items, over bare falcon", read / hello, "x", 12, detail | {"ours": f"{read:.0f} us"}),
        Row("CPU per request, write, over bare falcon", write / hello, "x", 15, detail | {"ours": f"{write:.0f} us"}),
        Row(
            "memory of `jac start` (all endpoints, identity), over bare",
            memory / bare_memory,
            "x",
            None,
            {"MiB": f"{memory:.0f}"},
        ),
    ]


def _ok(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text

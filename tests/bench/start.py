"""From exec to the first 200, ours over a bare falcon route under `python -m uvicorn`: slim, full, and with both stores.

All variants take turns in one run, so that what else the machine does hits all of them alike. The first request is a public
walker's that lists the caller's root; the stores are prepared, as a deploy leaves them. Run by itself it prints JSON.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.table import Row

import servers
from jacfn_runtime.program.bundle import build_bundle

ROUNDS = 12
PROGRAM = Path(__file__).parents[2] / "examples" / "shop" / "main.jac"
REQUEST = b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n"
SECONDS = 30  # for one start; more than that is no measurement
OURS = [sys.executable, "-m", "jacfn_runtime"]
BARE = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "bare:app", "--port"]


def start(command: list[str], env: Mapping[str, str], port: int) -> tuple[float, float]:
    """Wall and CPU seconds of one process from exec to its first 200. CPU includes the children and the end of the process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
                    connection.sendall(REQUEST)
                    answer = connection.recv(65536)
                    wall = time.perf_counter() - began
                    break
            except ConnectionRefusedError:
                if process.poll() is not None or time.perf_counter() - began > SECONDS:
                    raise RuntimeError(f"{command} did not start") from None
                time.sleep(0.0005)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{command} answered {answer[:200]!r}")
    finally:
        process.terminate()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    return wall, usage.ru_utime + usage.ru_stime


@contextmanager
def variants(folder: Path) -> Iterator[dict[str, dict[str, str]]]:
    """Name -> environment of each of ours, their stores prepared and running."""
    build_bundle(PROGRAM, folder / "bundle")
    common = {
        "PATH": os.environ["PATH"],
        "JACFN_HOST": "127.0.0.1",
        "JACFN_BUNDLE": str(folder / "bundle"),
        "JACFN_SERVE": "walker/get_items",
        "JWT_SECRET": "0123456789abcdef" * 4,
        "SHELF_DB_PATH": str(folder / "store.db"),
    }
    for name in ("mongodb", "redis"):
        (folder / name).mkdir()
    with servers.mongodb(folder / "mongodb") as mongodb, servers.redis(folder / "redis") as redis:
        stores = {"MONGODB_URI": mongodb.url.replace("/?", "/bench?"), "REDIS_URL": redis.url}
        named = {
            "slim": common | {"JACFN_LOADER": "slim"},
            "slim, both stores": common | stores | {"JACFN_LOADER": "slim"},
            "full": common | {"JACFN_LOADER": "full"},
        }
        for env in (named["slim"], named["slim, both stores"]):
            subprocess.run([*OURS, "init"], env=env, check=True, stderr=subprocess.DEVNULL)
        yield named


def run(rounds: int = ROUNDS) -> dict[str, list[tuple[float, float]]]:
    """Name -> (wall, CPU) seconds of each start. One round before the first fills the file cache and is not counted."""
    with tempfile.TemporaryDirectory() as folder, variants(Path(folder)) as ours:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("bare", *ours)}
        for number in range(rounds + 1):
            for name in found:
                port = servers.free_port()
                if name == "bare":
                    taken = start([*BARE, str(port)], os.environ, port)
                else:
                    taken = start(OURS, ours[name] | {"PORT": str(port)}, port)
                if number:
                    found[name].append(taken)
    return found


def figures(found: Mapping[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Name -> medians in ms and their ratios to the bare server's. Wall time of a busy machine is noise; CPU time is less so."""
    bare_wall, bare_cpu = (statistics.median(column) for column in zip(*found["bare"], strict=True))
    summary = {}
    for name, taken in found.items():
        walls, cpus = zip(*taken, strict=True)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        summary[name] = {
            "wall_ms": round(wall * 1e3, 1),
            "wall_min_ms": round(min(walls) * 1e3, 1),
            "cpu_ms": round(cpu * 1e3, 1),
            "wall_ratio": round(wall / bare_wall, 3),
            "cpu_ratio": round(cpu / bare_cpu, 3),
        }
    return summary


def measure() -> list[Row]:
    """The rows of `make bench`. Budgets: design 7."""
    found = run()
    summary = figures(found)
    budgets = {"slim": 1.0, "slim, both stores": 1.5}
    return [
        Row(
            f"exec to first 200, {name}, over bare falcon",
            row["wall_ratio"],
            "x",
            budgets.get(name),
            {**row, "n": len(found[name])},
        )
        for name, row in summary.items()
        if name != "bare"
    ] + [
        Row(
            "exec to first 200, bare falcon under `python -m uvicorn`",
            summary["bare"]["wall_ms"],
            "ms",
            None,
            {**summary["bare"]},
        )
    ]


if __name__ == "__main__":
    print(json.dumps(figures(run(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)), indent=2))

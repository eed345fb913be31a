"""From exec to the first 200 with its parts, ours over a bare falcon route under `python -m uvicorn`; and what it then holds.

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.bench.table import Row

import servers
from jacfn_runtime.program.bundle import build_bundle

ROUNDS = 20
PROGRAM = Path(__file__).parents[2] / "examples" / "shop" / "main.jac"
REQUEST = b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n"
SECONDS = 30  # for one start; more than that is no measurement
SETTLED = 0.2  # seconds after the first answer, so that what it set off is over
CGROUPS = Path("/sys/fs/cgroup/memory")  # version 1, as the test cluster's machine has it
OURS = [sys.executable, "-m", "jacfn_runtime"]
BARE = [sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning", "bare:app", "--port"]


@dataclass(frozen=True, slots=True)
class Start:
    """One process from exec on: seconds until it accepts connections and until its first 200, and what it then holds.

    CPU seconds include the children and the end of the process. Memory is in MiB: the resident set, shared libraries and all, and
    what its cgroup is charged for (0 where this machine's cgroups cannot be written). The file cache is not in that: it was
    filled, and paid for, by the round before the first.
    """

    listening: float
    answered: float
    cpu: float
    resident: float
    charged: float


def start(command: list[str], env: Mapping[str, str], port: int) -> Start:
    """Start a server, send it its first request, end it."""
    with cgroup() as (enter, charged):
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL, preexec_fn=enter)
        try:
            with connected(process, port, began) as connection:
                listening = time.perf_counter() - began
                connection.sendall(REQUEST)
                answer = connection.recv(65536)
                answered = time.perf_counter() - began
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{command} answered {answer[:200]!r}")
            time.sleep(SETTLED)
            held = resident_mebibytes(process.pid), charged()
        finally:
            process.terminate()
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
    return Start(listening, answered, usage.ru_utime + usage.ru_stime, *held)


def connected(process: subprocess.Popen[bytes], port: int, began: float) -> socket.socket:
    """The first connection that the process accepts. Raises RuntimeError if it ends, or takes too long."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        except ConnectionRefusedError:
            if process.poll() is not None or time.perf_counter() - began > SECONDS:
                raise RuntimeError(f"{process.args!r} did not start") from None
            time.sleep(0.0005)


def resident_mebibytes(pid: int) -> float:
    """Resident set of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


@contextmanager
def cgroup() -> Iterator[tuple[Callable[[], None], Callable[[], float]]]:
    """A memory cgroup for one process: what to call in it before exec, and what tells the MiB that it is charged for."""
    group = CGROUPS / f"jacfn-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield (lambda: None), (lambda: 0.0)
        return
    try:
        yield (
            lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None,
            lambda: int((group / "memory.usage_in_bytes").read_text()) / 2**20,
        )
    finally:
        group.rmdir()


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


def run(rounds: int = ROUNDS) -> dict[str, list[Start]]:
    """Name -> its starts. One round before the first fills the file cache and is not counted."""
    with tempfile.TemporaryDirectory() as folder, variants(Path(folder)) as ours:
        found: dict[str, list[Start]] = {name: [] for name in ("bare", *ours)}
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


def figures(found: Mapping[str, list[Start]]) -> dict[str, dict[str, float]]:
    """Name -> medians and their ratios to the bare server's. Wall time of a busy machine is noise; CPU time is less so."""
    medians = {name: median(starts) for name, starts in found.items()}
    bare = medians["bare"]
    return {
        name: {
            "wall_ms": round(mine.answered * 1e3, 1),
            "wall_min_ms": round(min(start.answered for start in found[name]) * 1e3, 1),
            "listening_ms": round(mine.listening * 1e3, 1),
            "first_answer_ms": round(statistics.median(each.answered - each.listening for each in found[name]) * 1e3, 1),
            "cpu_ms": round(mine.cpu * 1e3, 1),
            "rss_mib": round(mine.resident, 1),
            "cgroup_mib": round(mine.charged, 1),
            "wall_ratio": round(paired(found[name], found["bare"]), 3),
            "cpu_ratio": round(mine.cpu / bare.cpu, 3),
            "rss_ratio": round(mine.resident / bare.resident, 3),
            "cgroup_ratio": round(mine.charged / bare.charged, 3) if bare.charged else 0.0,
        }
        for name, mine in medians.items()
    }


def paired(ours: list[Start], bare: list[Start]) -> float:
    """The median of each round's ratio: what slows the machine down for some seconds slows both of a round."""
    return statistics.median(mine.answered / theirs.answered for mine, theirs in zip(ours, bare, strict=True))


def median(starts: list[Start]) -> Start:
    """The median of each figure."""
    return Start(*(statistics.median(getattr(start, name) for start in starts) for name in Start.__slots__))


def measure() -> list[Row]:
    """The rows of `make bench`. Budgets: design 7."""
    found = run()
    summary = figures(found)
    ours = {name: row for name, row in summary.items() if name != "bare"}
    walls = {"slim": 1.0, "slim, both stores": 1.5}
    rows = [
        Row(
            f"exec to first 200, {name}, over bare falcon",
            row["wall_ratio"],
            "x",
            walls.get(name),
            {**row, "n": len(found[name])},
        )
        for name, row in ours.items()
    ]
    rows.append(
        Row("exec to first 200, bare falcon under `python -m uvicorn`", summary["bare"]["wall_ms"], "ms", None, summary["bare"])
    )
    for measured, budget in (("rss", 2.0), ("cgroup", 1.5)):
        rows += [
            Row(
                f"idle memory ({measured}), {name}, over bare falcon",
                row[f"{measured}_ratio"],
                "x",
                budget if name in walls else None,
            )
            for name, row in ours.items()
            if row[f"{measured}_mib"]
        ]
    return rows


if __name__ == "__main__":
    print(json.dumps(figures(run(int(sys.argv[1]) if sys.argv[1:] else ROUNDS)), indent=2))

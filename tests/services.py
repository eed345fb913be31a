"""Real `python -m jacfn_runtime` processes for tests, each on a port and with a store of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

import servers

SECRET = "0123456789abcdef" * 4


class Service:
    """A running `python -m jacfn_runtime`, a client for it, and what it wrote to stderr."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()


Start = Callable[..., contextlib.AbstractContextManager[Service]]


@contextlib.contextmanager
def started(bundle: Path, folder: Path, serve: str, **more: str) -> Iterator[Service]:
    """A service of its own on this bundle; its store is in `folder`, `more` is further environment."""
    port = servers.free_port()
    env = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "JACFN_HOST": "127.0.0.1",
        "JACFN_SERVE": serve,
        "JACFN_BUNDLE": str(bundle),
        "JACFN_APP": "testing",
        "JWT_SECRET": SECRET,
        "SHELF_DB_PATH": str(folder / "store.db"),
        **more,
    }
    log = folder / f"{serve.replace('/', '-').replace(',', '+')}.{port}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "jacfn_runtime"], env=env, stdout=stderr, stderr=stderr)
    try:
        servers.wait_for_port(port, process)
        service = Service(process, port, log)
        try:
            yield service
        finally:
            service.http.close()
    finally:
        process.kill()
        process.wait(10)

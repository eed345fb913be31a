"""One service process: started under the guard, watched, stopped. It speaks the environment contract of a pod."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from jacfn_runtime.errors import JacfnError

START_SECONDS = 30.0  # a slim start takes 0.2 s, a full one 2 s; a laptop may be busy
STOP_SECONDS = 10.0  # uvicorn drains first
REST_SECONDS = 1.0  # for the output that is in the pipe when a process has ended
POLL_SECONDS = 0.005
TAIL_LINES = 20


class StartFailed(JacfnError):
    """A process that ended, or did not listen in time. `evidence` is what it wrote last."""


class Process:
    """A running `python -m MODULE` with PORT in its environment. Made by `start`, ended by `stop`."""

    def __init__(self, child: asyncio.subprocess.Process, port: int, log: Callable[[str], None]) -> None:
        self.port = port
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._child = child
        self._log = log
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, module: str, env: Mapping[str, str], folder: Path, log: Callable[[str], None]) -> Process:
        """Start the module in this folder on a free port of loopback. Returns at once: wait with `listening`.

        Raises StartFailed if the system starts no process.
        """
        port = _free_port()
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "jacfn_runtime.local.guard",
                module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=folder,
                env={**env, "PORT": str(port), "JACFN_HOST": "127.0.0.1"},
                start_new_session=True,  # Ctrl+C reaches the activator only, which drains its processes
            )
        except OSError as error:  # no memory, too many processes, a folder that is gone
            raise StartFailed("it could not be started", evidence=str(error)) from error
        return cls(child, port, log)

    async def listening(self) -> None:
        """Wait until the process accepts connections. Raises StartFailed if it ends first or takes too long."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while self._child.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            if asyncio.get_running_loop().time() > deadline:
                await self.stop()
                raise StartFailed(f"it did not listen within {START_SECONDS:.0f} s", evidence="\n".join(self.tail))
            await asyncio.sleep(POLL_SECONDS)
        code = await self.ended()
        raise StartFailed(f"it ended with {code} at its start", evidence="\n".join(self.tail))

    async def ended(self) -> int:
        """Wait for the end of the process and of its output. Its exit code, negative for a signal.

        What it started itself ends with it, as in a container; else that would hold the output open.
        """
        code = await self._child.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        await asyncio.wait([self._reader], timeout=REST_SECONDS)
        return code

    async def stop(self) -> None:
        """SIGTERM, time to drain, SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()
        try:
            await asyncio.wait_for(self._child.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            await self._child.wait()

    async def _read(self) -> None:
        assert self._child.stdout is not None
        rest = b""
        while chunk := await self._child.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._line(line)
        if rest:
            self._line(rest)

    def _line(self, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").rstrip()
        if text:
            self.tail.append(text)
            self._log(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

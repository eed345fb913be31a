"""One service that scales between zero processes and one, as a Knative Service does between zero pods and many."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from jacfn_runtime.errors import JacfnError
from jacfn_runtime.local.events import Crashed, Report, Slept, Woke
from jacfn_runtime.local.process import Process, StartFailed

CONCURRENCY = 100  # requests at once in one process; more than that wait
WAITING = 1000  # requests that wait for a place or a wake; more than that are turned away


class Overloaded(JacfnError):
    """Too many requests wait for this service."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A request's place in a process."""

    port: int
    cold: bool


class Service:
    """A service by name. `launch` starts its process; `window` is in seconds without a request; `minimum` is 0 or 1."""

    def __init__(
        self, name: str, launch: Callable[[], Awaitable[Process]], window: float, report: Report, minimum: int = 0
    ) -> None:
        self.name = name
        self._launch = launch
        self._window = window
        self._report = report
        self._minimum = minimum
        self._process: Process | None = None
        self._waking: asyncio.Task[Process] | None = None
        self._places = asyncio.Semaphore(CONCURRENCY)
        self._requests = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """A place in the running process, which is started first if there is none.

        Raises Overloaded when too many requests wait, StartFailed when the process cannot be started.
        """
        if self._requests >= CONCURRENCY + WAITING:
            raise Overloaded(f"{self.name} has {self._requests} requests waiting")
        self._requests += 1
        if self._timer:
            self._timer.cancel()
        try:
            async with self._places:
                cold = self._process is None
                process = self._process or await self.wake()
                yield Turn(process.port, cold)
        finally:
            self._requests -= 1
            self._rest()

    async def wake(self) -> Process:
        """The running process. Everybody who comes during a start waits for the same one."""
        if self._waking is None:
            self._waking = asyncio.create_task(self._start())
            self._waking.add_done_callback(self._woken)
        return await asyncio.shield(self._waking)

    async def close(self) -> None:
        """Stop the process, and wait until it and every earlier one are gone."""
        if self._timer:
            self._timer.cancel()
        if self._waking:
            self._waking.cancel()
            await asyncio.gather(self._waking, return_exceptions=True)
        if self._process:
            self._sleep()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _start(self) -> Process:
        loop = asyncio.get_running_loop()
        began = loop.time()
        process: Process | None = None
        try:
            process = await self._launch()
            await process.listening()
        except StartFailed as error:
            self._report(Crashed(self.name, error.what, tuple(error.evidence.splitlines())))
            raise
        except asyncio.CancelledError:
            if process:
                await process.stop()
            raise
        self._process = process
        self._report(Woke(self.name, loop.time() - began))
        self._spawn(self._watch(process))
        self._rest()
        return process

    def _woken(self, task: asyncio.Task[Process]) -> None:
        self._waking = None
        if not task.cancelled():
            task.exception()  # whoever still waits raises it; if everybody has left, nobody need

    async def _watch(self, process: Process) -> None:
        code = await process.ended()
        if process is self._process:  # nobody asked it to end
            self._process = None
            self._report(Crashed(self.name, f"it ended with {code}", tuple(process.tail)))

    def _rest(self) -> None:
        """Begin to count the idle time, if this was the last request."""
        if self._requests == 0 and self._process and not self._minimum:
            self._timer = asyncio.get_running_loop().call_later(self._window, self._sleep)

    def _sleep(self) -> None:
        """Stop the process behind the back of new requests: they start another one."""
        process, self._process = self._process, None
        if process:
            self._spawn(self._stop(process))

    async def _stop(self, process: Process) -> None:
        await process.stop()
        self._report(Slept(self.name))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""The threads that sync walkers run in. A leaner way from the event loop into a thread and back than `run_in_executor`.

That one builds two futures, a work item and a chain of callbacks for each call: twice the CPU (tests/bench counts every
microsecond of a request), and most requests make exactly one such trip.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Threads:
    """At most `most` threads, each started when it is first needed; what comes while all are busy waits in order."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._adding = threading.Lock()
        self._closed = False

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function returns or raises, run in one of the threads and in a copy of this context.

        Raises RuntimeError once they are closed.
        """
        if self._closed:
            raise RuntimeError("the graph is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        self._jobs.put((loop, future, lambda: context.run(function, *arguments)))
        if not self._idle.acquire(blocking=False):
            self._add_thread()
        return await future

    def _add_thread(self) -> None:
        with self._adding:  # two event loops ask: the server's, and that of async walkers
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, call = job
            try:
                outcome, error = call(), None
            except BaseException as raised:
                outcome, error = None, raised
            try:
                loop.call_soon_threadsafe(_tell, future, outcome, error)
            except RuntimeError:  # the loop ended before its walker did: nobody waits any more
                return
            del job, call, outcome, error, future  # or the last request's graph would live until the next one
            self._idle.release()

    def close(self) -> None:
        """Wait until everything that was asked for is done, and end the threads."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()


def _tell(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.done():  # whoever waited was cancelled
        return
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(error)

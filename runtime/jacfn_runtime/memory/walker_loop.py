"""The event loop that async walkers, async functions and async effects run on: not the server's.

Jac code reads its store wherever it stands, without an `await`. On the server's own loop a store that hangs would hold up
everything else that the process answers, liveness first.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any


class WalkerLoop:
    """An event loop in a thread of its own, started when it is first needed: most programs have nothing async."""

    def __init__(self) -> None:
        self._closed = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit[T](self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it there, in a task and a copy of this context; may be called in any thread. Raises RuntimeError once closed."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._started(coroutine))

    async def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns or raises. Cancelled with whoever waits for it."""
        answers: list[T] = []
        loop = self._started(coroutine)
        error = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_run(coroutine, answers), loop))
        if error is not None:
            raise error
        return answers[0]

    def _started(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                coroutine.close()  # or Python warns that nobody awaited it
                raise RuntimeError("the graph is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="async-walkers", daemon=True)
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:  # its end cancels what a program left running, and closes
            while not self._closed:
                try:
                    runner.get_loop().run_forever()
                except BaseException:  # a SystemExit that leaves a task which the program has made
                    logging.getLogger(__name__).exception("a task of the program tried to end the process")

    def close(self) -> None:
        """Cancel what a program left running there, and end the thread."""
        with self._starting:
            self._closed = True
            if self._loop is None or self._thread is None:
                return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


async def _run[T](coroutine: Coroutine[Any, Any, T], answers: list[T]) -> BaseException | None:
    """What it raises, handed back: a CancelledError of the program's own would lose its place on the way through a future."""
    try:
        answers.append(await coroutine)
    except BaseException as error:
        return error
    return None

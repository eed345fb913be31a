"""The loop that async walkers run on is not the server's, begins when it is needed, and survives what a program does on it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator

import pytest

from jacfn_runtime.memory.walker_loop import WalkerLoop

WHO = contextvars.ContextVar("WHO", default="nobody")
PATIENCE = 20  # seconds; a test that waits so long has failed


def loops_begun_since(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in set(threading.enumerate()) - before if thread.name == "async-walkers"]


@pytest.fixture
async def loop() -> AsyncIterator[WalkerLoop]:
    made = WalkerLoop()
    yield made
    await asyncio.to_thread(made.close)


async def test_results_and_errors_come_back(loop: WalkerLoop) -> None:
    async def halve(number: int) -> float:
        await asyncio.sleep(0)
        return 1 / number

    assert await loop.run(halve(2)) == 0.5
    with pytest.raises(ZeroDivisionError):
        await loop.run(halve(0))


async def test_a_cancellation_of_the_works_own_comes_back_with_its_place(loop: WalkerLoop) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError) as raised:
        await loop.run(give_up())
    assert raised.traceback[-1].name == "give_up"


async def test_work_sees_a_copy_of_the_callers_context(loop: WalkerLoop) -> None:
    async def look() -> str:
        seen = WHO.get()
        WHO.set("bob")
        return seen

    WHO.set("alice")
    assert await loop.run(look()) == "alice"
    assert WHO.get() == "alice"


async def test_who_gives_up_waiting_cancels_the_work(loop: WalkerLoop) -> None:
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(loop.run(wait()), 0.05)
    assert await asyncio.to_thread(cancelled.wait, PATIENCE)


async def test_a_task_that_leaves_the_process_ends_nothing(loop: WalkerLoop, caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def begin() -> None:
        begin.task = asyncio.create_task(leave())  # type: ignore[attr-defined]

    async def answer() -> int:
        return 42

    await loop.run(begin())
    assert await loop.run(answer()) == 42
    assert "tried to end the process" in caplog.text


async def test_closing_cancels_what_a_program_left_running() -> None:
    before = set(threading.enumerate())
    loop, cancelled = WalkerLoop(), threading.Event()

    async def begin() -> None:
        begin.task = asyncio.create_task(wait())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    async def wait() -> None:
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            cancelled.set()

    await loop.run(begin())
    await asyncio.to_thread(loop.close)
    assert cancelled.is_set()
    assert loops_begun_since(before) == []
    with pytest.raises(RuntimeError, match="closed"):
        await loop.run(wait())


async def test_a_loop_begins_when_it_is_first_needed() -> None:
    before = set(threading.enumerate())
    loop = WalkerLoop()
    assert loops_begun_since(before) == []
    await loop.run(asyncio.sleep(0))
    assert loops_begun_since(before) == ["async-walkers"]
    await asyncio.to_thread(loop.close)

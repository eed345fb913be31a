"""Sync work runs in few threads of its own and comes back to the event loop with whatever it made."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from jacfn_runtime.memory.threads import Threads

WHO = contextvars.ContextVar("WHO", default="nobody")


async def test_results_and_errors_come_back() -> None:
    threads = Threads(2, "t")
    assert await threads.run(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(KeyError):
        await threads.run(dict[str, str]().__getitem__, "x")
    await asyncio.to_thread(threads.close)


async def test_work_sees_a_copy_of_the_callers_context() -> None:
    threads = Threads(1, "t")
    WHO.set("alice")
    assert await threads.run(lambda: (WHO.get(), WHO.set("bob"))[0]) == "alice"
    assert WHO.get() == "alice"
    assert await threads.run(WHO.get) == "alice"
    await asyncio.to_thread(threads.close)


async def test_no_more_threads_than_allowed_and_no_more_than_needed() -> None:
    threads = Threads(3, "few")
    for _ in range(5):
        await threads.run(time.sleep, 0)
    names = await asyncio.gather(
        *(threads.run(lambda: (time.sleep(0.01), threading.current_thread().name)[1]) for _ in range(12))
    )
    assert len(set(names)) == 3
    await asyncio.to_thread(threads.close)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("few")]


async def test_who_gave_up_waiting_disturbs_nobody() -> None:
    threads = Threads(1, "t")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(threads.run(time.sleep, 0.05), 0.01)
    assert await threads.run(lambda: 1) == 1
    await asyncio.to_thread(threads.close)


async def test_closing_waits_for_what_was_begun() -> None:
    threads = Threads(1, "t")
    done: list[int] = []
    running = asyncio.create_task(threads.run(lambda: (time.sleep(0.05), done.append(1))))
    await asyncio.sleep(0.01)
    await asyncio.to_thread(threads.close)
    assert done == [1]
    await running

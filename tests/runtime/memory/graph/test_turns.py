"""Requests of one process that collide take turns, in order, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from jacfn_runtime.memory import turns
from jacfn_runtime.memory.turns import HOT_COLLISIONS, Turns


async def test_strangers_do_not_wait_for_each_other() -> None:
    queues = Turns()
    async with queues.turn("a"), queues.turn("a"), queues.turn("b"):
        pass


async def test_who_collided_at_the_same_document_takes_turns() -> None:
    queues = Turns()
    order: list[str] = []

    async def work(kind: str) -> None:
        async with queues.turn(kind) as turn:
            await turn.collided(["document"])
            order.append(f"{kind} in")
            await asyncio.sleep(0)
            order.append(f"{kind} out")

    await asyncio.gather(work("a"), work("b"), work("c"))
    assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_a_kind_of_work_that_keeps_colliding_queues_from_the_start() -> None:
    queues = Turns()
    for _ in range(HOT_COLLISIONS):
        assert not queues.hot("a")
        async with queues.turn("a") as turn:
            await turn.collided([])
    assert queues.hot("a")
    assert not queues.hot("b")
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with queues.turn("a"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(5)))


async def test_opposite_orders_do_not_lock_each_other_out() -> None:
    queues = Turns()

    async def work(kind: str, documents: list[str]) -> None:
        async with queues.turn(kind) as turn:
            for document in documents:
                await turn.collided([document])
                await asyncio.sleep(0)

    jobs = [work(str(number), ["x", "y", "z"][:: 1 if number % 2 else -1]) for number in range(8)]
    await asyncio.wait_for(asyncio.gather(*jobs), 5)


async def test_a_turn_that_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUEUE_SECONDS", 0.01)
    queues = Turns()
    async with queues.turn("hangs") as hanging:
        await hanging.collided(["document"])
        async with queues.turn("other") as other:
            await other.collided(["document"])
    async with queues.turn("later") as later:
        await later.collided(["document"])


async def test_nothing_is_left_when_everybody_is_through() -> None:
    queues = Turns()
    async with queues.turn("a") as turn:
        await turn.collided(["x", "y"])
    cancelled = asyncio.create_task(_wait_in(queues))
    async with queues.turn("b") as turn:
        await turn.collided(["x"])
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert not queues._queues


async def _wait_in(queues: Turns) -> None:
    async with queues.turn("c") as turn:
        await turn.collided(["x"])

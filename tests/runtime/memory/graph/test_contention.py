"""Many requests of several processes at the same few nodes; the full numbers, over HTTP, are in tests/e2e/state."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.memory.store import Store
from jacfn_runtime.program.load import Program

from .conftest import ALICE, User

PROCESSES = 3  # graphs with stores of their own: all that two processes share is the database


@pytest.fixture
async def users(store_factory: Callable[[], Store], program: Program) -> Any:
    """Alice in each of the processes."""
    graphs = [Graph(store_factory(), threads=8) for _ in range(PROCESSES)]
    await graphs[0].prepare()
    await graphs[0].create_root(ALICE)
    yield [User(graph, program) for graph in graphs]
    for graph in graphs:
        await graph.close()


async def until_acknowledged(user: User, name: str, /, **arguments: Any) -> list[Any]:
    """The reports, however often the caller has to ask again."""
    while True:
        try:
            return await user.walk(name, **arguments)
        except Conflict:
            await asyncio.sleep(0.01)


async def test_increments_of_one_node_are_all_counted(users: list[User]) -> None:
    (counter,) = await users[0].walk("make_counter")
    counts = await asyncio.gather(*(until_acknowledged(users[n % PROCESSES], "count", node=counter) for n in range(60)))
    assert sorted(each[0] for each in counts) == list(range(1, 61))


async def test_racing_find_or_create_makes_one_node(users: list[User]) -> None:
    found = await asyncio.gather(
        *(until_acknowledged(users[n % PROCESSES], "find_or_create", **{"name": "only"}) for n in range(20))
    )
    assert len({each[0] for each in found}) == 1
    assert await users[0].walk("tags") == [["only"]]


async def test_appends_to_one_root_merge_without_a_replay(users: list[User]) -> None:
    await asyncio.gather(*(users[n % PROCESSES].walk("append_tag", **{"name": str(n)}) for n in range(60)))
    (names,) = await users[1].walk("tags")
    assert sorted(map(int, names)) == list(range(60))
    assert sum(user.graph.replays for user in users) == 0


async def test_transfers_keep_the_sum_at_every_read(users: list[User]) -> None:
    chance = random.Random(5)
    await users[0].walk("open_accounts", count=4, balance=100)
    running = True
    sums: set[int] = set()

    async def watch() -> None:
        while running:
            (balances,) = await users[2].walk("balances")
            sums.add(sum(balances))

    async def transfer(number: int) -> None:
        source, target = chance.sample(range(4), 2)
        await until_acknowledged(users[number % PROCESSES], "transfer", source=source, target=target, amount=chance.randint(1, 9))

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(transfer(number) for number in range(30)))
    running = False
    await watching
    assert sums == {400}


async def test_who_decides_on_both_and_writes_one_never_succeeds_twice(users: list[User]) -> None:
    await users[0].walk("open_accounts", count=2, balance=100)
    jobs = [until_acknowledged(users[n % PROCESSES], "withdraw_if_covered", account=n % 2, amount=150) for n in range(6)]
    assert [each[0] for each in await asyncio.gather(*jobs)].count(True) == 1
    assert sum((await users[0].walk("balances"))[0]) == 50


async def test_a_decision_on_the_fields_of_edges_holds_too(users: list[User]) -> None:
    await users[0].walk("link_weights")
    jobs = [until_acknowledged(users[n % PROCESSES], "lower_weight", which=n % 2) for n in range(6)]
    assert sorted(each[0] for each in await asyncio.gather(*jobs)) == [1, 1, 1, 1, 1, 2]

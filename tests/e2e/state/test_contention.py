"""Eight server processes and thirty-two clients on the same few nodes: nothing is lost, done twice or half done.

Full numbers of the issue; each load prints what it met.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.state.client import Client, Tally
from e2e.state.fleet import fleet

PROCESSES = 8
CLIENTS = 32
MOST_CONFLICTS = 0.05


class Load:
    """Clients spread over the servers."""

    def __init__(self, ports: list[int]) -> None:
        self.tally = Tally()
        self.clients = [Client(ports[number % len(ports)], self.tally) for number in range(CLIENTS)]

    async def each(self, count: int, job: Callable[[Client, int], Awaitable[Any]]) -> list[Any]:
        """Every job once, by whichever client is free."""
        numbers = iter(range(count))
        results: list[Any] = [None] * count

        async def work(client: Client) -> None:
            for number in numbers:
                results[number] = await job(client, number)

        started = time.perf_counter()
        await asyncio.gather(*(work(client) for client in self.clients))
        seconds = time.perf_counter() - started
        print(f"\n  {count} in {seconds:.1f} s ({count / seconds:.0f}/s), 409: {self.tally.conflicts:.2%}")
        return results

    @property
    def one(self) -> Client:
        return self.clients[0]

    async def close(self) -> None:
        for client in self.clients:
            await client.close()


@pytest.fixture
async def load(bundle: Path, tmp_path: Path, stores: dict[str, str]) -> Any:
    with fleet(bundle, tmp_path, stores, PROCESSES) as processes:
        made = Load([process.port for process in processes])
        yield made
        await made.close()


async def test_five_thousand_increments_of_one_node(load: Load) -> None:
    (counter,) = await load.one.until_acknowledged("/walker/make_counter")
    await load.each(5000, lambda client, _: client.until_acknowledged(f"/walker/count/{counter}"))
    assert await load.one.until_acknowledged(f"/walker/read_count/{counter}") == [5000]
    assert load.tally.server_errors == 0
    assert load.tally.conflicts <= MOST_CONFLICTS


async def test_fifty_racing_find_or_create_make_one_node(load: Load) -> None:
    found = await load.each(50, lambda client, _: client.until_acknowledged("/walker/find_or_create", name="only"))
    assert len({each[0] for each in found}) == 1
    assert await load.one.until_acknowledged("/walker/tags") == [["only"]]
    assert load.tally.server_errors == 0
    assert load.tally.conflicts <= MOST_CONFLICTS


async def test_two_thousand_appends_to_one_root_are_all_there(load: Load) -> None:
    await load.each(2000, lambda client, number: client.until_acknowledged("/walker/append_leaf", n=number))
    assert await load.one.until_acknowledged("/walker/leaves") == [list(range(2000))]
    assert load.tally.server_errors == 0
    assert load.tally.conflicts == 0  # blind appends merge


async def test_two_thousand_transfers_keep_the_sum_at_every_read(load: Load) -> None:
    chance = random.Random(7)
    await load.one.until_acknowledged("/walker/open_accounts", count=10, balance=500)
    done = asyncio.Event()

    async def watch(client: Client) -> set[int]:
        sums = set()
        while not done.is_set():
            sums.update(await client.until_acknowledged("/walker/total"))
        return sums

    async def transfer(client: Client, _: int) -> None:
        source, target = chance.sample(range(10), 2)
        await client.until_acknowledged("/walker/transfer", source=source, target=target, amount=chance.randint(1, 50))

    watcher = Client(load.one.port, Tally())
    watching = asyncio.create_task(watch(watcher))
    await load.each(2000, transfer)
    done.set()
    assert await watching == {5000}
    await watcher.close()
    assert load.tally.server_errors == 0
    assert load.tally.conflicts <= MOST_CONFLICTS


async def test_two_that_decide_on_both_accounts_never_both_withdraw(load: Load) -> None:
    await load.one.until_acknowledged("/walker/open_accounts", count=2, balance=100)
    for _ in range(30):
        jobs = [
            client.until_acknowledged("/walker/withdraw_if_covered", account=number % 2, amount=150)
            for number, client in enumerate(load.clients[:8])
        ]
        covered = [each[0] for each in await asyncio.gather(*jobs)]
        (balances,) = await load.one.until_acknowledged("/walker/balances")
        assert covered.count(True) == 1
        assert sum(balances) == 50
        await load.one.until_acknowledged("/walker/transfer", source=0, target=1, amount=0)
        # Pay it back, so that the next round starts where this one did.
        await load.one.until_acknowledged("/walker/withdraw_if_covered", account=balances.index(min(balances)), amount=-150)
        assert sum((await load.one.until_acknowledged("/walker/balances"))[0]) == 200
    assert load.tally.server_errors == 0

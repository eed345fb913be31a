"""Servers and stores that die under load: what was acknowledged is there, nothing is half written, no read is stale."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import servers
from e2e.state.client import Client, Tally
from e2e.state.fleet import Process, fleet

KILLS = 20
CLIENTS = 16


class Appending:
    """Clients that append leaves with numbers of their own, two at once, and remember which were acknowledged."""

    def __init__(self, processes: list[Process]) -> None:
        self.tally = Tally()
        self.clients = [Client(processes[number % len(processes)].port, self.tally) for number in range(CLIENTS)]
        self.acknowledged: set[int] = set()
        self.sent: set[int] = set()
        self.done = asyncio.Event()

    async def run(self, client: Client, first: int) -> None:
        number = first
        while not self.done.is_set():
            self.sent.add(number)
            try:
                status, _ = await client.post("/walker/append_pair", n=number)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)
                number += CLIENTS  # it may have been carried out or not: never the same number again
                continue
            if status == 200:
                self.acknowledged.add(number)
            else:
                assert status in (409, 503), status
                await asyncio.sleep(0.05)
            number += CLIENTS

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.run(client, first)) for first, client in enumerate(self.clients, 1)]
        try:
            yield
        finally:
            self.done.set()
            await asyncio.gather(*tasks)

    async def check(self) -> None:
        """Everything acknowledged is there, with its other half, and nothing that nobody sent."""
        (found,) = await self.clients[0].until_acknowledged("/walker/leaves")
        numbers = {n for n in found if n > 0}
        assert {-n for n in found if n < 0} == numbers
        assert len(found) == 2 * len(numbers)
        assert self.acknowledged <= numbers <= self.sent
        for client in self.clients:
            await client.close()
        print(f"\n  {len(self.acknowledged)} acknowledged, {dict(self.tally.statuses)}")


async def test_twenty_killed_servers_lose_nothing(bundle: Path, tmp_path: Path, stores: dict[str, str]) -> None:
    chance = random.Random(3)
    with fleet(bundle, tmp_path, stores, 4) as processes:
        appending = Appending(processes)
        async with appending.load():
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.2, 0.6))
                process = chance.choice(processes)
                process.kill()
                await asyncio.to_thread(process.start)
            await asyncio.sleep(0.5)
        await appending.check()
    assert appending.tally.server_errors == 0


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[servers.Server]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with servers.redis(folder) as server:
        yield server


def database(mongodb: servers.Server) -> dict[str, str]:
    return {"MONGODB_URI": mongodb.url.replace("/?", f"/state_{secrets.token_hex(4)}?")}


async def test_redis_may_stop_and_forget_everything(
    bundle: Path, tmp_path: Path, mongodb: servers.Server, redis_server: servers.Server
) -> None:
    environment = {**database(mongodb), "REDIS_URL": redis_server.url}
    with fleet(bundle, tmp_path, environment, 4) as processes:
        appending = Appending(processes)
        (counter,) = await appending.clients[0].until_acknowledged("/walker/make_counter")
        async with appending.load():
            for _ in range(3):
                await asyncio.sleep(1)
                redis_server.stop(kill=True)
                await asyncio.sleep(1)
                redis_server.start()  # without persistence: it is empty
            await asyncio.sleep(1)
        await appending.check()
        # Nobody reads what was: after each acknowledged write, every server sees it at once.
        clients = [Client(process.port, appending.tally) for process in processes]
        for number in range(1, 30):
            (written,) = await clients[number % 4].until_acknowledged(f"/walker/count/{counter}")
            seen = await asyncio.gather(*(client.until_acknowledged(f"/walker/read_count/{counter}") for client in clients))
            assert [written, *(each[0] for each in seen)] == [number] * 5
        for client in clients:
            await client.close()


async def test_mongodb_may_be_away_for_ten_seconds(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mongodb"
    folder.mkdir()
    with servers.mongodb(folder) as mongodb, fleet(bundle, tmp_path, database(mongodb), 2) as processes:
        appending = Appending(processes)
        async with appending.load():
            await asyncio.sleep(1)
            mongodb.stop(kill=True)
            until = time.monotonic() + 10
            while time.monotonic() < until:
                await asyncio.to_thread(alive, processes[0].port)
                await asyncio.sleep(1)
            assert appending.tally.statuses[503] > 0
            mongodb.start()
            before = len(appending.acknowledged)
            await asyncio.sleep(5)
            assert len(appending.acknowledged) > before
        await appending.check()
    assert set(appending.tally.statuses) <= {200, 409, 503}


def alive(port: int) -> None:
    """Liveness asks no store."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/live", timeout=2) as answer:
        assert answer.status == 200

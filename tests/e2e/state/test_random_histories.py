"""Two hundred histories of random walkers on several server processes: every one could have happened one after the other."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from e2e.state.client import Client, Tally
from e2e.state.fleet import fleet
from histories import Unit, anomaly

RUNS = 200
REGISTERS = 3
PROCESSES = 3


@pytest.fixture
async def clients(bundle: Path, tmp_path: Path, stores: dict[str, str]) -> Any:
    tally = Tally()
    with fleet(bundle, tmp_path, stores, PROCESSES) as processes:
        made = [Client(processes[number % PROCESSES].port, tally) for number in range(10)]
        yield made
        for client in made:
            await client.close()
    print(f"\n  {RUNS} histories, 409: {tally.conflicts:.2%}")


async def unit(chance: random.Random, client: Client, name: int) -> Unit | None:
    """A random unit of work; None if it was told 409, which may happen to anybody."""
    registers = chance.sample(range(REGISTERS), chance.randint(1, REGISTERS))
    appends = [[register, name * 100 + number] for number, register in enumerate(registers) if chance.random() < 0.5]
    status, reports = await client.post("/walker/transact", steps=[[register, -1] for register in registers] + appends)
    assert status in (200, 409)
    return None if status == 409 else Unit(name, {register: [value] for register, value in appends}, dict(reports[0]))


async def test_two_hundred_random_histories_are_serializable(clients: list[Client]) -> None:
    found: dict[str | None, int] = defaultdict(int)
    for seed in range(RUNS):
        chance = random.Random(seed)
        await clients[0].until_acknowledged("/walker/make_registers", count=REGISTERS)
        units = await asyncio.gather(*(unit(chance, client, name) for name, client in enumerate(clients)))
        steps = [[register, -1] for register in range(REGISTERS)]
        (final,) = await clients[0].until_acknowledged("/walker/transact", steps=steps)
        found[anomaly([each for each in units if each], dict(final))] += 1
    assert dict(found) == {None: RUNS}

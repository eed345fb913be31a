"""Random walkers at once leave a history that could have happened one after the other; broken stores do not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from histories import Unit, anomaly
from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.memory.store import ChangeSet, Store
from jacfn_runtime.program.load import Program

from .conftest import User

REGISTERS = 3
RUNS = {"embedded": 40, "mongodb": 8}  # the full 200, with several processes, are in tests/e2e/state
PROCESSES = 3  # graphs with stores of their own: all that two processes share is the database


async def run_once(graphs: list[Graph], program: Program, seed: int, isolation: str = "serializable") -> str | None:
    """One history of random units of work on fresh registers; what is wrong with it."""
    chance = random.Random(seed)
    root = f"{seed + 4096:032x}"
    await graphs[0].create_root(root)
    users = [User(graph, program, root) for graph in graphs]
    await users[0].walk("make_registers", count=REGISTERS)
    done = await asyncio.gather(*(one_unit(chance, users[name % len(users)], name, isolation) for name in range(10)))
    (steps,) = await users[0].walk("transact", steps=[[register, -1] for register in range(REGISTERS)])
    return anomaly([unit for unit in done if unit], dict(steps))


async def one_unit(chance: random.Random, user: User, name: int, isolation: str) -> Unit | None:
    """A random unit of work; None if it gave up."""
    registers = chance.sample(range(REGISTERS), chance.randint(1, REGISTERS))
    reads = [[register, -1] for register in registers]
    appends = [[register, name * 100 + number] for number, register in enumerate(registers) if chance.random() < 0.5]
    await asyncio.sleep(chance.uniform(0, 0.004))
    try:
        outcome = await user.run("walker", "transact", steps=reads + appends, isolation=isolation)
    except Conflict:
        return None
    (seen,) = outcome.reports
    return Unit(name, {register: [value] for register, value in appends}, dict(seen))


@pytest.fixture
async def graphs(store_factory: Callable[[], Store]) -> Any:
    opened = [Graph(store_factory(), threads=8) for _ in range(PROCESSES)]
    await opened[0].prepare()
    yield opened
    for graph in opened:
        await graph.close()


async def test_random_units_of_work_are_serializable(graphs: list[Graph], program: Program) -> None:
    runs = RUNS[graphs[0].store.name]
    for seed in range(runs):
        assert await run_once(graphs, program, seed) is None, f"seed {seed}"
    assert sum(graph.replays for graph in graphs) > runs  # they did get into each other's way


async def test_a_seeded_write_skew_is_found(graphs: list[Graph], program: Program) -> None:
    """Snapshot isolation, which an endpoint may ask for, admits it; lost updates it does not."""
    found = await anomalies(graphs, program, "write skew or worse", isolation="snapshot")
    assert found == {"write skew or worse"}


async def anomalies(graphs: list[Graph], program: Program, wanted: str, isolation: str = "serializable") -> set[str]:
    """What is wrong with random histories: as many as it takes to find this, 40 at most."""
    found: set[str] = set()
    for seed in range(40):
        if wanted in found:
            break
        found.add((await run_once(graphs, program, seed, isolation) or "").partition(":")[0])
    return found - {""}


class Careless:
    """A store that takes every change as if it were built on what is there now."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, changes: ChangeSet, *, guard: bool = True) -> None:
        reader = self._store.reader(fresh=True)
        found = reader.nodes([update.id for update in changes.updated_nodes])
        reader.close()
        updates = tuple(msgspec.structs.replace(each, version=found[each.id].version) for each in changes.updated_nodes)
        self._store.commit(msgspec.structs.replace(changes, updated_nodes=updates), guard=False)


@pytest.fixture
async def careless(store_factory: Callable[[], Any]) -> Any:
    opened = [Graph(Careless(store_factory()), threads=8) for _ in range(PROCESSES)]
    await opened[0].prepare()
    yield opened
    for graph in opened:
        await graph.close()


async def test_a_seeded_lost_update_is_found(careless: list[Graph], program: Program) -> None:
    assert "lost update" in await anomalies(careless, program, "lost update")

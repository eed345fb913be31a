"""Round trips and milliseconds of whole units of work: listings of 10 to 10,000 children, commits of as many, on each set-up.

MongoDB here is SecantusDB, as in the tests: its milliseconds are its own, and each of its readers takes one round trip more than
MongoDB's (a read transaction has to be ended, a snapshot session has not).
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
from tests.bench.table import Row

sys.path.insert(0, str(Path(__file__).parents[1]))
import servers
from jac_programs import loaded
from jacfn_runtime.memory.graph import Graph, Work
from jacfn_runtime.memory.open import open_store
from jacfn_runtime.settings import Settings

PROGRAM = Path(__file__).parents[1] / "runtime" / "memory" / "adapter" / "programs" / "trees.jac"
SIZES = (10, 100, 1000, 10_000)
ROUNDS = 5
ONE_MESSAGE = (
    1000  # children of a commit whose budget is kept; the driver sends ten thousand with their edges in several messages
)
FIRST_TRIPS, LATER_TRIPS = 4, 3  # design 7: with Redis empty, with Redis warm
GROWTH = 2.0  # ten times the children may take twenty times as long: linear, with room for a busy machine


def measure() -> list[Row]:
    """A row for each set-up and kind of work: the most round trips at any size; milliseconds by size in the detail."""
    return [row for settings, name in _set_ups() for row in asyncio.run(_rows(settings, name))]


def _set_ups() -> Iterator[tuple[Settings, str]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("mongodb", "redis"):
            (folder / name).mkdir()
        embedded = Settings(bundle=folder, app="bench", shelf_db_path=folder / "graph.db")
        yield embedded, "embedded"
        uri = stack.enter_context(servers.mongodb(folder / "mongodb")).url
        redis = stack.enter_context(servers.redis(folder / "redis")).url
        yield msgspec.structs.replace(embedded, mongodb_uri=uri.replace("/?", "/plain?")), "MongoDB"
        both = msgspec.structs.replace(embedded, mongodb_uri=uri.replace("/?", "/cached?"), redis_url=redis, app="cached")
        yield both, "MongoDB behind Redis"


async def _rows(settings: Settings, name: str) -> list[Row]:
    graph = Graph(open_store(settings))
    program = loaded(PROGRAM)
    first: dict[int, tuple[int, float]] = {}
    later: dict[int, tuple[int, float]] = {}
    made: dict[int, tuple[int, float]] = {}
    try:
        await graph.prepare()
        for number, size in enumerate(SIZES, 16):
            root = f"{number:032x}"
            await graph.create_root(root)
            plant = Work("walker", program.target("walker/plant"), {"count": size}, root)
            leaves = Work("walker", program.target("walker/leaves"), {}, root)
            made[size] = await _cost(graph, plant)
            first[size] = await _cost(graph, leaves)
            await _cost(graph, leaves)  # a second request may still fill what the first one's writes had kept in doubt
            costs = [await _cost(graph, leaves) for _ in range(ROUNDS)]
            later[size] = (max(trips for trips, _ in costs), statistics.median(seconds for _, seconds in costs))
    finally:
        await graph.close()
    return [
        _row(f"{name}: list N children, first time", first, FIRST_TRIPS),
        _row(f"{name}: list N children, again", later, LATER_TRIPS),
        _row(f"{name}: commit N new children", made, LATER_TRIPS, ONE_MESSAGE),
        Row(
            f"{name}: time of 10,000 children over ten times that of 1,000",
            later[10_000][1] / (10 * later[1000][1]),
            "x",
            GROWTH,
        ),
    ]


async def _cost(graph: Graph, work: Work) -> tuple[int, float]:
    trips, started = graph.store.round_trips, time.perf_counter()
    await graph.run(work)
    return graph.store.round_trips - trips, time.perf_counter() - started


def _row(name: str, costs: dict[int, tuple[int, float]], budget: int, largest: int = SIZES[-1]) -> Row:
    """The budget is for sizes up to `largest`; the detail shows all of them."""
    detail = {f"{size} children": f"{trips} round trips, {seconds * 1000:.1f} ms" for size, (trips, seconds) in costs.items()}
    return Row(name, max(trips for size, (trips, _) in costs.items() if size <= largest), "", budget, detail)

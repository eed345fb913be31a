"""Round trips and milliseconds of the stores themselves, without jaclang: typical commits, listings of 10 to 10,000 children.

MongoDB here is SecantusDB, as in the tests: its milliseconds are its own, its round trips are one more for each reader than
those of MongoDB (a read transaction has to be ended, a snapshot session has not).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.table import Row

sys.path.insert(0, str(Path(__file__).parents[1]))
import servers
import store_scenes as scenes
import store_worker
from jacfn_runtime.memory.store import ChangeSet, Store, Update

ROUNDS = 15
SIZES = (10, 100, 1000, 10_000)
WARM_TRIPS, COLD_TRIPS = 3, 4  # design 7
SECANTUS_TRIP = 1  # see above


def measure() -> list[Row]:
    """One row a store and job: milliseconds, with round trips as the budgeted figure where the design has a budget."""
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("mongodb", "redis"):
            (folder / name).mkdir()
        mongodb = stack.enter_context(servers.mongodb(folder / "mongodb"))
        redis = stack.enter_context(servers.redis(folder / "redis"))
        for kind in ("sqlite", "mongodb"):
            for redis_url in ("", redis.url):
                app = f"b{scenes.new_id()[:8]}"
                address = str(folder / f"{app}.db") if kind == "sqlite" else mongodb.url.replace("/?", f"/{app}?")
                with opened(kind, address, redis_url, app) as store:
                    label = kind + (" + redis" if redis_url else "")
                    rows += list(commits(store, label)) + list(listings(store, label, extra=SECANTUS_TRIP * (kind == "mongodb")))
    return rows


@contextmanager
def opened(kind: str, address: str, redis_url: str, app: str) -> Iterator[Store]:
    """A prepared store."""
    store = store_worker.open_store(kind, address, redis_url, app)
    store.prepare()
    try:
        yield store
    finally:
        store.close()


def commits(store: Store, label: str) -> Iterator[Row]:
    """The change sets of typical requests."""
    hub = scenes.node(n=0)
    scenes.create(store, hub)
    relied = [scenes.node() for _ in range(50)]
    scenes.create(store, *relied)
    versions = dict.fromkeys((each.id for each in relied), 0)

    def create(count: int) -> ChangeSet:
        leaves = tuple(scenes.node(name="Widget", price=9.99) for _ in range(count))
        return ChangeSet(created_nodes=leaves, created_edges=tuple(scenes.edge(hub, leaf) for leaf in leaves))

    def update(n: int) -> ChangeSet:
        return ChangeSet(updated_nodes=(Update(hub.id, n, {"n": n}),))

    def guarded(n: int) -> ChangeSet:
        return ChangeSet(updated_nodes=(Update(hub.id, ROUNDS + n, {"n": n}),), relied_nodes=versions)

    jobs: dict[str, Callable[[int], ChangeSet]] = {
        "one new child": lambda n: create(1),
        "100 new children": lambda n: create(100),
        "one update": update,
        "one update that relied on 50": guarded,
    }
    for job, changes_of in jobs.items():
        times, trips = [], []
        for n in range(ROUNDS):
            changes = changes_of(n)
            before, started = store.round_trips, time.perf_counter()
            store.commit(changes)
            times.append((time.perf_counter() - started) * 1000)
            trips.append(store.round_trips - before)
        yield Row(f"{label}: commit, {job}", statistics.median(times), "ms")
        yield Row(f"{label}: commit, {job}", max(trips), "trips", WARM_TRIPS)


def listings(store: Store, label: str, extra: int) -> Iterator[Row]:
    """A root, its edges, its children: the first time, and once there are copies."""
    for size in SIZES:
        hub, leaves = scenes.node(), [scenes.node(name="Widget", price=9.99) for _ in range(size)]
        scenes.create(store, hub, *leaves, *(scenes.edge(hub, leaf) for leaf in leaves))
        cold = timed(store, hub.id, size)
        timed(store, hub.id, size)  # its first answer carries the fills of the one before
        warm = timed(store, hub.id, size)
        copies = "redis" in label
        yield Row(f"{label}: list {size}, no copies", cold[0], "ms")
        yield Row(f"{label}: list {size}, no copies", cold[1], "trips", COLD_TRIPS + (extra if copies else 0))
        yield Row(f"{label}: list {size}, again", warm[0], "ms")
        yield Row(f"{label}: list {size}, again", warm[1], "trips", WARM_TRIPS + (0 if copies else extra))


def timed(store: Store, hub: str, size: int) -> tuple[float, int]:
    """Milliseconds and round trips of one listing."""
    before, started = store.round_trips, time.perf_counter()
    reader = store.reader()
    reader.nodes([hub])
    found = reader.nodes([edge.target for edge in reader.edges([hub])[hub].edges])
    confirmed = reader.confirm()
    reader.close()
    if not confirmed or len(found) != size:
        raise RuntimeError(f"{len(found)} of {size}, confirmed: {confirmed}")
    return (time.perf_counter() - started) * 1000, store.round_trips - before

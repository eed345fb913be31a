"""What is the Redis tier's own: it saves round trips, and whatever happens to Redis, nobody reads what was there before a
commit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import servers
import store_scenes as scenes
import store_worker
from jacfn_runtime.memory import redis_gate
from jacfn_runtime.memory.errors import Conflict, StoreRefused, StoreUnavailable
from jacfn_runtime.memory.redis import RedisReader, RedisStore
from jacfn_runtime.memory.redis_gate import Pace
from jacfn_runtime.memory.redis_wire import Wire
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.memory.store import ChangeSet, Update

PACE = Pace(longest_commit=1.5, permit=0.6)  # the argument holds for any pace; a test has no minute to wait
Open = Callable[..., RedisStore]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[servers.Server]:
    """A Redis that this test may do anything to."""
    with servers.redis(tmp_path) as server:
        yield server


@pytest.fixture
def open_cached(own_redis: servers.Server, tmp_path: Path) -> Iterator[Open]:
    opened: list[RedisStore] = []

    def open_once(url: str = "", pace: Pace = PACE) -> RedisStore:
        store = RedisStore(SqliteStore(tmp_path / "graph.db"), url or own_redis.url, "app", pace)
        opened.append(store)
        return store

    yield open_once
    for store in opened:
        store.close()


@pytest.fixture
def cached(open_cached: Open) -> RedisStore:
    store = open_cached()
    store.prepare()
    return store


def settle(store: RedisStore) -> None:
    """Send what travels in the background now."""
    store.gate._flush()


def warm(store: RedisStore, *ids: str) -> None:
    """Wait until these nodes and their edges are read without the truth."""
    deadline = time.monotonic() + 10
    while True:
        scenes.read_nodes(store, *ids)
        scenes.read_edges(store, *ids)
        settle(store)
        before = store.truth.round_trips
        scenes.read_nodes(store, *ids)
        scenes.read_edges(store, *ids)
        if store.truth.round_trips == before:
            return
        assert time.monotonic() < deadline, "the cache never comes back"
        time.sleep(0.05)


def set_n(store: RedisStore, node_id: str, n: int) -> None:
    found = scenes.read_node(store, node_id, fresh=True)
    store.commit(ChangeSet(updated_nodes=(Update(node_id, found.version, {"n": n}),)))


def test_a_copy_saves_the_round_trip_to_the_truth_for_every_process(cached: RedisStore, open_cached: Open) -> None:
    item = scenes.node(n=1)
    scenes.create(cached, item)
    warm(cached, item.id)
    other = open_cached()
    other.gate.renew()
    before = other.truth.round_trips
    assert scenes.read_node(other, item) == item
    assert other.truth.round_trips == before


@pytest.mark.parametrize("count", [1, 300])
def test_a_warm_listing_of_any_number_takes_three_round_trips(cached: RedisStore, count: int) -> None:
    hub, leaves = scenes.node(), [scenes.node(n=n) for n in range(count)]
    scenes.create(cached, hub, *leaves, *(scenes.edge(hub, leaf) for leaf in leaves))

    def listing() -> list[int]:
        reader = cached.reader()
        reader.nodes([hub.id])
        ends = [edge.target for edge in reader.edges([hub.id])[hub.id].edges]
        found = reader.nodes(ends)
        assert reader.confirm()
        reader.close()
        return [found[end].fields["n"] for end in ends]

    for _ in range(2):
        listing()
        settle(cached)
    before = cached.round_trips
    assert listing() == list(range(count))
    assert cached.round_trips - before == 3


def test_a_commit_costs_one_round_trip_more(cached: RedisStore) -> None:
    hub = scenes.node()
    scenes.create(cached, hub)
    for leaf in (scenes.node(), scenes.node()):
        before = cached.round_trips
        scenes.create(cached, leaf, scenes.edge(hub, leaf))
        assert cached.round_trips - before == 2


def test_what_was_committed_is_what_every_process_reads_next(cached: RedisStore, open_cached: Open) -> None:
    item, hub = scenes.node(n=0), scenes.node()
    scenes.create(cached, item, hub)
    others = [open_cached() for _ in range(3)]
    for n in range(1, 20):
        for each in (cached, *others):
            assert scenes.read_node(each, item).fields["n"] == n - 1
            assert len(scenes.read_adjacency(each, hub).edges) == n - 1
        writer = others[n % 3]
        found = scenes.read_node(writer, item)
        link = scenes.edge(hub, item)
        writer.commit(ChangeSet(updated_nodes=(Update(item.id, found.version, {"n": n}),), created_edges=(link,)))


def test_updates_and_deletions_reach_the_copies_of_the_edges_at_both_ends(cached: RedisStore) -> None:
    a, b, c = scenes.node(), scenes.node(), scenes.node()
    link = scenes.edge(a, b, weight=1)
    scenes.create(cached, a, b, c, link, scenes.edge(b, c), scenes.edge(c, a))
    ids = (a.id, b.id, c.id)
    warm(cached, *ids)
    cached.commit(ChangeSet(updated_edges=(Update(link.id, 0, {"weight": 2}),)))
    assert [scenes.read_adjacency(cached, each).edges[0].fields["weight"] for each in (a, b)] == [2, 2]
    warm(cached, *ids)
    cached.commit(ChangeSet(deleted_nodes={c.id: 0}), guard=False)
    assert [len(scenes.read_adjacency(cached, each).edges) for each in (a, b)] == [1, 1]
    assert scenes.read_nodes(cached, *ids).keys() == scenes.read_edges(cached, *ids).keys() == {a.id, b.id}


def test_an_id_that_was_deleted_and_created_anew_shows_nothing_of_its_past(cached: RedisStore) -> None:
    item = scenes.node(n=1)
    scenes.create(cached, item)
    for n in range(2, 5):
        warm(cached, item.id)
        cached.commit(ChangeSet(deleted_nodes={item.id: 0}))
        assert scenes.read_nodes(cached, item) == {}
        scenes.create(cached, scenes.node(id=item.id, n=n))
        assert scenes.read_node(cached, item).fields["n"] == n


def slow_reader(store: RedisStore, node_id: str) -> RedisReader:
    """A reader that has read the truth and has not offered its copy yet."""
    reader = store.reader()
    reader.nodes([node_id])
    return reader


def test_a_slow_reader_cannot_fill_in_what_is_old_by_now(cached: RedisStore, open_cached: Open) -> None:
    item = scenes.node(n=0)
    scenes.create(cached, item)
    reader = slow_reader(cached, item.id)
    set_n(open_cached(), item.id, 1)  # its copy is never made, or evicted at once: nothing newer is there
    reader.close()
    settle(cached)
    assert scenes.read_node(cached, item).fields["n"] == 1


def test_a_reader_that_starts_during_a_commit_cannot_fill_in_what_was_there_before_it(cached: RedisStore) -> None:
    item = scenes.node(n=0)
    scenes.create(cached, item)
    token = cached.gate.mark([f"n:{item.id}"])
    assert token is not None
    settle(cached)
    reader = slow_reader(cached, item.id)
    SqliteStore(cached.truth.path).commit(ChangeSet(updated_nodes=(Update(item.id, 0, {"n": 1}),)))  # type: ignore[attr-defined]
    cached.gate.end(token)
    settle(cached)
    reader.close()
    settle(cached)
    assert scenes.read_node(cached, item).fields["n"] == 1


def test_a_writer_that_dies_before_its_commit_stops_nobody_for_long(cached: RedisStore) -> None:
    item = scenes.node(n=0)
    scenes.create(cached, item)
    assert cached.gate.mark([f"n:{item.id}"]) is not None  # and is never heard of again
    assert scenes.read_node(cached, item).fields["n"] == 0
    set_n(cached, item.id, 1)
    warm(cached, item.id)


def test_the_beginning_of_a_life_that_is_sent_twice_forgets_no_commit_on_its_way(cached: RedisStore) -> None:
    item = scenes.node(n=0)
    scenes.create(cached, item)
    life = cached.truth.cache_life()
    assert life
    token = cached.gate.mark([f"n:{item.id}"])
    cached.gate._ask(redis_gate._BIRTH, life, 0)
    reader = slow_reader(cached, item.id)
    SqliteStore(cached.truth.path).commit(ChangeSet(updated_nodes=(Update(item.id, 0, {"n": 1}),)))  # type: ignore[attr-defined]
    reader.close()
    settle(cached)
    assert token is not None
    cached.gate.end(token)
    cached.gate.renew(claim=False)
    assert scenes.read_node(cached, item).fields["n"] == 1


def test_parts_of_two_states_are_noticed(cached: RedisStore, open_cached: Open) -> None:
    a, b = scenes.node(n=0), scenes.node(n=0)
    scenes.create(cached, a, b)
    warm(cached, a.id, b.id)
    reader = cached.reader()
    assert reader.nodes([a.id])[a.id].fields["n"] == 0
    both = tuple(Update(each.id, 0, {"n": 1}) for each in (a, b))
    open_cached().commit(ChangeSet(updated_nodes=both))
    try:
        seen = reader.nodes([b.id])[b.id].fields["n"]
        assert seen == 1
        assert not reader.confirm()
    except Conflict:
        pass
    finally:
        reader.close()


def test_copies_and_one_snapshot_behind_them_are_confirmed_together(cached: RedisStore) -> None:
    a, b = scenes.node(n=0), scenes.node(n=0)
    scenes.create(cached, a, b)
    warm(cached, a.id)
    reader = cached.reader()
    before = cached.round_trips
    assert reader.nodes([a.id]).keys() | reader.nodes([b.id]).keys() == {a.id, b.id}
    assert reader.confirm()
    assert cached.round_trips - before <= 4
    reader.close()


def test_flushing_redis_in_the_middle_of_load_shows_nobody_an_old_value(cached: RedisStore, own_redis: servers.Server) -> None:
    hurt(cached, lambda n: command(own_redis, "FLUSHALL"))


def test_restarting_redis_in_the_middle_of_load_shows_nobody_an_old_value(cached: RedisStore, own_redis: servers.Server) -> None:
    def restart(n: int) -> None:
        own_redis.stop(kill=n % 2 == 0)
        time.sleep(0.1)
        own_redis.start()

    hurt(cached, restart)


def test_freezing_redis_in_the_middle_of_load_shows_nobody_an_old_value(cached: RedisStore, own_redis: servers.Server) -> None:
    """Its old copies are all still there when it wakes up."""

    def freeze(n: int) -> None:
        own_redis.pause()
        time.sleep(1.2)
        own_redis.resume()

    hurt(cached, freeze)


def command(server: servers.Server, *words: str) -> None:
    wire = Wire(server.url, 5)
    (reply,) = wire._exchange([words])
    assert reply == b"OK"
    wire.close()


def hurt(store: RedisStore, harm: Callable[[int], None]) -> None:
    """Two writers count up, two readers look, Redis is harmed: nobody sees less than was acknowledged before they looked."""
    counters = [scenes.node(n=0), scenes.node(n=0)]
    scenes.create(store, *counters)
    warm(store, *(each.id for each in counters))
    acknowledged = [0, 0]
    stop = threading.Event()
    problems: list[str] = []

    def write(mine: int) -> None:
        while not stop.is_set():
            acknowledged[mine] = int(store_worker.increment(store, counters[mine].id))
            time.sleep(0.002)

    def read() -> None:
        while not stop.is_set():
            least = tuple(acknowledged)
            try:
                found = scenes.read_nodes(store, *counters)
            except (Conflict, AssertionError):
                continue
            seen = tuple(found[each.id].fields["n"] for each in counters)
            if any(n < low for n, low in zip(seen, least, strict=True)):
                problems.append(f"{seen} after {least}")

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            problems.append(repr(error))
            raise

    works = [lambda: write(0), lambda: write(1), read, read]
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        for n in range(2):
            time.sleep(0.3)
            harm(n)
        time.sleep(0.3)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert problems == []
    assert [scenes.read_node(store, each).fields["n"] for each in counters] == acknowledged
    warm(store, *(each.id for each in counters))
    assert [scenes.read_node(store, each).fields["n"] for each in counters] == acknowledged


def test_a_writer_that_cannot_reach_redis_shuts_the_cache_for_those_who_can(cached: RedisStore, open_cached: Open) -> None:
    item = scenes.node(n=0)
    scenes.create(cached, item)
    warm(cached, item.id)
    cut_off = open_cached(f"redis://127.0.0.1:{servers.free_port()}/0")
    stop = threading.Event()

    def keep_warm() -> None:
        while not stop.is_set():
            scenes.read_nodes(cached, item)

    reading = threading.Thread(target=keep_warm)
    reading.start()
    try:
        for n in range(1, 8):
            set_n(cut_off, item.id, n)
            assert scenes.read_node(cached, item).fields["n"] == n
            time.sleep(0.3)
    finally:
        stop.set()
        reading.join(10)
    warm(cached, item.id)


def test_without_redis_everything_works_and_the_waiting_is_done_once(open_cached: Open) -> None:
    store = open_cached(f"redis://127.0.0.1:{servers.free_port()}/0", Pace(longest_commit=60.0, permit=1.0))
    store.prepare()
    item = scenes.node(n=0)
    scenes.create(store, item)
    started = time.monotonic()
    for n in range(1, 30):
        set_n(store, item.id, n)
    assert time.monotonic() - started < 10  # thirty waits of a second would be thirty
    assert scenes.read_node(store, item).fields["n"] == 29
    assert store.health() == "ok"
    tiers = store.tiers()
    assert tiers["embedded"] == "ok"
    assert tiers["redis"] != "ok"


def test_copies_are_not_believed_for_longer_than_the_permit(cached: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    item = scenes.node()
    scenes.create(cached, item)
    warm(cached, item.id)
    monkeypatch.setattr(cached.gate, "_renew_soon", lambda: None)
    time.sleep(PACE.permit)
    before = cached.truth.round_trips
    assert scenes.read_node(cached, item) == item
    assert cached.truth.round_trips == before + 1


def test_while_a_slow_request_runs_the_copies_stay_believable(cached: RedisStore) -> None:
    item = scenes.node()
    scenes.create(cached, item)
    warm(cached, item.id)
    slow = slow_reader(cached, item.id)
    time.sleep(2.5 * PACE.permit)
    before = cached.round_trips
    assert scenes.read_node(cached, item) == item
    assert slow.confirm()
    slow.close()
    assert cached.round_trips == before + 1  # and nobody waited for the renewals


def test_a_redis_that_comes_back_with_yesterday_s_copies_is_not_believed(
    own_redis: servers.Server, open_cached: Open, tmp_path: Path
) -> None:
    store = open_cached(pace=Pace(longest_commit=60, permit=30))
    store.prepare()
    item = scenes.node(n=0)
    scenes.create(store, item)
    warm(store, item.id)
    command(own_redis, "SAVE")
    set_n(store, item.id, 1)
    own_redis.stop(kill=True)
    own_redis.start()  # with its dump: the permit in it is valid still, the mark of the commit is not in it
    for reader in (store, open_cached()):
        assert scenes.read_node(reader, item).fields["n"] == 1


def test_two_apps_and_two_databases_share_a_redis_without_mixing(own_redis: servers.Server, tmp_path: Path) -> None:
    item_id = scenes.new_id()
    stores = [RedisStore(SqliteStore(tmp_path / f"{n}.db"), own_redis.url, app, PACE) for n, app in enumerate(("a", "a", "b"))]
    for n, store in enumerate(stores):
        store.prepare()
        scenes.create(store, scenes.node(id=item_id, n=n))
        warm(store, item_id)
    assert [scenes.read_node(store, item_id).fields["n"] for store in stores] == [0, 1, 2]
    for store in stores:
        store.close()


def test_eviction_of_anything_at_any_time_shows_nobody_an_old_value(tmp_path: Path) -> None:
    options = ("--maxmemory", "2mb", "--maxmemory-policy", "allkeys-random")
    with servers.redis(tmp_path, *options) as server:
        store = RedisStore(SqliteStore(tmp_path / "graph.db"), server.url, "app", Pace(longest_commit=0.3, permit=0.3))
        store.prepare()
        items = [scenes.node(n=0, filler="x" * 4000) for _ in range(60)]
        scenes.create(store, *items)
        for n in range(1, 6):
            for item in items[::7]:
                scenes.read_nodes(store, *items)
                set_n(store, item.id, n)
                assert scenes.read_node(store, item).fields["n"] == n
        store.close()


@pytest.mark.parametrize("url", ["", "nonsense", "http://host", "redis://user:hunter2@:x/0", "redis://h/hunter2"])
def test_a_malformed_url_is_refused_and_never_shown(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreRefused) as refused:
        RedisStore(SqliteStore(tmp_path / "graph.db"), url, "app")
    assert "hunter2" not in str(refused.value)


def test_redis_with_a_password_is_used_with_it_and_done_without_when_it_is_wrong(tmp_path: Path) -> None:
    with servers.redis(tmp_path, "--requirepass", "s3cret/@") as server:
        address = server.url.removeprefix("redis://")
        right = RedisStore(SqliteStore(tmp_path / "graph.db"), f"redis://:s3cret%2F%40@{address}", "app", PACE)
        right.prepare()
        item = scenes.node(n=1)
        scenes.create(right, item)
        warm(right, item.id)
        assert right.tiers()["redis"] == "ok"
        wrong = RedisStore(SqliteStore(tmp_path / "graph.db"), f"redis://:wrong@{address}", "app", PACE)
        assert scenes.read_node(wrong, item) == item
        assert "WRONGPASS" in wrong.tiers()["redis"] or "invalid" in wrong.tiers()["redis"]
        wrong.close()
        right.close()


def test_if_neither_redis_nor_the_truth_can_be_reached_a_commit_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    unreachable = SqliteStore(tmp_path / "file" / "graph.db")
    store = RedisStore(unreachable, f"redis://127.0.0.1:{servers.free_port()}/0", "app", PACE)
    with pytest.raises(StoreUnavailable):
        set_n(store, scenes.new_id(), 1)
    with pytest.raises(StoreUnavailable):
        store.commit(ChangeSet(updated_nodes=(Update(scenes.new_id(), 0),)))
    store.close()

"""What is MongoDB's own: whose database it is, outages, lost answers, servers that cannot do it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest

import servers
import store_scenes as scenes
import store_worker
from jacfn_runtime.memory.errors import Conflict, FormatTooNew, StoreRefused, StoreUnavailable
from jacfn_runtime.memory.mongo import MongoStore
from jacfn_runtime.memory.mongo_queries import Dialect
from jacfn_runtime.memory.store import ChangeSet, Update
from lossy_proxy import LossyProxy

Open = Callable[[str, str], MongoStore]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes stores, and closes them also when the test fails: a client that is left behind fails an innocent one."""
    stores: list[MongoStore] = []

    def open_once(uri: str, app: str) -> MongoStore:
        stores.append(MongoStore(uri, app))
        return stores[-1]

    yield open_once
    for store in stores:
        store.close()


@pytest.fixture
def uri(mongodb: servers.Server, app_name: str) -> str:
    return mongodb.url.replace("/?", f"/{app_name}?")


@pytest.fixture
def mongo(opened: Open, uri: str, app_name: str) -> MongoStore:
    store = opened(uri, app_name)
    store.prepare()
    return store


@pytest.fixture
def proxy(mongodb: servers.Server) -> Iterator[LossyProxy]:
    proxy = LossyProxy(mongodb.port)
    yield proxy
    proxy.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[servers.Server]:
    """A MongoDB that this test may stop."""
    with servers.mongodb(tmp_path) as server:
        yield server


def test_a_second_app_is_refused_by_name(opened: Open, mongo: MongoStore, uri: str, app_name: str) -> None:
    other = opened(uri, "other")
    for use in (other.prepare, lambda: scenes.create(other, scenes.node()), lambda: other.mark("x")):
        with pytest.raises(StoreRefused, match=f"belongs to the app {app_name}"):
            use()


def test_a_newer_format_is_refused_with_both_versions(opened: Open, mongo: MongoStore, uri: str, app_name: str) -> None:
    item = scenes.node()
    scenes.create(mongo, item)
    mongo.database.nodes.update_one({"_id": item.id}, {"$set": {"format": 3}})
    with pytest.raises(FormatTooNew, match=r"format 3.* up to format 1"):
        scenes.read_node(mongo, item)
    mongo.database.meta.update_one({"_id": "app"}, {"$set": {"format": 2}})
    newer = opened(uri, app_name)
    with pytest.raises(FormatTooNew, match="format 2"):
        newer.mark("x")


def test_the_first_use_prepares_a_database_that_nobody_prepared(opened: Open, uri: str, app_name: str) -> None:
    store = opened(uri, app_name)
    item = scenes.node()
    scenes.create(store, item)
    assert {"source_1", "target_1"} <= {each["name"] for each in store.database.edges.list_indexes()}


def test_without_a_database_in_the_uri_it_is_jac_db(opened: Open, mongodb: servers.Server) -> None:
    store = opened(mongodb.url, "any")
    assert store.database.name == "jac_db"


def test_a_standalone_server_is_refused_with_the_reason(opened: Open, tmp_path: Path) -> None:
    port = servers.free_port()
    command = [str(Path(sys.executable).parent / "secantusd-py"), "--host", "127.0.0.1", "--port", str(port), "--standalone"]
    command += ["--storage-path", str(tmp_path / "data")]
    server = servers.Server(command, port, f"mongodb://127.0.0.1:{port}/", tmp_path).start()
    store = opened(server.url, "app")
    try:
        with pytest.raises(StoreRefused, match="standalone"):
            scenes.create(store, scenes.node())
        assert "standalone" in store.health()
    finally:
        store.close()
        server.stop()


@pytest.mark.parametrize("uri", ["nonsense", "mongodb://user:p@ss:w0rd@host:1:2/x", "mongodb://user:hunter2@host/a b"])
def test_a_malformed_uri_is_refused_and_never_shown(opened: Open, uri: str) -> None:
    store = opened(uri, "app")
    with pytest.raises(StoreRefused) as refused:
        store.mark("x")
    assert not any(part in str(refused.value) for part in ("p@ss", "w0rd@", "hunter2", "a b"))
    assert store.health() != "ok"


def test_a_server_that_hangs_is_an_outage(own_server: servers.Server, app_name: str, opened: Open) -> None:
    store = opened(own_server.url + "&socketTimeoutMS=400", app_name)
    item = scenes.node()
    scenes.create(store, item)
    own_server.pause()
    try:
        with pytest.raises(StoreUnavailable):
            scenes.read_node(store, item)
        with pytest.raises(StoreUnavailable):
            scenes.create(store, scenes.node())
        assert "MongoDB cannot be reached" in store.health()
    finally:
        own_server.resume()


def test_an_outage_is_heard_within_seconds_and_then_at_once_and_ends_by_itself(
    own_server: servers.Server, app_name: str, opened: Open
) -> None:
    store = opened(own_server.url, app_name)
    item = scenes.node(n=0)
    scenes.create(store, item)
    own_server.stop(kill=True)
    with pytest.raises(StoreUnavailable) as away:
        scenes.read_node(store, item)
    assert away.value.retry_after > 0
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            store.commit(ChangeSet(updated_nodes=(Update(item.id, 0, {"n": 1}),)))
    assert time.monotonic() - started < 10  # twenty waits of two seconds would be forty
    assert "MongoDB cannot be reached" in store.health()
    own_server.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            store.commit(ChangeSet(updated_nodes=(Update(item.id, 0, {"n": 1}),)))
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert scenes.read_node(store, item).fields == {"n": 1}


def test_every_acknowledged_increment_survives_kills_of_the_server(
    own_server: servers.Server, app_name: str, opened: Open
) -> None:
    """Also those whose answer was lost: the commit record tells, so nothing is counted twice."""
    store = opened(own_server.url, app_name)
    counter = scenes.node(n=0)
    scenes.create(store, counter)
    done, unknown, stop = [0], [0], threading.Event()

    def count_up() -> None:
        while not stop.is_set():
            try:
                store_worker.increment(store, counter.id)
                done[0] += 1
            except StoreUnavailable as error:
                unknown[0] += "not known" in error.evidence
                time.sleep(0.02)

    thread = threading.Thread(target=count_up)
    thread.start()
    for _ in range(3):
        time.sleep(0.3)
        own_server.stop(kill=True)
        own_server.start()
    reached, deadline = done[0] + 10, time.monotonic() + 30
    while done[0] < reached and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    thread.join(30)
    assert done[0] >= reached
    assert done[0] <= scenes.read_node(store, counter).fields["n"] <= done[0] + unknown[0]


@pytest.mark.parametrize("before", [False, True], ids=["applied", "not applied"])
@pytest.mark.parametrize("word", [b"commitTransaction", b"bulkWrite"])
def test_a_lost_answer_neither_loses_nor_doubles_a_commit(
    proxy: LossyProxy, app_name: str, opened: Open, word: bytes, before: bool
) -> None:
    store = opened(f"mongodb://127.0.0.1:{proxy.port}/{app_name}?directConnection=true", app_name)
    counter, hub = scenes.node(n=0), scenes.node()
    scenes.create(store, counter, hub)
    for n in range(3):
        proxy.lose(word, before=before)
        leaf = scenes.node()
        store.commit(
            ChangeSet(
                created_nodes=(leaf,),
                created_edges=(scenes.edge(hub, leaf),),
                updated_nodes=(Update(counter.id, n, {"n": n + 1}),),
            )
        )
        assert proxy.lost
    assert scenes.read_node(store, counter).version == 3
    assert scenes.read_adjacency(store, hub).edges_version == 3


def test_a_connection_that_breaks_between_two_reads_asks_for_a_replay(proxy: LossyProxy, app_name: str, opened: Open) -> None:
    store = opened(f"mongodb://127.0.0.1:{proxy.port}/{app_name}?directConnection=true", app_name)
    item = scenes.node()
    scenes.create(store, item)
    reader = store.reader()
    reader.nodes([item.id])
    proxy.lose(b"find")
    with pytest.raises(Conflict):
        reader.nodes([item.id])
    reader.close()
    proxy.lose(b"find")  # the first read of an attempt is simply sent again
    assert scenes.read_node(store, item) == item


def test_the_words_for_mongodb_and_those_for_secantusdb_mean_the_same(mongo: MongoStore) -> None:
    hub, *leaves = (scenes.node(n=n) for n in range(21))
    loop, back = scenes.edge(hub, hub), scenes.edge(leaves[0], hub)
    scenes.create(mongo, hub, *leaves, loop, back, *(scenes.edge(hub, leaf) for leaf in leaves))
    ids = [each.id for each in (hub, *leaves)]
    assert mongo.dialect.joins
    by_joins = (scenes.read_nodes(mongo, *ids), scenes.read_edges(mongo, *ids))
    mongo._dialect = Dialect(joins=False, bulk_write=False, first_read_concern=True)
    assert (scenes.read_nodes(mongo, *ids), scenes.read_edges(mongo, *ids)) == by_joins
    gone = scenes.read_adjacency(mongo, leaves[0]).edges[0]
    mongo.commit(
        ChangeSet(
            created_nodes=(scenes.node(),),
            updated_nodes=(Update(hub.id, 0, {"n": 99}),),
            deleted_nodes={leaves[1].id: 0},
            deleted_edges={gone.id: gone},
            marks={"m": "1"},
            relied_nodes={leaves[2].id: 0},
        )
    )
    with pytest.raises(Conflict) as conflict:
        mongo.commit(ChangeSet(updated_nodes=(Update(hub.id, 0, {"n": 99}),), relied_nodes={leaves[2].id: 0}))
    assert conflict.value.ids == {hub.id}
    assert mongo.dangling_edges() == []


def test_a_server_that_only_says_it_keeps_snapshots_is_found_out(mongo: MongoStore) -> None:
    assert not mongo.dialect.snapshot_sessions  # SecantusDB; see the test of one snapshot in test_reads


def test_the_uri_s_own_options_win_over_defaults_but_not_over_safety(
    mongodb: servers.Server, app_name: str, opened: Open
) -> None:
    options = "&maxPoolSize=3&w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred"
    store = opened(mongodb.url + options, app_name)
    client = store.client
    assert client.options.pool_options.max_pool_size == 3
    assert client.write_concern.document == {"w": "majority", "j": True}
    assert client.read_concern.level == "majority"
    assert store.database.read_preference == pymongo.ReadPreference.PRIMARY

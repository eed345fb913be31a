"""Many at once: what every store promises to requests that collide."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import store_scenes as scenes
import store_worker
from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.store import ChangeSet, Store, Update

Open = Callable[[], Store]


def at_once(*works: Callable[[], None]) -> list[bool]:
    """Run all of them at the same moment; which of them were not refused."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> bool:
        start.wait()
        try:
            work()
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


def processes(open_store: Open, count: int) -> Sequence[Store]:
    """As many stores as that many processes would have, each connected."""
    opened = [open_store() for _ in range(count)]
    for each in opened:
        assert each.health() == "ok"
    return opened


def test_no_update_is_lost(store: Store, open_store: Open) -> None:
    counter = scenes.node(n=0)
    scenes.create(store, counter)
    others = processes(open_store, 3)

    def count_up(each: Store) -> None:
        for _ in range(8):
            store_worker.increment(each, counter.id)

    assert all(at_once(*(lambda each=each: count_up(each) for each in others)))  # type: ignore[misc]
    assert scenes.read_node(store, counter).fields["n"] == 24
    assert scenes.read_node(store, counter).version == 24


def test_no_append_is_lost(store: Store, open_store: Open) -> None:
    hub = scenes.node()
    scenes.create(store, hub)
    others = processes(open_store, 3)

    def fill_up(each: Store) -> None:
        for _ in range(8):
            store_worker.append(each, hub.id)

    assert all(at_once(*(lambda each=each: fill_up(each) for each in others)))  # type: ignore[misc]
    found = scenes.read_adjacency(store, hub)
    assert len(found.edges) == found.edges_version == 24
    assert store.dangling_edges() == []


def test_of_two_that_read_two_nodes_and_write_one_each_only_one_succeeds(store: Store, open_store: Open) -> None:
    first, second = processes(open_store, 2)
    for _ in range(8):
        a, b = scenes.node(n=1), scenes.node(n=1)
        scenes.create(store, a, b)
        relied = {a.id: 0, b.id: 0}
        done = at_once(
            lambda a=a, relied=relied: first.commit(ChangeSet(updated_nodes=(Update(a.id, 0, {"n": 0}),), relied_nodes=relied)),
            lambda b=b, relied=relied: second.commit(ChangeSet(updated_nodes=(Update(b.id, 0, {"n": 0}),), relied_nodes=relied)),
        )
        assert sum(done) == 1
        assert sum(each.fields["n"] for each in scenes.read_nodes(store, a, b).values()) == 1


def test_without_guard_both_of_them_may_succeed(store: Store) -> None:
    a, b = scenes.node(n=1), scenes.node(n=1)
    scenes.create(store, a, b)
    for each in (a, b):
        changes = ChangeSet(updated_nodes=(Update(each.id, 0, {"n": 0}),), relied_nodes={a.id: 0, b.id: 0})
        store.commit(changes, guard=False)
    assert sum(each.fields["n"] for each in scenes.read_nodes(store, a, b).values()) == 0


def test_of_many_that_create_what_they_did_not_find_one_succeeds(store: Store, open_store: Open) -> None:
    hub = scenes.node()
    scenes.create(store, hub)
    others = processes(open_store, 4)

    def create(each: Store) -> None:
        leaf = scenes.node()
        each.commit(ChangeSet(created_nodes=(leaf,), created_edges=(scenes.edge(hub, leaf),), relied_edges={hub.id: 0}))

    assert sum(at_once(*(lambda each=each: create(each) for each in others))) == 1  # type: ignore[misc]
    assert store.count_by_type() == {"jac.Edge": 1, "main.Item": 2}


def test_a_deletion_and_an_append_to_the_same_node_leave_nothing_dangling(store: Store, open_store: Open) -> None:
    first, second = processes(open_store, 2)
    for _ in range(8):
        hub, doomed = scenes.node(), scenes.node()
        scenes.create(store, hub, doomed)
        deleted, _ = at_once(
            lambda doomed=doomed: first.commit(ChangeSet(deleted_nodes={doomed.id: 0})),
            lambda hub=hub, doomed=doomed: scenes.create(second, scenes.edge(hub, doomed)),
        )
        assert deleted
        assert scenes.read_adjacency(store, hub).edges == ()
    assert store.dangling_edges() == []


def test_of_two_that_create_the_same_id_one_succeeds(store: Store, open_store: Open) -> None:
    first, second = processes(open_store, 2)
    for _ in range(5):
        root = scenes.new_id()
        done = at_once(
            lambda root=root: scenes.create(first, scenes.node(id=root, by="first")),
            lambda root=root: scenes.create(second, scenes.node(id=root, by="second")),
        )
        assert sum(done) == 1
        assert scenes.read_node(store, root).fields["by"] == ("first" if done[0] else "second")


def test_the_sum_of_two_accounts_is_the_same_at_every_read(store: Store, open_store: Open) -> None:
    a, b = scenes.node(n=50), scenes.node(n=50)
    scenes.create(store, a, b)
    sums: set[int] = set()
    stop = threading.Event()

    def read(each: Store) -> None:
        fresh = False
        while not stop.is_set():
            reader = each.reader(fresh=fresh)
            try:
                total = sum(reader.nodes([node.id])[node.id].fields["n"] for node in (a, b))  # two reads on purpose
                fresh = not reader.confirm()
                if not fresh:
                    sums.add(total)
            except Conflict:
                fresh = True
            finally:
                reader.close()

    def transfer(each: Store) -> None:
        done = 0
        while done < 12:
            found = scenes.read_nodes(each, a, b, fresh=True)
            moved = (Update(a.id, found[a.id].version, {"n": found[a.id].fields["n"] - 1}),)
            moved += (Update(b.id, found[b.id].version, {"n": found[b.id].fields["n"] + 1}),)
            try:
                each.commit(ChangeSet(updated_nodes=moved))
                done += 1
            except Conflict:
                continue

    reading, *writing = processes(open_store, 3)
    with ThreadPoolExecutor(3) as threads:
        reads = threads.submit(read, reading)
        writes = [threads.submit(transfer, each) for each in writing]
        try:
            for each in writes:
                each.result(60)
        finally:
            stop.set()
        reads.result(60)
    assert sums == {100}
    assert scenes.read_node(store, b).fields["n"] == 74


def test_twenty_processes_may_prepare_at_once(open_store: Open) -> None:
    others = [open_store() for _ in range(20)]
    assert all(at_once(*(each.prepare for each in others)))
    item = scenes.node()
    scenes.create(others[0], item)
    assert scenes.read_node(others[19], item) == item


def test_threads_may_share_a_reader(store: Store) -> None:
    items = [scenes.node(n=n) for n in range(8)]
    scenes.create(store, *items)
    reader = store.reader()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda item: reader.nodes([item.id])[item.id], items))
    reader.close()
    assert found == items

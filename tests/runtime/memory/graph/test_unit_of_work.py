"""One request is one unit of work: all of it or nothing, replayed when somebody was faster, effects once and afterwards."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import store_scenes as scenes
from jacfn_runtime.memory import graph as graphs
from jacfn_runtime.memory.errors import Conflict, NodeNotFound, StoreUnavailable, UnknownCaller
from jacfn_runtime.memory.graph import GUEST_ROOT, REPLAYS, SYSTEM_ROOT, Graph, Work
from jacfn_runtime.memory.store import ChangeSet, Store, Update
from jacfn_runtime.program.load import Program

from .conftest import BOB, User


@pytest.fixture
def module(program: Program) -> Iterator[Any]:
    """The program's module, with nothing to do in between and nothing happened."""
    module = sys.modules[program.target("walker/count").__module__]
    yield module
    module.between.clear()
    module.happened.clear()


@pytest.fixture
async def counter(alice: User) -> str:
    (made,) = await alice.walk("make_counter")
    return str(made)


def overtaken(store: Store, node: str, times: int) -> Callable[[], None]:
    """Another request that changes this node, so often."""
    left = [times]

    def overtake() -> None:
        if left[0]:
            left[0] -= 1
            reader = store.reader(fresh=True)
            found = reader.nodes((node,))[node]
            reader.close()
            store.commit(ChangeSet(updated_nodes=(Update(node, found.version, set_fields={"n": found.fields["n"] + 100}),)))

    return overtake


async def test_a_conflict_replays_the_work_on_what_is_there_now(alice: User, module: Any, counter: str, store: Store) -> None:
    module.between.append(overtaken(store, counter, 2))
    assert await alice.walk("count", node=counter) == [201]
    assert await alice.walk("read_count", node=counter) == [201]


async def test_an_async_walker_is_replayed_as_well(alice: User, module: Any, counter: str, store: Store) -> None:
    module.between.append(overtaken(store, counter, 2))
    await alice.walk("async_count", node=counter)
    assert await alice.walk("read_count", node=counter) == [201]
    assert module.happened == ["async"]


async def test_an_async_walker_that_waits_without_await_holds_up_nobody_else(alice: User, module: Any, counter: str) -> None:
    waiting, released = threading.Event(), threading.Event()
    module.between.append(lambda: (waiting.set(), released.wait(20)))
    walker = asyncio.create_task(alice.walk("async_count", node=counter))
    assert await asyncio.to_thread(waiting.wait, 20)
    module.between.clear()
    assert await alice.walk("read_count", node=counter) == [0]
    assert not walker.done()
    released.set()
    await walker
    assert await alice.walk("read_count", node=counter) == [1]


async def test_after_five_replays_the_caller_is_told(alice: User, module: Any, counter: str, store: Store) -> None:
    module.between.append(overtaken(store, counter, REPLAYS + 1))
    with pytest.raises(Conflict) as caught:
        await alice.walk("effect", node=counter)
    assert counter in caught.value.ids
    assert module.happened == []
    assert await alice.walk("read_count", node=counter) == [(REPLAYS + 1) * 100]


async def test_a_replay_starts_with_the_arguments_as_they_came(alice: User, module: Any, counter: str, store: Store) -> None:
    module.between.append(overtaken(store, counter, 1))
    assert await alice.walk("note", node=counter, texts=["given"]) == [["given", "changed"]]


async def test_what_raises_writes_nothing_and_tells_where(alice: User, module: Any, counter: str) -> None:
    for walker in ("fail", "commit_in_the_middle"):
        with pytest.raises(ValueError, match="no") as caught:
            await alice.walk(walker, node=counter)
        assert any(frame.filename.endswith("contended.jac") for frame in traceback.extract_tb(caught.value.__traceback__))
    assert await alice.walk("read_count", node=counter) == [0]
    assert module.happened == []


@pytest.mark.parametrize(
    ("walker", "error"), [("leave", "SystemExit"), ("interrupt", "KeyboardInterrupt"), ("stop", "StopIteration")]
)
async def test_what_would_end_a_server_or_a_future_is_an_ordinary_error(
    alice: User, module: Any, counter: str, walker: str, error: str
) -> None:
    with pytest.raises(RuntimeError, match=f"the program raised {error}"):
        await alice.walk(walker, node=counter)
    assert await alice.walk("read_count", node=counter) == [0]


async def test_effects_run_once_after_the_commit(alice: User, module: Any, counter: str, store: Store) -> None:
    module.between.append(overtaken(store, counter, 1))
    await alice.walk("effect", node=counter)
    assert module.happened == ["after 101"]


async def test_an_effect_that_fails_does_not_undo_the_commit(
    alice: User, module: Any, counter: str, caplog: pytest.LogCaptureFixture
) -> None:
    await alice.walk("effect", node=counter, fails=True)
    assert module.happened == ["after 1"]
    assert await alice.walk("read_count", node=counter) == [1]
    assert "an on_commit effect failed" in caplog.text


async def test_an_async_effect_runs_too(alice: User, module: Any, counter: str) -> None:
    await alice.walk("async_effect", node=counter)
    assert module.happened == ["later"]


async def test_a_flow_that_nobody_waits_for_belongs_to_the_unit_of_work(alice: User) -> None:
    await alice.walk("forgotten_flow")
    assert await alice.walk("tags") == [["flowing"]]


async def test_callers_do_not_see_each_other(alice: User, graph: Graph, program: Program) -> None:
    roots = [f"{n:032x}" for n in range(16, 26)]
    for root in roots:
        await graph.create_root(root)
    users = [User(graph, program, root) for root in roots]
    for walker in ("who", "who_later"):
        assert await asyncio.gather(*(user.walk(walker) for user in users)) == [[root] for root in roots]


async def test_a_request_never_runs_as_the_system_root(graph: Graph, program: Program) -> None:
    with pytest.raises(ValueError, match="system root"):
        await graph.run(Work("function", program.target("function/answer"), {"n": 1}, SYSTEM_ROOT))


async def test_a_caller_without_data_is_told_so(graph: Graph, program: Program) -> None:
    for walker, arguments in (("tags", {}), ("append_tag", {"name": "x"}), ("find_or_create", {"name": "x"}), ("share_root", {})):
        with pytest.raises(UnknownCaller):
            await User(graph, program, BOB).walk(walker, **arguments)
    assert (await graph.inspect()).counts == {"jac.Root": 3}


async def test_guests_are_served_before_anybody_prepared_the_store(store: Store, program: Program) -> None:
    graph = Graph(store)
    try:
        guest = User(graph, program, GUEST_ROOT)
        await guest.walk("append_tag", name="early")
        assert await guest.walk("tags") == [["early"]]
    finally:
        await graph.close()


class Torn:
    """A store whose cached reads do not belong to one point in time: the first reader of each unit of work is such a one."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.fresh: list[bool] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def reader(self, *, fresh: bool = False) -> Any:
        self.fresh.append(fresh)
        reader = self._store.reader()
        reader.confirm = lambda: fresh
        return reader


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
async def test_a_torn_read_is_never_answered(store: Store, program: Program, isolation: Any) -> None:
    torn = Torn(store)
    graph = Graph(torn)
    try:
        await graph.prepare()
        torn.fresh.clear()
        guest = User(graph, program, GUEST_ROOT)
        assert (await guest.run("walker", "tags", isolation=isolation)).reports == [[]]
        assert torn.fresh == [False, True]
    finally:
        await graph.close()


async def test_an_error_that_a_torn_read_explains_is_not_the_answer(store: Store, program: Program) -> None:
    torn = Torn(store)
    graph = Graph(torn)
    try:
        await graph.prepare()
        guest = User(graph, program, GUEST_ROOT)
        torn.fresh.clear()
        with pytest.raises(KeyError):  # there is no account at all
            await guest.walk("transfer", source=0, target=1, amount=1)
        assert torn.fresh == [False, True]
    finally:
        await graph.close()


async def test_a_store_that_is_away_is_said_at_once(
    store: Any, alice: User, counter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(*_: Any, **__: Any) -> Any:
        asked.append(1)
        raise StoreUnavailable("The store", "it is away")

    monkeypatch.setattr(store, "commit", away)
    with pytest.raises(StoreUnavailable):
        await alice.walk("count", node=counter)
    assert asked == [1]


async def test_a_walker_that_only_reads_commits_nothing(
    store: Any, alice: User, counter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "commit", lambda *_, guard: None if _[0].empty else pytest.fail("written"))
    assert await alice.walk("read_count", node=counter) == [0]
    assert await alice.walk("tags") == [[]]


async def box_with(alice: User, module: Any, change: Callable[[str], ChangeSet], store: Store) -> str:
    """A new box; once, in the middle of the next walker, somebody commits this change."""
    (box,) = await alice.walk("make_box")
    left = [1]

    def interfere() -> None:
        if left:
            left.clear()
            store.commit(change(box))

    module.between.append(interfere)
    return str(box)


async def test_what_was_found_empty_is_not_deleted_with_what_came_since(alice: User, module: Any, store: Store) -> None:
    def fill(box: str) -> ChangeSet:
        tag = scenes.node("contended.Tag", owner=alice.root, name="inside")
        return ChangeSet(created_nodes=(tag,), created_edges=(scenes.edge(box, tag, type="jac.GenericEdge"),))

    box = await box_with(alice, module, fill, store)
    assert await alice.walk("remove_if_empty", node=box) == [False]
    assert (await alice.graph.inspect()).counts["contended.Box"] == 1


async def test_a_node_without_fields_that_was_found_by_its_id_is_still_there_at_the_commit(
    alice: User, module: Any, store: Store
) -> None:
    box = await box_with(alice, module, lambda box: ChangeSet(deleted_nodes={box: 0}), store)
    await alice.walk("tag_if_there", id=box)
    assert await alice.walk("tags") == [["gone"]]


async def test_a_node_without_fields_that_a_walker_started_on_is_still_there_at_the_commit(
    alice: User, module: Any, store: Store
) -> None:
    box = await box_with(alice, module, lambda box: ChangeSet(deleted_nodes={box: 0}), store)
    with pytest.raises(NodeNotFound):
        await alice.walk("tag_from_box", node=box)


async def test_a_plain_edge_that_was_found_by_its_id_is_still_there_at_the_commit(alice: User, module: Any, store: Store) -> None:
    box = await box_with(alice, module, lambda _: ChangeSet(deleted_edges={edge.id: edge}), store)
    edge = scenes.read_adjacency(store, box).edges[0]
    await alice.walk("tag_if_there", id=edge.id)
    assert await alice.walk("tags") == [["gone"]]


@pytest.mark.parametrize("later", [False, True])
async def test_an_effect_that_leaves_ends_nothing(alice: User, module: Any, counter: str, later: bool) -> None:
    await alice.walk("leaving_effects", node=counter, later=later)
    assert module.happened == ["after it"]
    assert await alice.walk("read_count", node=counter) == [1]


class Failing:
    """A store of which the next read raises this, once."""

    def __init__(self, store: Any, error: Exception) -> None:
        self._store = store
        self._left = [error]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def reader(self, *, fresh: bool = False) -> Any:
        reader = self._store.reader(fresh=fresh)
        nodes = reader.nodes

        def fail_once(ids: Any) -> Any:
            if self._left:
                raise self._left.pop()
            return nodes(ids)

        reader.nodes = fail_once
        return reader


@pytest.mark.parametrize("walker", ["shrug", "shrug_in_a_flow"])
async def test_what_a_program_makes_of_a_read_that_failed_is_not_committed(
    alice: User, counter: str, store: Store, program: Program, walker: str
) -> None:
    (before,) = await alice.walk("tags")
    away = User(Graph(Failing(store, StoreUnavailable("The store", "it is away"))), program)
    with pytest.raises(StoreUnavailable):
        await away.walk(walker, id=counter)
    assert await alice.walk("tags") == [before]
    torn = User(Graph(Failing(store, Conflict(()))), program)
    await torn.walk(walker, id=counter)
    (after,) = await alice.walk("tags")
    assert sorted(after) == ([] if walker == "shrug" else ["after", "flowing"])


async def test_async_walkers_at_once_are_bounded_and_nobody_is_turned_away(
    store: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "ASYNC_WALKERS", 5)
    opened: list[int] = [0]
    seen: list[int] = []
    make = store.reader

    def counted(**options: Any) -> Any:
        reader = make(**options)
        close = reader.close
        opened[0] += 1
        seen.append(opened[0])

        def close_once() -> None:
            opened[0] -= 1
            close()

        reader.close = close_once
        return reader

    monkeypatch.setattr(store, "reader", counted)
    user = User(Graph(store), alice.program, alice.root)
    assert await asyncio.gather(*(user.walk("who_later") for _ in range(40))) == [[alice.root]] * 40
    assert max(seen) == 5
    assert opened == [0]

"""How often a unit of work asks its store: a hop is two round trips however many nodes take part, a commit is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.program.load import Program

ALICE, BOB = "a" * 32, "b" * 32


class Counted:
    """A user whose every walk answers reports and round trips."""

    def __init__(self, user: Any) -> None:
        self.user = user

    async def walk(self, name: str, **arguments: Any) -> tuple[list[Any], int]:
        before = self.user.graph.store.round_trips
        reports = await self.user.walk(name, **arguments)
        return reports, self.user.graph.store.round_trips - before


@pytest.fixture
async def alice(graph: Graph, program: Callable[[str], Program], user: Any) -> Counted:
    await graph.create_root(ALICE)
    await graph.create_root(BOB)
    return Counted(user(program("trees"), ALICE))


async def test_the_callers_root_is_known_without_reading_it(alice: Counted) -> None:
    assert await alice.walk("only_root") == ([ALICE], 0)


async def test_appending_to_the_root_is_one_commit_whatever_is_there(alice: Counted) -> None:
    for count in (1, 100, 1):
        assert await alice.walk("plant", count=count) == ([], 1)


@pytest.mark.parametrize("count", [0, 1, 10, 300])
async def test_listing_children_takes_edges_and_nodes(alice: Counted, count: int) -> None:
    await alice.walk("plant", count=count)
    reports, trips = await alice.walk("leaves")
    assert reports == [count]
    assert trips == (2 if count else 1)
    assert await alice.walk("visit_all") == ([count], trips)


async def test_every_further_hop_is_two_round_trips(alice: Counted) -> None:
    await alice.walk("plant_deep", count=20)
    assert await alice.walk("deep") == ([40], 4)


async def test_an_edge_filter_decides_before_nodes_are_read(alice: Counted) -> None:
    await alice.walk("plant_deep", count=20)
    read: list[int] = []
    store = alice.user.graph.store
    inner = store.reader

    def reader(**options: Any) -> Any:
        opened = inner(**options)
        nodes = opened.nodes
        opened.nodes = lambda ids: (read.append(len(ids)), nodes(ids))[1]
        return opened

    store.reader = reader
    assert await alice.walk("short_twigs") == ([2], 4)
    assert read == [20, 2]


async def test_changing_many_nodes_commits_once(alice: Counted) -> None:
    await alice.walk("plant", count=50)
    assert await alice.walk("raise_all") == ([], 3)


async def test_deleting_edges_and_nodes_does_not_read_their_other_ends_lists(alice: Counted) -> None:
    await alice.walk("plant", count=50)
    assert await alice.walk("drop_leaves") == ([], 3)
    await alice.walk("plant", count=50)
    assert (await alice.walk("drop_edges"))[1] == 3
    assert (await alice.walk("leaves"))[0] == [0]


async def test_starting_on_a_node_reads_root_and_node_at_once(alice: Counted) -> None:
    await alice.walk("plant", count=3)
    (first,), _ = await alice.walk("first_id")
    assert await alice.walk("start_here", node=first) == ([0], 1)
    assert await alice.walk("hang_on", node=first) == ([], 2)


async def test_somebody_elses_nodes_cost_no_round_trip_each(alice: Counted, user: Any) -> None:
    await alice.walk("plant", count=30)
    (ids,), _ = await alice.walk("publish")
    bob = Counted(user(alice.user.program, BOB))
    await bob.walk("adopt", ids=ids)
    reports, trips = await bob.walk("leaves")
    assert reports == [30]
    assert trips <= 3  # edges, nodes; their owner, once


async def test_a_function_that_touches_no_graph_asks_no_store(alice: Counted) -> None:
    store = alice.user.graph.store
    before = store.round_trips
    assert await alice.user.call("nothing") == 1
    assert store.round_trips == before

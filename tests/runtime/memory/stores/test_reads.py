"""What every store answers to a reader."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import store_scenes as scenes
from jacfn_runtime.memory.store import ChangeSet, Edge, Store, Update


def test_a_created_node_is_read_back_as_it_was(store: Store) -> None:
    item = scenes.node(owner="a" * 32, name="Widget", price=9.99, tags=["a", "b"], nested={"x": {"y": [1, None, True]}})
    scenes.create(store, item)
    assert scenes.read_node(store, item) == item


def test_a_created_edge_is_read_back_as_it_was(store: Store) -> None:
    one, other = scenes.node(), scenes.node()
    link = scenes.edge(one, other, type="main.Likes", undirected=True, weight=3)
    scenes.create(store, one, other, link)
    assert scenes.read_edge(store, link.id) == link


HARD_VALUES = [
    2**31, 2**63, -(2**70), 1.0, -0.0, float("nan"), float("inf"), "", "\0", "\ud800", "jacfn:json",
    {"$set": 1}, {"a.b": 1}, {"": 1}, {"a\0b": 1}, {"$ref": "x", "$id": 1}, {"jacfn:json": 1}, {"\ud800": 1},
    [], {}, [[[]]], [2**40, {"n": 2**40}], None, True,
]  # fmt: skip


def test_every_json_value_survives_as_a_field(store: Store) -> None:
    fields = {f"value{n}": value for n, value in enumerate(HARD_VALUES)}
    item = scenes.node(**fields)
    scenes.create(store, item)
    assert scenes.same(scenes.read_node(store, item).fields, fields)
    changed = {f"value{n}": value for n, value in enumerate(reversed(HARD_VALUES))}
    store.commit(ChangeSet(updated_nodes=(Update(item.id, 0, changed),)))
    assert scenes.same(scenes.read_node(store, item).fields, changed)


def test_deep_nesting_survives(store: Store) -> None:
    value: object = 1
    for _ in range(150):
        value = [value]
    item = scenes.node(value=value)
    scenes.create(store, item)
    assert scenes.read_node(store, item).fields["value"] == value


def test_every_field_name_survives(store: Store) -> None:
    names = ("a.b", "$a", "", "%", "größe", "a b")
    item = scenes.node(**dict.fromkeys(names, 1))
    scenes.create(store, item)
    store.commit(ChangeSet(updated_nodes=(Update(item.id, 0, dict.fromkeys(names, 2)),)))
    assert scenes.read_node(store, item).fields == dict.fromkeys(names, 2)


def test_what_does_not_exist_is_absent(store: Store) -> None:
    item = scenes.node()
    scenes.create(store, item)
    unknown = scenes.new_id()
    assert scenes.read_nodes(store, item, unknown).keys() == {item.id}
    assert scenes.read_edges(store, item, unknown).keys() == {item.id}
    assert scenes.read_edge(store, unknown) is None


def test_asking_for_nothing_answers_nothing(store: Store) -> None:
    reader = store.reader()
    assert (reader.nodes([]), reader.edges([]), reader.edges_by_id([])) == ({}, {}, {})
    reader.close()


def test_an_adjacency_has_the_edges_of_both_directions_in_the_order_of_their_creation(store: Store) -> None:
    hub, one, other = scenes.node(), scenes.node(), scenes.node()
    links = [scenes.edge(hub, one), scenes.edge(other, hub), scenes.edge(hub, other), scenes.edge(hub, one)]
    scenes.create(store, hub, one, other, *reversed(links))
    assert scenes.read_adjacency(store, hub).edges == tuple(links)
    assert scenes.read_adjacency(store, one).edges == (links[0], links[3])


def test_an_edge_from_a_node_to_itself_appears_once(store: Store) -> None:
    hub = scenes.node()
    loop = scenes.edge(hub, hub)
    scenes.create(store, hub, loop)
    assert scenes.read_adjacency(store, hub).edges == (loop,)


def test_the_edges_of_many_nodes_come_at_once_and_sorted_to_each(store: Store) -> None:
    hub = scenes.node()
    leaves = [scenes.node() for _ in range(30)]
    links = [scenes.edge(hub, leaf) for leaf in leaves]
    scenes.create(store, hub, *leaves, *links)
    found = scenes.read_edges(store, hub, *leaves)
    assert found[hub.id].edges == tuple(links)
    assert [found[leaf.id].edges for leaf in leaves] == [(link,) for link in links]


def test_nodes_of_one_type_are_found(store: Store) -> None:
    items = [scenes.node("main.Item"), scenes.node("main.Item")]
    scenes.create(store, *items, scenes.node("main.ItemList"))
    reader = store.reader()
    assert reader.nodes_of_type("main.Item") == {item.id: item for item in items}
    reader.close()


@pytest.mark.parametrize("count", [1, 12, 300])
def test_the_number_of_round_trips_does_not_depend_on_the_number_of_documents(store: Store, count: int) -> None:
    hub = scenes.node()
    leaves = [scenes.node(name=f"leaf {n}") for n in range(count)]
    scenes.create(store, hub, *leaves, *(scenes.edge(hub, leaf) for leaf in leaves))
    reader = store.reader(fresh=True)
    reader.nodes([hub.id])
    before = store.round_trips
    ends = [link.target for link in reader.edges([hub.id])[hub.id].edges]
    assert store.round_trips == before + 1
    assert len(reader.nodes(ends)) == count
    assert store.round_trips == before + 2
    reader.close()


def test_a_fresh_reader_sees_one_snapshot_however_much_is_committed_meanwhile(store: Store) -> None:
    one, other = scenes.node(n=0), scenes.node(n=0)
    scenes.create(store, one, other)
    reader = store.reader(fresh=True)
    assert reader.nodes([one.id])[one.id].fields == {"n": 0}
    link = scenes.edge(one, other)
    store.commit(ChangeSet(updated_nodes=(Update(one.id, 0, {"n": 1}), Update(other.id, 0, {"n": 1})), created_edges=(link,)))
    assert reader.nodes([other.id])[other.id].fields == {"n": 0}
    assert reader.edges([one.id, other.id])[other.id].edges == ()
    assert reader.edges_by_id([link.id]) == {}
    assert reader.confirm()
    reader.close()
    assert scenes.read_node(store, other).fields == {"n": 1}


def test_a_reader_that_was_closed_without_a_read_is_no_problem(store: Store) -> None:
    reader = store.reader()
    assert reader.confirm()
    reader.close()
    reader.close()


def test_another_process_reads_what_was_committed(store: Store, open_store: Callable[[], Store]) -> None:
    item = scenes.node(name="here")
    scenes.create(store, item)
    assert scenes.read_node(open_store(), item) == item


def test_types_are_counted(store: Store) -> None:
    one, other = scenes.node("main.A"), scenes.node("main.B")
    scenes.create(store, one, other, scenes.node("main.B"), scenes.edge(one, other, type="main.E"))
    assert store.count_by_type() == {"main.A": 1, "main.B": 2, "main.E": 1}


def test_a_sound_graph_has_no_dangling_edges(store: Store) -> None:
    one, other = scenes.node(), scenes.node()
    scenes.create(store, one, other, scenes.edge(one, other))
    assert store.dangling_edges() == []
    assert isinstance(scenes.edge(one, other), Edge)


def test_a_store_that_answers_is_healthy(store: Store) -> None:
    assert store.health() == "ok"

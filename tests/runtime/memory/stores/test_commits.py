"""What every store makes of a change set: all of it or nothing, against the versions that it was built on."""

from __future__ import annotations

import pytest

import store_scenes as scenes
from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.store import ChangeSet, Store, Update


@pytest.fixture
def pair(store: Store) -> tuple[str, str]:
    """Two nodes, a and b, without edges."""
    a, b = scenes.node(n=0, name="a"), scenes.node(n=0, name="b")
    scenes.create(store, a, b)
    return a.id, b.id


def test_an_update_sets_its_fields_keeps_the_others_and_counts_the_version(store: Store, pair: tuple[str, str]) -> None:
    store.commit(ChangeSet(updated_nodes=(Update(pair[0], 0, {"n": 1, "new": [1]}),)))
    found = scenes.read_node(store, pair[0])
    assert (found.fields, found.version) == ({"n": 1, "name": "a", "new": [1]}, 1)


def test_an_update_may_change_access_owner_and_type(store: Store, pair: tuple[str, str]) -> None:
    access = {"all": 0, "roots": {"anchors": {"f" * 32: 2}}}
    store.commit(ChangeSet(updated_nodes=(Update(pair[0], 0, access=access, owner="e" * 32, type="main.Other"),)))
    found = scenes.read_node(store, pair[0])
    assert (found.access, found.owner, found.type, found.fields["n"]) == (access, "e" * 32, "main.Other", 0)


def test_an_update_of_an_edge_counts_its_version(store: Store, pair: tuple[str, str]) -> None:
    link = scenes.edge(*pair, weight=1)
    scenes.create(store, link)
    store.commit(ChangeSet(updated_edges=(Update(link.id, 0, {"weight": 2}),)))
    found = scenes.read_edge(store, link.id)
    assert found is not None
    assert (found.fields, found.version) == ({"weight": 2}, 1)
    assert scenes.read_adjacency(store, pair[0]).edges == (found,)


@pytest.mark.parametrize(
    "stale",
    [
        lambda a, b: ChangeSet(updated_nodes=(Update(a, 0, {"n": 9}),)),
        lambda a, b: ChangeSet(deleted_nodes={a: 0}),
        lambda a, b: ChangeSet(updated_nodes=(Update(b, 0, {"n": 9}),), relied_nodes={a: 0}),
        lambda a, b: ChangeSet(created_nodes=(scenes.node(),), relied_nodes={a: 0}),
        lambda a, b: ChangeSet(created_edges=(scenes.edge(a, b),), relied_nodes={a: 0}),
        lambda a, b: ChangeSet(deleted_nodes={b: 0}, relied_nodes={a: 0}),
        lambda a, b: ChangeSet(marks={"m": "1"}, relied_nodes={a: 0}),
    ],
    ids=["update", "delete", "update of another", "creation", "append", "delete of another", "mark"],
)
def test_what_rests_on_an_old_version_of_a_node_conflicts_and_writes_nothing(store: Store, pair: tuple[str, str], stale) -> None:  # type: ignore[no-untyped-def]
    a, b = pair
    store.commit(ChangeSet(updated_nodes=(Update(a, 0, {"n": 1}),)))
    before = store.count_by_type()
    with pytest.raises(Conflict) as conflict:
        store.commit(stale(a, b))
    assert conflict.value.ids == {a}
    found = scenes.read_nodes(store, a, b)
    assert (found[a].fields["n"], found[b].fields["n"]) == (1, 0)
    assert store.count_by_type() == before
    assert scenes.read_adjacency(store, a).edges == ()
    assert store.mark("m") is None


def test_what_rests_on_an_old_set_of_edges_conflicts(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    scenes.create(store, scenes.edge(a, b))
    for stale in (
        ChangeSet(created_edges=(scenes.edge(a, b),), relied_edges={a: 0}),
        ChangeSet(updated_nodes=(Update(b, 0, {"n": 9}),), relied_edges={a: 0}),
        ChangeSet(updated_nodes=(Update(a, 0, {"n": 9}),), relied_edges={a: 0}),
        ChangeSet(deleted_nodes={a: 0}, relied_edges={a: 0}),
        ChangeSet(created_nodes=(scenes.node(),), relied_edges={a: 1, b: 0}),
    ):
        with pytest.raises(Conflict):
            store.commit(stale)
    store.commit(ChangeSet(created_edges=(scenes.edge(a, b),), relied_edges={a: 1, b: 1}))


def test_what_rests_on_an_old_version_of_an_edge_conflicts(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    link = scenes.edge(a, b, weight=1)
    scenes.create(store, link)
    store.commit(ChangeSet(updated_edges=(Update(link.id, 0, {"weight": 2}),)))
    for stale in (
        ChangeSet(updated_edges=(Update(link.id, 0, {"weight": 9}),)),
        ChangeSet(deleted_edges={link.id: link}),
        ChangeSet(created_nodes=(scenes.node(),), relied_edge_fields={link.id: 0}),
    ):
        with pytest.raises(Conflict):
            store.commit(stale)
    store.commit(ChangeSet(created_nodes=(scenes.node(),), relied_edge_fields={link.id: 1}))


def test_an_append_disturbs_nobody_who_reads_only_fields_and_the_other_way_round(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    scenes.create(store, scenes.edge(a, b))
    store.commit(ChangeSet(updated_nodes=(Update(a, 0, {"n": 1}),), relied_nodes={b: 0}))
    store.commit(ChangeSet(created_edges=(scenes.edge(a, b),), relied_edges={a: 1}))
    assert scenes.read_node(store, a).version == 1
    assert scenes.read_adjacency(store, a).edges_version == 2


def test_blind_appends_that_were_built_on_the_same_state_all_merge(store: Store, pair: tuple[str, str]) -> None:
    links = [scenes.edge(*pair) for _ in range(5)]
    for link in links:
        scenes.create(store, link)
    for end in pair:
        found = scenes.read_adjacency(store, end)
        assert (found.edges, found.edges_version) == (tuple(links), 5)


def test_one_commit_counts_the_edges_version_once_however_many_edges_it_brings(store: Store, pair: tuple[str, str]) -> None:
    hub = scenes.node()
    scenes.create(store, hub, scenes.edge(*pair), scenes.edge(*pair), scenes.edge(hub, pair[0]))
    assert [scenes.read_adjacency(store, each).edges_version for each in (*pair, hub)] == [1, 1, 1]
    assert scenes.read_node(store, pair[0]).version == 0


def test_relying_on_something_changes_no_version(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    link = scenes.edge(a, b)
    scenes.create(store, link)
    relied = {"relied_nodes": {a: 0, b: 0}, "relied_edges": {a: 1, b: 1}, "relied_edge_fields": {link.id: 0}}
    for _ in range(2):
        store.commit(ChangeSet(created_nodes=(scenes.node(),), **relied))
    assert scenes.read_node(store, a).version == 0
    assert scenes.read_adjacency(store, a).edges_version == 1


def test_relying_on_a_node_that_is_gone_conflicts(store: Store, pair: tuple[str, str]) -> None:
    with pytest.raises(Conflict):
        store.commit(ChangeSet(updated_nodes=(Update(pair[0], 0, {"n": 1}),), relied_nodes={scenes.new_id(): 0}))


def test_a_change_set_that_writes_nothing_checks_nothing_and_asks_nothing(store: Store, pair: tuple[str, str]) -> None:
    before = store.round_trips
    store.commit(ChangeSet(relied_nodes={pair[0]: 99}))
    assert store.round_trips == before


def test_without_guard_only_what_is_written_is_checked(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    link = scenes.edge(a, b)
    scenes.create(store, link)
    store.commit(
        ChangeSet(
            updated_nodes=(Update(a, 0, {"n": 1}),),
            created_edges=(scenes.edge(a, b),),
            relied_nodes={b: 99},
            relied_edges={a: 99},
            relied_edge_fields={link.id: 99},
        ),
        guard=False,
    )
    with pytest.raises(Conflict):
        store.commit(ChangeSet(updated_nodes=(Update(a, 0, {"n": 2}),)), guard=False)


def test_an_id_that_exists_is_never_created_again(store: Store, pair: tuple[str, str]) -> None:
    link = scenes.edge(*pair)
    scenes.create(store, link)
    with pytest.raises(Conflict):
        scenes.create(store, scenes.node(id=pair[0], name="another"), scenes.node())
    with pytest.raises(Conflict):
        scenes.create(store, link, scenes.node())
    assert scenes.read_node(store, pair[0]).fields["name"] == "a"
    assert store.count_by_type() == {"jac.Edge": 1, "main.Item": 2}


def test_a_mark_is_set_once(store: Store) -> None:
    assert store.mark("seed/1") is None
    store.commit(ChangeSet(marks={"seed/1": "then"}))
    with pytest.raises(Conflict):
        store.commit(ChangeSet(marks={"seed/1": "now"}, created_nodes=(scenes.node(),)))
    assert store.mark("seed/1") == "then"
    assert store.count_by_type() == {}


def test_deleting_an_edge_tells_both_its_ends(store: Store, pair: tuple[str, str]) -> None:
    link = scenes.edge(*pair)
    scenes.create(store, link)
    store.commit(ChangeSet(deleted_edges={link.id: link}))
    for end in pair:
        assert scenes.read_adjacency(store, end).edges == ()
        assert scenes.read_adjacency(store, end).edges_version == 2
    with pytest.raises(Conflict):
        store.commit(ChangeSet(deleted_edges={link.id: link}))


def test_deleting_a_node_deletes_every_edge_at_it_also_those_that_nobody_saw(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    unseen = [scenes.edge(a, b), scenes.edge(b, a), scenes.edge(a, a)]
    scenes.create(store, *unseen)
    store.commit(ChangeSet(deleted_nodes={a: 0}))
    assert scenes.read_nodes(store, a, b).keys() == {b}
    assert scenes.read_edges(store, a, b).keys() == {b}
    assert scenes.read_adjacency(store, b).edges == ()
    assert scenes.read_adjacency(store, b).edges_version == 2
    assert store.dangling_edges() == []


def test_deleting_a_node_conflicts_with_whoever_traversed_the_edges_at_its_neighbours(
    store: Store, pair: tuple[str, str]
) -> None:
    a, b = pair
    scenes.create(store, scenes.edge(a, b))
    store.commit(ChangeSet(deleted_nodes={a: 0}))
    with pytest.raises(Conflict):
        store.commit(ChangeSet(updated_nodes=(Update(b, 0, {"n": 1}),), relied_edges={b: 1}))


def test_a_node_may_go_together_with_its_edges_and_its_neighbour(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    link = scenes.edge(a, b)
    scenes.create(store, link, scenes.edge(b, a))
    store.commit(
        ChangeSet(
            deleted_nodes={a: 0, b: 0},
            deleted_edges={link.id: link},
            relied_nodes={a: 0, b: 0},
            relied_edges={a: 1, b: 1},
            relied_edge_fields={link.id: 0},
        )
    )
    assert store.count_by_type() == {}


def test_an_append_to_a_node_that_is_gone_conflicts(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    store.commit(ChangeSet(deleted_nodes={a: 0}))
    with pytest.raises(Conflict):
        scenes.create(store, scenes.node(), scenes.edge(b, a))
    assert store.count_by_type() == {"main.Item": 1}


def test_everything_at_once(store: Store, pair: tuple[str, str]) -> None:
    a, b = pair
    old, kept = scenes.edge(a, b), scenes.edge(b, a, weight=1)
    doomed = scenes.node()
    scenes.create(store, old, kept, doomed, scenes.edge(doomed, b))
    new = scenes.node(name="new")
    store.commit(
        ChangeSet(
            created_nodes=(new,),
            created_edges=(scenes.edge(a, new), scenes.edge(new, b)),
            updated_nodes=(Update(a, 0, {"n": 5}),),
            updated_edges=(Update(kept.id, 0, {"weight": 2}),),
            deleted_nodes={doomed.id: 0},
            deleted_edges={old.id: old},
            relied_nodes={b: 0},
            relied_edges={a: 1, b: 1},
            marks={"done": "yes"},
        )
    )
    assert scenes.read_node(store, a).fields["n"] == 5
    assert [each.target for each in scenes.read_adjacency(store, a).edges] == [a, new.id]
    assert [each.source for each in scenes.read_adjacency(store, b).edges] == [b, new.id]
    assert store.dangling_edges() == []
    assert store.mark("done") == "yes"


@pytest.mark.parametrize("count", [1, 200])
def test_the_round_trips_of_a_commit_do_not_depend_on_its_size(store: Store, pair: tuple[str, str], count: int) -> None:
    leaves = [scenes.node() for _ in range(count)]
    scenes.create(store, *leaves)
    before = store.round_trips
    store.commit(
        ChangeSet(
            created_nodes=tuple(scenes.node() for _ in range(count)),
            created_edges=tuple(scenes.edge(pair[0], leaf) for leaf in leaves),
            relied_nodes={leaf.id: 0 for leaf in leaves},
            relied_edges={pair[1]: 0},
        )
    )
    assert store.round_trips - before <= 4

"""Small graphs in plain store data, and the ways to open each store that the conformance suite runs against."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from typing import Any

from jacfn_runtime.memory.store import Adjacency, ChangeSet, Edge, Node, Store

_order = itertools.count()


def new_id() -> str:
    return secrets.token_hex(16)


def node(type: str = "main.Item", *, id: str | None = None, owner: str | None = None, **fields: Any) -> Node:
    return Node(id or new_id(), type, owner, {"all": -1}, fields)


def edge(source: str | Node, target: str | Node, *, type: str = "jac.Edge", undirected: bool = False, **fields: Any) -> Edge:
    ends = [end.id if isinstance(end, Node) else end for end in (source, target)]
    return Edge(new_id(), type, ends[0], ends[1], undirected, None, {}, fields, f"{next(_order):08x}")


def create(store: Store, *documents: Node | Edge) -> None:
    """All of them in one commit."""
    nodes = tuple(each for each in documents if isinstance(each, Node))
    edges = tuple(each for each in documents if isinstance(each, Edge))
    store.commit(ChangeSet(created_nodes=nodes, created_edges=edges))


def read_nodes(store: Store, *ids: str | Node, fresh: bool = False) -> dict[str, Node]:
    """What a request of its own sees."""
    reader = store.reader(fresh=fresh)
    try:
        found = reader.nodes([each.id if isinstance(each, Node) else each for each in ids])
        assert reader.confirm()
        return found
    finally:
        reader.close()


def read_node(store: Store, id: str | Node, *, fresh: bool = False) -> Node:
    (found,) = read_nodes(store, id, fresh=fresh).values()
    return found


def read_edges(store: Store, *ids: str | Node, fresh: bool = False) -> dict[str, Adjacency]:
    reader = store.reader(fresh=fresh)
    try:
        found = reader.edges([each.id if isinstance(each, Node) else each for each in ids])
        assert reader.confirm()
        return found
    finally:
        reader.close()


def read_adjacency(store: Store, id: str | Node, *, fresh: bool = False) -> Adjacency:
    (found,) = read_edges(store, id, fresh=fresh).values()
    return found


def read_edge(store: Store, id: str) -> Edge | None:
    reader = store.reader()
    try:
        return reader.edges_by_id([id]).get(id)
    finally:
        reader.close()


def same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Equal, with NaN equal to itself and integers not taken for floats."""
    return repr(found) == repr(expected)

"""How nodes and edges lie in SQLite's tables. JSON as the standard library writes it: it keeps NaN and lone surrogates."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

import msgspec

from jacfn_runtime.memory.errors import FormatTooNew
from jacfn_runtime.memory.store import FORMAT, Edge, Node

NODE = "format, id, type, owner, access, fields, version, edges_version"
EDGE = 'format, id, type, source, target, undirected, owner, access, fields, "order", version'

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS nodes (
        id TEXT PRIMARY KEY, type TEXT NOT NULL, owner TEXT, access TEXT NOT NULL, fields TEXT NOT NULL,
        version INTEGER NOT NULL, edges_version INTEGER NOT NULL, format INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS edges (
        id TEXT PRIMARY KEY, type TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, undirected INTEGER NOT NULL,
        owner TEXT, access TEXT NOT NULL, fields TEXT NOT NULL, "order" TEXT NOT NULL,
        version INTEGER NOT NULL, format INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS nodes_type ON nodes (type)",
    "CREATE INDEX IF NOT EXISTS edges_source ON edges (source)",
    "CREATE INDEX IF NOT EXISTS edges_target ON edges (target)",
    "CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
)


def id_list(ids: Collection[str]) -> str:
    """Any number of ids as one parameter, for json_each: a statement's own parameters are limited."""
    return json.dumps(list(ids))


def to_json(value: Mapping[str, Any]) -> str:
    """A stored mapping's text."""
    return json.dumps(value, separators=(",", ":"))


def from_json(text: str) -> Mapping[str, Any]:
    """Inverse of `to_json`. Most edges have no fields and most documents no permissions: those cost nothing."""
    if text == "{}":
        return {}
    try:
        return cast(Mapping[str, Any], msgspec.json.decode(text))
    except msgspec.DecodeError:  # not a number, a lone surrogate
        return cast(Mapping[str, Any], json.loads(text))


def node_row(node: Node, edges_version: int) -> tuple[Any, ...]:
    """The row of a node that is created; columns as in NODE."""
    return (FORMAT, node.id, node.type, node.owner, to_json(node.access), to_json(node.fields), node.version, edges_version)


def edge_row(edge: Edge) -> tuple[Any, ...]:
    """The row of an edge that is created; columns as in EDGE."""
    return (
        FORMAT, edge.id, edge.type, edge.source, edge.target, int(edge.undirected), edge.owner,
        to_json(edge.access), to_json(edge.fields), edge.order, edge.version,
    )  # fmt: skip


def to_node(row: tuple[Any, ...]) -> Node:
    """A row of NODE's columns as a node. Raises FormatTooNew."""
    stored_format, node_id, kind, owner, access, fields, version, edges_version = row
    if stored_format > FORMAT:
        raise FormatTooNew(stored_format, FORMAT)
    return Node(node_id, kind, owner, from_json(access), from_json(fields), version, edges_version)


def to_edge(row: tuple[Any, ...]) -> Edge:
    """A row of EDGE's columns as an edge. Raises FormatTooNew."""
    stored_format, edge_id, kind, source, target, undirected, owner, access, fields, order, version = row
    if stored_format > FORMAT:
        raise FormatTooNew(stored_format, FORMAT)
    return Edge(edge_id, kind, source, target, bool(undirected), owner, from_json(access), from_json(fields), order, version)

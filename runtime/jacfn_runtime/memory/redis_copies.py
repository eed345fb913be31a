"""What lies in Redis and under which names: nodes (`n:<id>`) and the edges at a node (`e:<node id>`), as JSON. Pure.

Never pickle: whoever can write to Redis must not be able to run code here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jacfn_runtime.memory.redis_scripts import STAMP_LENGTH
from jacfn_runtime.memory.store import Adjacency, ChangeSet, Edge, Node
from jacfn_runtime.memory.writes import edge_ends

Copied = type[Node] | type[Adjacency]
LARGEST = 8 * 2**20  # bytes; a copy that is larger would hold up everybody in Redis while it travels


def name_of(kind: Copied, node_id: str) -> str:
    """The name of a copy."""
    return f"n:{node_id}" if kind is Node else f"e:{node_id}"


def changed_names(changes: ChangeSet, more_ends: Collection[str]) -> list[str]:
    """The names of every copy that a commit makes wrong. What it creates has none yet.

    `more_ends`: ends of updated edges, and of edges at deleted nodes.
    """
    created = {node.id for node in changes.created_nodes}
    names = {name_of(Node, update.id) for update in changes.updated_nodes}
    names |= {name_of(Node, node_id) for node_id in changes.deleted_nodes}
    names |= {name_of(Adjacency, end) for end in (edge_ends(changes) | {*more_ends, *changes.deleted_nodes}) - created}
    return sorted(names)


def to_copy(document: Node | Adjacency) -> bytes | None:
    """A document as it lies in Redis; None if it is too large."""
    if isinstance(document, Node):
        plain: list[Any] = [
            document.id, document.type, document.owner, document.access, document.fields,
            document.version, document.edges_version,
        ]  # fmt: skip
    else:
        plain = [document.edges_version, [_plain_edge(edge) for edge in document.edges]]
    copy = json.dumps(plain, separators=(",", ":")).encode()
    return copy if len(copy) <= LARGEST else None


def from_copies[Document: (Node, Adjacency)](kind: type[Document], copies: Mapping[str, bytes]) -> dict[str, Document]:
    """The documents in these copies, by the node's id. One parse for all of them: each by itself takes twice the time."""
    plain = json.loads(b"[" + b",".join(copy[STAMP_LENGTH:] for copy in copies.values()) + b"]")
    make: Callable[[list[Any]], Any] = _to_node if kind is Node else _to_adjacency
    return {name[2:]: make(each) for name, each in zip(copies, plain, strict=True)}


def _to_node(plain: list[Any]) -> Node:
    return Node(*plain)


def _to_adjacency(plain: list[Any]) -> Adjacency:
    return Adjacency(plain[0], tuple(Edge(*edge) for edge in plain[1]))


def _plain_edge(edge: Edge) -> list[Any]:
    return [
        edge.id, edge.type, edge.source, edge.target, edge.undirected, edge.owner, edge.access, edge.fields,
        edge.order, edge.version,
    ]  # fmt: skip

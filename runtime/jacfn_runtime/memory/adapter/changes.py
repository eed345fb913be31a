"""What a finished attempt wants to be true: its working set against what was read, as one ChangeSet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jaclang.jac0core.archetype import AccessLevel, EdgeAnchor, NodeAnchor, Root

from jacfn_runtime.memory.adapter import access, classes, values
from jacfn_runtime.memory.adapter.anchors import StoredEdge, StoredNode, key, stored_permission
from jacfn_runtime.memory.adapter.context import Context
from jacfn_runtime.memory.adapter.memory import Memory
from jacfn_runtime.memory.store import ChangeSet, Edge, Node, Update


def collect(context: Context, marks: Mapping[str, str] | None = None) -> ChangeSet:
    """The change set of this attempt.

    Raises AccessDenied for a changed field that is not the caller's to write, Unstorable for a value that no store can keep.
    """
    memory = context.mem
    nodes, edges = _made(memory)
    updated_nodes = _updates(context, (node for node in memory.nodes.values() if node.key not in memory.deleted))
    updated_edges = _updates(context, (edge for edge in memory.edges.values() if not _falls(memory, edge)))
    deleted_nodes = {each: memory.nodes[each].version for each in memory.deleted if each in memory.nodes}
    deleted_edges = {each: memory.edges[each].document for each in memory.deleted if each in memory.edges}
    return ChangeSet(
        created_nodes=tuple(_node(anchor) for anchor in nodes),
        created_edges=tuple(_edge(anchor) for anchor in edges),
        updated_nodes=updated_nodes,
        updated_edges=updated_edges,
        deleted_nodes=deleted_nodes,
        deleted_edges=deleted_edges,
        relied_nodes=_without(memory.relied_nodes, updated_nodes, deleted_nodes),
        relied_edges=dict(memory.relied_edges),  # also of deleted nodes: one that was found empty must still be
        relied_edge_fields=_without(memory.relied_edge_fields, updated_edges, deleted_edges),
        marks=marks or {},
    )


def _without(relied: Mapping[str, int], updates: Iterable[Update], deleted: Mapping[str, Any]) -> dict[str, int]:
    """What has to be checked on top of what is written: a write checks its own version."""
    written = deleted.keys() | {update.id for update in updates}
    return {each: version for each, version in relied.items() if each not in written}


def _made(memory: Memory) -> tuple[list[Any], list[Any]]:
    """New nodes, and new edges whose both ends are still there."""
    new = [each for each in memory.anchors.values() if not isinstance(each, StoredNode | StoredEdge) and each.persistent]
    edges = [each for each in new if isinstance(each, EdgeAnchor) and not _falls(memory, each)]
    ends = {key(end) for edge in edges for end in (edge.source, edge.target)}
    # As in jaclang, a new node that nothing leads to is not kept.
    nodes = [each for each in new if isinstance(each, NodeAnchor) and (key(each) in ends or isinstance(each.archetype, Root))]
    return nodes, edges


def _falls(memory: Memory, edge: Any) -> bool:
    """Whether an edge is deleted, or goes with the node at one of its ends."""
    return any(key(each) in memory.deleted for each in (edge, edge.source, edge.target))


def _node(anchor: Any) -> Node:
    shape = classes.shape(type(anchor.archetype))
    fields = values.encode_fields(anchor.archetype, shape.fields)
    return Node(key(anchor), shape.name, _hex(anchor.root), stored_permission(anchor.access), fields)


def _edge(anchor: Any) -> Edge:
    shape = classes.shape(type(anchor.archetype))
    return Edge(
        id=key(anchor),
        type=shape.name,
        source=key(anchor.source),
        target=key(anchor.target),
        undirected=anchor.is_undirected,
        owner=_hex(anchor.root),
        access=stored_permission(anchor.access),
        fields=values.encode_fields(anchor.archetype, shape.fields),
        order=anchor.__dict__["order"],
    )


def _hex(root: Any) -> str | None:
    return root.hex if root else None


def _updates(context: Context, anchors: Iterable[StoredNode | StoredEdge]) -> tuple[Update, ...]:
    """Changed fields and permissions of what was read. Only what changed is written: the rest merges."""
    updates = []
    for anchor in list(anchors):  # a demand may read the owner, who then is in memory as well
        fields = {} if anchor.snapshot is None else values.changed_fields(anchor.archetype, anchor.snapshot)
        granted = stored_permission(anchor.access) if "access" in anchor.__dict__ else None
        if granted is not None and granted == anchor.granted:
            granted = None
        if fields or granted is not None:
            access.demand(context, anchor, AccessLevel.WRITE, "field_write")
            updates.append(Update(anchor.key, anchor.document.version, set_fields=fields, access=granted))
    return tuple(updates)

"""What a finished attempt wants to be true: its working set against what was read, as one ChangeSet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaclang.jac0core.archetype import AccessLevel, EdgeAnchor, NodeAnchor, Root

from jacfn_runtime.memory.adapter import access, classes, values
from jacfn_runtime.memory.adapter.context import Context
from jacfn_runtime.memory.adapter.memory import Memory, stored_permission
from jacfn_runtime.memory.store import ChangeSet, Edge, Node, Update


def collect(context: Context, marks: Mapping[str, str] | None = None) -> ChangeSet:
    """The change set of this attempt. Raises AccessDenied for a changed field that is not the caller's to write, Unstorable for
    a value that no store can keep."""
    memory = context.mem
    edges = _new_edges(memory)
    ends = {end.id.hex for edge in edges for end in (edge.source, edge.target)}
    nodes = [
        anchor
        for key, anchor in memory.anchors.items()
        # As in jaclang, a new node that nothing leads to is not kept.
        if isinstance(anchor, NodeAnchor) and _is_new(anchor) and (key in ends or isinstance(anchor.archetype, Root))
    ]
    updated_nodes, updated_edges = _updates(context, memory.nodes), _updates(context, memory.edges)
    deleted_nodes = {key: memory.nodes[key].version for key in memory.deleted if key in memory.nodes}
    written = deleted_nodes.keys() | {update.id for update in updated_nodes}
    return ChangeSet(
        created_nodes=tuple(_node(anchor) for anchor in nodes),
        created_edges=tuple(_edge(anchor) for anchor in edges),
        updated_nodes=updated_nodes,
        updated_edges=updated_edges,
        deleted_nodes=deleted_nodes,
        deleted_edges={key: memory.edges[key] for key in memory.deleted if key in memory.edges},
        relied_nodes={key: version for key, version in memory.relied_nodes.items() if key not in written},
        relied_edges={key: version for key, version in memory.relied_edges.items() if key not in deleted_nodes},
        relied_edge_fields={
            key: version
            for key, version in memory.relied_edge_fields.items()
            if key not in memory.deleted and all(update.id != key for update in updated_edges)
        },
        marks=marks or {},
    )


def _is_new(anchor: Any) -> bool:
    return bool(anchor.is_populated() and anchor.hash == 0 and anchor.persistent)


def _new_edges(memory: Memory) -> list[Any]:
    """New edges whose both ends are still there, in the order of their making."""
    edges = [each for each in memory.anchors.values() if isinstance(each, EdgeAnchor) and _is_new(each)]
    return [each for each in edges if not {each.source.id.hex, each.target.id.hex} & memory.deleted.keys()]


def _node(anchor: Any) -> Node:
    shape = classes.shape(type(anchor.archetype))
    fields = values.encode_fields(anchor.archetype, shape.fields)
    return Node(anchor.id.hex, shape.name, _hex(anchor.root), stored_permission(anchor.access), fields)


def _edge(anchor: Any) -> Edge:
    shape = classes.shape(type(anchor.archetype))
    return Edge(
        id=anchor.id.hex,
        type=shape.name,
        source=anchor.source.id.hex,
        target=anchor.target.id.hex,
        undirected=anchor.is_undirected,
        owner=_hex(anchor.root),
        access=stored_permission(anchor.access),
        fields=values.encode_fields(anchor.archetype, shape.fields),
        order=anchor.__dict__["order"],
    )


def _hex(root: Any) -> str | None:
    return root.hex if root else None


def _updates(context: Context, stored: Mapping[str, Node] | Mapping[str, Edge]) -> tuple[Update, ...]:
    """Changed fields and permissions of what was read and is still there. Only what changed is written: the rest merges."""
    memory = context.mem
    updates = []
    for key, document in stored.items():
        anchor = memory.anchors.get(key)
        if anchor is None or (isinstance(document, Edge) and {document.source, document.target} & memory.deleted.keys()):
            continue
        changed = _changed_fields(memory, key, anchor)
        granted = stored_permission(anchor.access)
        new_access = None if granted == memory.permissions[key] else granted
        if changed or new_access is not None:
            access.demand(context, anchor, AccessLevel.WRITE, "field_write")
            updates.append(Update(key, document.version, set_fields=changed, access=new_access))
    return tuple(updates)


def _changed_fields(memory: Memory, key: str, anchor: Any) -> dict[str, Any]:
    before = memory.snapshots.get(key)
    if before is None:
        return {}
    now = values.encode_fields(anchor.archetype, classes.shape(type(anchor.archetype)).fields)
    return {name: value for name, value in now.items() if name not in before or not _same(before[name], value)}


def _same(before: Any, now: Any) -> bool:
    # 1, 1.0 and True are equal in Python and not the same in a store; not-a-number is itself and not equal to itself.
    return before is now or (type(before) is type(now) and bool(before == now))

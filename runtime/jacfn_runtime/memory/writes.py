"""What a change set means for each stored node: the part of a commit that every store derives in the same way. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jacfn_runtime.memory.store import ChangeSet, Update


@dataclass(frozen=True, slots=True)
class NodeWrite:
    """What one commit checks of one node that is there already, and does to it."""

    id: str
    version: int | None  # has to be the stored one; None: not checked
    edges_version: int | None  # likewise
    update: Update | None
    edges_changed: bool  # edges_version is incremented, once, however many edges come and go

    @property
    def relied_only(self) -> bool:
        """Whether the node is checked and not changed: a guard."""
        return self.update is None and not self.edges_changed


def node_writes(changes: ChangeSet, guard: bool, more_ends: Iterable[str] = ()) -> dict[str, NodeWrite]:
    """Everything that the commit checks and changes at nodes that it neither creates nor deletes, by node id.

    `more_ends`: ends of edges that go because the node at their other end is deleted: only the store knows them.
    """
    updates = {update.id: update for update in changes.updated_nodes}
    ends = edge_ends(changes) | set(more_ends)
    relied_nodes = changes.relied_nodes if guard else {}
    relied_edges = changes.relied_edges if guard else {}
    own = {node.id for node in changes.created_nodes} | set(changes.deleted_nodes)
    writes = {}
    for node_id in (updates.keys() | ends | relied_nodes.keys() | relied_edges.keys()) - own:
        update = updates.get(node_id)
        version = update.version if update else relied_nodes.get(node_id)
        writes[node_id] = NodeWrite(node_id, version, relied_edges.get(node_id), update, node_id in ends)
    return writes


def edge_checks(changes: ChangeSet, guard: bool) -> dict[str, int]:
    """The version that each edge has to have which the commit changes, deletes or relied on, by edge id."""
    checks = dict(changes.relied_edge_fields) if guard else {}
    checks |= {edge.id: edge.version for edge in changes.deleted_edges.values()}
    checks |= {update.id: update.version for update in changes.updated_edges}
    for edge in changes.created_edges:
        checks.pop(edge.id, None)
    return checks


def edge_ends(changes: ChangeSet) -> set[str]:
    """The nodes at which the change set itself creates or deletes edges."""
    edges = (*changes.created_edges, *changes.deleted_edges.values())
    return {edge.source for edge in edges} | {edge.target for edge in edges}


def written_ids(changes: ChangeSet) -> set[str]:
    """The stored nodes that a change set is sure to write to."""
    return (
        {update.id for update in changes.updated_nodes}
        | (edge_ends(changes) - {node.id for node in changes.created_nodes})
        | set(changes.deleted_nodes)
    )

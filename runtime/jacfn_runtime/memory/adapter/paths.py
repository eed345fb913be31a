"""Walking the graph: `[here -->]` and all its relatives, at most two round trips a hop however many nodes take part in it.

jaclang's `refs` first asks a planner that inspects the filter's byte code and needs a topology index that several writers would
overwrite for each other, then reads every edge and both its ends one by one. Here a hop reads the edges of all origins, sorts out
by direction and edge filter before any node is read, and then reads the other ends together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jaclang.jac0core.archetype import ObjectSpatialDestination, ObjectSpatialPath
from jaclang.jac0core.constant import EdgeDir

from jacfn_runtime.memory.adapter import access
from jacfn_runtime.memory.adapter.anchors import key
from jacfn_runtime.memory.adapter.context import Context
from jacfn_runtime.memory.adapter.edges import Edges
from jacfn_runtime.memory.adapter.memory import Memory
from jacfn_runtime.memory.store import Edge

Filter = Callable[[Any], bool]
Step = tuple[Any, Any]
"""An edge (its anchor or, as long as nobody looks at it, its document) and the anchor of the node at its other end."""


def refs(context: Context, path: Any, post_filter: Filter | None = None, part: slice | None = None) -> list[Any]:
    """The archetypes that a path leads to: nodes, or edges, or both for `visit [edge ...]`."""
    if not isinstance(path, ObjectSpatialPath):
        path = ObjectSpatialPath(path, [ObjectSpatialDestination(EdgeDir.OUT)])
    destinations = list(path.destinations)
    if post_filter is not None and destinations:
        destinations[-1].nd = _both(destinations[-1].nd, post_filter)
    last = destinations.pop() if path.edge_only else None
    nodes = list(path.origin)
    for destination in destinations:
        nodes = _nodes(context, nodes, destination)
    found = nodes if last is None else _edges(context, nodes, last, with_nodes=path.from_visit)
    return found if part is None else found[part]


def _both(first: Filter | None, second: Filter) -> Filter:
    return second if first is None else lambda archetype: first(archetype) and second(archetype)


def _nodes(context: Context, origins: list[Any], destination: Any) -> list[Any]:
    return list({key(node): node.archetype for _, node in hop(context, origins, destination)}.values())


def _edges(context: Context, origins: list[Any], destination: Any, with_nodes: bool) -> list[Any]:
    found = {}
    for edge, node in hop(context, origins, destination):
        anchor = context.mem.edge_anchor(edge) if isinstance(edge, Edge) else edge
        found[key(anchor)] = anchor.archetype
        if with_nodes:
            found[key(node)] = node.archetype
    return list(found.values())


def hop(context: Context, origins: list[Any], destination: Any) -> Iterator[Step]:
    """The steps from these nodes that satisfy direction and filters and lead to a node that the caller may read, in order."""
    memory = context.mem
    anchors = [origin.__jac__ for origin in origins]
    memory.load_edges(anchors)
    steps = [step for anchor in anchors for step in _steps(memory, anchor, destination)]
    memory.load_nodes([key(node) for _, node in steps if not node.is_populated()] + _owners(context, steps))
    steps = [step for step in steps if step[1].is_populated()]
    memory.load_nodes(access.foreign_owners(context, (node for _, node in steps)))
    for edge, node in steps:
        if access.readable(context, node) and destination.node_filter(node.archetype):
            yield edge, node


def _steps(memory: Memory, anchor: Any, destination: Any) -> Iterator[Step]:
    """The steps from one node that satisfy direction and edge filter."""
    me = key(anchor)
    outward = destination.direction in (EdgeDir.OUT, EdgeDir.ANY)
    inward = destination.direction in (EdgeDir.IN, EdgeDir.ANY)
    edges = anchor.edges
    if isinstance(edges, Edges):
        for document in edges.documents():
            out = document.source == me and (outward or document.undirected)
            other = document.target if out else document.source
            if (out or (document.target == me and (inward or document.undirected))) and other not in memory.deleted:
                if destination.edge is None:
                    yield document, memory.shell(other)
                elif destination.edge_filter((edge := memory.edge_anchor(document)).archetype):
                    yield edge, memory.shell(other)
    for edge in edges.made if isinstance(edges, Edges) else list(edges):
        out = key(edge.source) == me and (outward or edge.is_undirected)
        node = edge.target if out else edge.source
        if (
            (out or (key(edge.target) == me and (inward or edge.is_undirected)))
            and key(node) not in memory.deleted
            and destination.edge_filter(edge.archetype)
        ):
            yield edge, node


def _owners(context: Context, steps: list[Step]) -> list[str]:
    """Who made these edges, if not the caller: most likely they own the nodes too, and will be asked for."""
    me = context.me
    return list({edge.owner for edge, _ in steps if isinstance(edge, Edge) and edge.owner and edge.owner != me})


def disconnect(
    context: Context, lefts: list[Any], rights: list[Any], direction: Any, edge_filter: Filter | None
) -> Iterator[tuple[Any, Any]]:
    """The edges that `del left --> right` means, each with its node on the right. One round trip, no nodes."""
    # As in jaclang, an undirected edge counts from its source only here, though a traversal follows it from both ends.
    wanted = {key(right.__jac__) for right in rights}
    destination = ObjectSpatialDestination(direction, edge_filter)
    anchors = [left.__jac__ for left in lefts]
    context.mem.load_edges(anchors)
    for anchor in anchors:
        for edge, node in list(_steps(context.mem, anchor, destination)):
            edge = context.mem.edge_anchor(edge) if isinstance(edge, Edge) else edge
            start = {EdgeDir.OUT: (edge.source,), EdgeDir.IN: (edge.target,)}.get(direction, (edge.source, edge.target))
            if key(node) in wanted and anchor in start:
                yield edge, node

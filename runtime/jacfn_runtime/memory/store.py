"""The store interface: what a place that keeps graphs has to do, and the plain data that crosses it. Pure: no jaclang, no driver.

A store knows documents and versions. It does not know walkers, roots or permissions. Everything is synchronous: jaclang's
traversals are, and they run in the request's own thread.

A node has two versions: `version` counts changes of its fields, owner or access; `edges_version` counts changes of the set of
edges at its ends. So appending an edge does not disturb who only reads fields, and the other way round. An edge has one version:
of its own fields, owner and access.

Structs of msgspec, made by the ten thousand: a third of a dataclass's time, and (`gc=False`) nothing for the garbage collector to
look at; they hold plain data, which refers to nothing that could refer back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import msgspec

FORMAT = 1
"""The format version that this jacfn writes into every document."""


class Node(msgspec.Struct, frozen=True, gc=False):
    """One stored node."""

    id: str  # 32 hex digits
    type: str  # `module.Class`
    owner: str | None  # the root that it belongs to
    access: Mapping[str, Any]  # jaclang's Permission, as plain data
    fields: Mapping[str, Any]  # JSON-able; fields that the class no longer has are kept here
    version: int = 0
    edges_version: int = 0  # may be older than the node: the one to rely on comes with an Adjacency


class Edge(msgspec.Struct, frozen=True, gc=False):
    """One stored edge: a document of its own, so that an append touches no list."""

    id: str
    type: str
    source: str
    target: str
    undirected: bool
    owner: str | None
    access: Mapping[str, Any]
    fields: Mapping[str, Any]
    order: str  # sorts edges of a node in the order of their creation
    version: int = 0


class Adjacency(msgspec.Struct, frozen=True, gc=False):
    """All edges at one node, in order, with the node's edges_version that they belong to."""

    edges_version: int
    edges: tuple[Edge, ...]


def adjacencies(edges_versions: Mapping[str, int], edges: Collection[Edge]) -> dict[str, Adjacency]:
    """Edges sorted under the nodes at their ends; only nodes with a known version get an entry."""
    lists: dict[str, list[Edge]] = {node_id: [] for node_id in edges_versions}
    for edge in sorted(edges, key=lambda edge: (edge.order, edge.id)):
        for end in {edge.source, edge.target} & lists.keys():
            lists[end].append(edge)
    return {node_id: Adjacency(edges_versions[node_id], tuple(found)) for node_id, found in lists.items()}


class Update(msgspec.Struct, frozen=True):
    """A change of one node's or edge's own content, built on `version`."""

    id: str
    version: int
    set_fields: Mapping[str, Any] = {}
    access: Mapping[str, Any] | None = None  # None: as it was
    owner: str | None = None  # None: as it was
    type: str | None = None  # None: as it was


class ChangeSet(msgspec.Struct, frozen=True):
    """Everything that one unit of work wants to be true at once, and everything that it relied on.

    A store derives the order by itself. Endpoints of created and deleted edges get their `edges_version` incremented by the
    store; an endpoint that is also in `relied_edges` is checked, one that is not is a blind append and merges.
    Deleting a node also deletes every edge at it, also those that the unit of work never saw. Created documents keep the versions
    that they come with; a created node gets one edges_version more if edges come with it.
    """

    created_nodes: tuple[Node, ...] = ()  # insert-only
    created_edges: tuple[Edge, ...] = ()  # insert-only
    updated_nodes: tuple[Update, ...] = ()
    updated_edges: tuple[Update, ...] = ()
    deleted_nodes: Mapping[str, int] = {}  # id -> version
    deleted_edges: Mapping[str, Edge] = {}  # id -> the edge as it was read
    relied_nodes: Mapping[str, int] = {}  # id -> version: fields or access that a decision rested on
    relied_edges: Mapping[str, int] = {}  # node id -> edges_version that was traversed
    relied_edge_fields: Mapping[str, int] = {}  # edge id -> version: an edge's own fields that were seen
    marks: Mapping[str, str] = {}  # insert-only facts, e.g. {"seed/<bundle hash>": ...}; a taken one: Conflict

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write: such a unit of work writes no guard either."""
        return not (
            self.created_nodes or self.created_edges or self.updated_nodes or self.updated_edges
            or self.deleted_nodes or self.deleted_edges or self.marks
        )  # fmt: skip


class Reader(Protocol):
    """All reads of one attempt at a unit of work: they see one snapshot, or `confirm` says that they did not."""

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        """The nodes that exist among these ids. One round trip whatever their number."""

    def edges(self, node_ids: Collection[str]) -> dict[str, Adjacency]:
        """The edges at each of these nodes, both directions. One round trip whatever their number; unknown nodes are absent."""

    def edges_by_id(self, ids: Collection[str]) -> dict[str, Edge]:
        """The edges that exist among these ids. One round trip."""

    def nodes_of_type(self, type: str) -> dict[str, Node]:
        """Every node of exactly this stored type. One round trip. For `allroots()` and people: no guard against new ones."""

    def confirm(self) -> bool:
        """True if everything that was read belongs to one point in time. At most one round trip, none if a snapshot was used."""

    def close(self) -> None:
        """Give the connection back."""


class Store(Protocol):
    """A place that keeps one app's graph. Every method raises StoreUnavailable when the place cannot be reached."""

    @property
    def name(self) -> str:
        """`embedded` or `mongodb`: where the truth is."""

    @property
    def round_trips(self) -> int:
        """How often this process asked it and waited for the answer; for tests and benches."""

    def reader(self, *, fresh: bool = False) -> Reader:
        """A reader for one attempt. `fresh`: no cached copies, everything from the truth in one snapshot."""

    def commit(self, changes: ChangeSet, *, guard: bool = True) -> None:
        """Make all of it true, durably, or none of it. `guard=False` leaves out the checks of `relied_*` (snapshot isolation).

        Raises Conflict if a version has moved on, a created id exists, or a relied-on document is gone.
        """

    def mark(self, key: str) -> str | None:
        """The value of an insert-only fact, or None."""

    def prepare(self) -> None:
        """Indexes and the format stamp, insert-only, safe from many processes at once. Raises FormatTooNew."""

    def count_by_type(self) -> dict[str, int]:
        """How many documents of each type, for people who look at the store."""

    def dangling_edges(self) -> list[Edge]:
        """Edges with an end that does not exist, for people who check the store."""

    def health(self) -> str:
        """`ok`, or the reason why not. Never raises, answers within two seconds."""

    def tiers(self) -> dict[str, str]:
        """`health` of each tier by its name: `{"mongodb": "ok", "redis": "no connection within 0.5 s"}`."""

    def close(self) -> None:
        """Give everything back."""

"""The working set of one attempt at a unit of work: what was read, what was made, what was removed, and what a decision rested
on.

It stands where jaclang expects a `Memory` (`ctx.mem`). jaclang's own one collects dirtiness anchor by anchor and reads edge by
edge; this one reads a whole hop at once, never twice, and writes nothing: `changes.py` turns it into one ChangeSet at the end.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import Access, AccessLevel, EdgeAnchor, NodeAnchor, Permission

from jacfn_runtime.memory.adapter import classes, values
from jacfn_runtime.memory.adapter.edges import Edges
from jacfn_runtime.memory.store import Edge, Node, Reader

STORED = 1
"""The `hash` of an anchor that came from the store; jaclang takes 0 for brand-new."""


class Memory:
    """One attempt's graph. Safe to use from the attempt's own threads (`flow`); everything is keyed by 32 hex digits."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.RLock()  # `flow` runs parts of one walker side by side
        self._order = itertools.count()
        self._started = time.time_ns()
        self.anchors: dict[str, Any] = {}
        """Every anchor of this attempt; one that was only referred to is a shell that fills itself when it is touched."""
        self.nodes: dict[str, Node] = {}
        """Stored nodes as they were read."""
        self.edges: dict[str, Edge] = {}
        """Stored edges as they were read, as far as an anchor was made of them."""
        self.snapshots: dict[str, dict[str, Any]] = {}
        """Encoded fields of every loaded archetype as they were right after loading."""
        self.permissions: dict[str, dict[str, Any]] = {}
        """Stored form of every loaded anchor's permissions, likewise."""
        self.readable: Callable[[Any], bool] = lambda _: True
        """Whether the caller may see an anchor; the context sets it."""
        self.deleted: dict[str, Any] = {}
        self.absent: set[str] = set()
        self.relied_nodes: dict[str, int] = {}
        self.relied_edges: dict[str, int] = {}
        self.relied_edge_fields: dict[str, int] = {}

    # -- reading, whole hops at once -------------------------------------------------------------------------------------

    def load_nodes(self, ids: Iterable[str]) -> None:
        """Have these nodes in memory, and those that their fields refer to. One round trip for each depth of references."""
        with self._lock:
            pending = {each for each in ids if self._unknown(each)}
            found: list[tuple[Any, Node]] = []
            while pending:
                documents = self._reader.nodes(pending)
                self.absent.update(pending - documents.keys())
                pending = set()
                for document in documents.values():
                    found.append((self._bare_node(document), document))
                    for value in document.fields.values():
                        if isinstance(value, dict | list):
                            pending.update(each for each in values.references(value) if self._unknown(each))
            for anchor, document in found:
                self._fill(anchor, document)

    def _unknown(self, node_id: str) -> bool:
        if node_id in self.nodes or node_id in self.absent or node_id in self.deleted:
            return False
        anchor = self.anchors.get(node_id)
        return anchor is None or not anchor.is_populated()

    def load_edges(self, nodes: Iterable[Any]) -> None:
        """Have the edges at these nodes in memory. One round trip."""
        with self._lock:
            wanted = {node.id.hex: node.edges for node in nodes if isinstance(node.edges, Edges) and node.edges.stored is None}
            if not wanted:
                return
            found = self._reader.edges(wanted.keys())
            for node_id, edges in wanted.items():
                adjacency = found.get(node_id)
                edges.fill(adjacency.edges if adjacency else ())
                self.relied_edges[node_id] = adjacency.edges_version if adjacency else self.nodes[node_id].edges_version

    def node(self, node_id: str) -> Any:
        """The populated anchor of a node, or None. At most one round trip."""
        self.load_nodes((node_id,))
        anchor = self.anchors.get(node_id)
        return anchor if isinstance(anchor, NodeAnchor) and anchor.is_populated() else None

    def shell(self, node_id: str) -> Any:
        """The anchor of a node, read or not: the same object for the same id, so that identity holds."""
        anchor = self.anchors.get(node_id) or self.deleted.get(node_id)
        if anchor is None:
            anchor = object.__new__(NodeAnchor)
            anchor.id = UUID(node_id)
            self.anchors[node_id] = anchor
        return anchor

    def edge_anchor(self, document: Edge) -> Any:
        """The anchor of a stored edge, made when somebody looks at it."""
        with self._lock:
            anchor = self.anchors.get(document.id)
            if anchor is None:
                anchor = object.__new__(EdgeAnchor)
                anchor.id = UUID(document.id)
                anchor.source = self.shell(document.source)
                anchor.target = self.shell(document.target)
                anchor.is_undirected = document.undirected
                self.edges[document.id] = document
                self.anchors[document.id] = anchor
                self._finish(anchor, document, self._bare(document))
                self._fill(anchor, document)
            return anchor

    # -- from documents to anchors ---------------------------------------------------------------------------------------

    def _bare(self, document: Node | Edge) -> Any:
        return object.__new__(classes.find(document.type, document.id))

    def _bare_node(self, document: Node) -> Any:
        anchor = self.shell(document.id)
        anchor.topology_index_data = None
        anchor.version = document.version
        anchor.edges = Edges(lambda _: self.load_edges((anchor,)), self.edge_anchor)
        self.nodes[document.id] = document
        self._finish(anchor, document, self._bare(document))
        return anchor

    def _finish(self, anchor: Any, document: Node | Edge, archetype: Any) -> None:
        anchor.root = UUID(document.owner) if document.owner else None
        anchor.access = permission(document.access)
        self.permissions[document.id] = stored_permission(anchor.access)
        anchor.persistent = True
        anchor.hash = STORED
        archetype.__jac__ = anchor
        anchor.archetype = archetype

    def _fill(self, anchor: Any, document: Node | Edge) -> None:
        fields = classes.shape(type(anchor.archetype)).fields
        if not fields:
            return  # nothing of it can be seen that a decision might rest on: a Root, a plain edge
        values.fill(anchor.archetype, document.fields, self._referred)
        self.snapshots[document.id] = values.encode_fields(anchor.archetype, fields)
        relied = self.relied_nodes if isinstance(document, Node) else self.relied_edge_fields
        relied[document.id] = document.version

    def _referred(self, node_id: str) -> Any:
        anchor = self.anchors.get(node_id)
        return anchor.archetype if anchor is not None and "archetype" in anchor.__dict__ else None

    def rely_on_access(self, anchor: Any) -> None:
        """A decision rested on who may touch this node, not only on what it says."""
        document = self.nodes.get(anchor.id.hex)
        if document is not None:
            self.relied_nodes[document.id] = document.version

    def order(self) -> str:
        """A sort key for a new edge: later edges of one unit of work, and of later ones, sort behind."""
        return f"{self._started:016x}{next(self._order):06x}"

    # -- what jaclang calls ----------------------------------------------------------------------------------------------

    def get(self, id: UUID) -> Any:
        """The anchor of a node or an edge that the caller may see, or None: a guessed id finds no more than a path does."""
        found = self._find(id.hex)
        visible = not isinstance(found, NodeAnchor | EdgeAnchor) or self.readable(found)
        return found if visible else None

    def _find(self, key: str) -> Any:
        anchor = self.anchors.get(key)
        if anchor is not None and anchor.is_populated():
            return anchor
        found = self.node(key)
        if found is None and anchor is None and key not in self.deleted:
            with self._lock:
                document = self._reader.edges_by_id((key,)).get(key)
            return self.edge_anchor(document) if document else None
        return found

    def roots(self) -> list[Any]:
        """The archetype of every root there is, for `allroots()`. One round trip."""
        with self._lock:
            found = self._reader.nodes_of_type(classes.ROOT)
            for document in found.values():
                if self._unknown(document.id):
                    self._bare_node(document)
            return [self.anchors[each].archetype for each in found if each not in self.deleted]

    def open_access(self, anchor: Any, level: Any) -> None:
        """Let everybody do this much with a node, within this unit of work only."""
        self.rely_on_access(anchor)
        anchor.access.all = level
        self.permissions[anchor.id.hex] = stored_permission(anchor.access)

    def put(self, anchor: Any) -> None:
        """Know an anchor that was made here."""
        self.anchors[anchor.id.hex] = anchor

    def delete(self, id: UUID) -> None:
        """Remove a node or an edge when the unit of work commits."""
        anchor = self.anchors.pop(id.hex, None)
        if anchor is not None:
            self.deleted[id.hex] = anchor

    def has(self, id: UUID) -> bool:
        """Whether the node or edge exists."""
        return self.get(id) is not None

    def batch_get(self, ids: Collection[UUID]) -> dict[UUID, Any]:
        """Many nodes at once."""
        self.load_nodes(each.hex for each in ids)
        return {each: anchor for each in ids if (anchor := self.get(each)) is not None}

    def get_mem(self) -> Mapping[UUID, Any]:
        """Everything that is in memory now."""
        return {anchor.id: anchor for anchor in list(self.anchors.values()) if anchor.is_populated()}

    def query(self, filter: Callable[[Any], bool] | None = None) -> Iterator[Any]:
        """Anchors in memory that satisfy a condition."""
        return (anchor for anchor in self.get_mem().values() if filter is None or filter(anchor))

    def find(self, ids: UUID | Iterable[UUID], filter: Callable[[Any], Any] | None = None) -> Iterator[Any]:
        """Those of these nodes that exist and satisfy a condition."""
        found = self.batch_get([ids] if isinstance(ids, UUID) else list(ids))
        return (anchor for anchor in found.values() if filter is None or filter(anchor))

    def find_one(self, ids: UUID | Iterable[UUID], filter: Callable[[Any], Any] | None = None) -> Any:
        """The first of these nodes that exists and satisfies a condition, or None."""
        return next(self.find(ids, filter), None)

    def commit(self, anchor: Any = None) -> None:
        """Nothing: jaclang commits at the end of every spawn, a unit of work once, when all of it is done."""

    async def acommit(self, anchor: Any = None) -> None:
        """Nothing, as `commit`."""

    async def aget(self, id: UUID) -> Any:
        """`get`, for async walkers."""
        return self.get(id)

    def is_recoverable_quarantine(self, id: UUID) -> bool:
        """There is no quarantine: what cannot be read fails the request."""
        return False

    def quarantine_ref(self, referrer: Any, stub: Any) -> None:
        """There is no quarantine."""

    def capabilities(self) -> set[str]:
        """jaclang's planner needs its topology index, a blob that the last writer wins; it is switched off."""
        return set()


def permission(stored: Mapping[str, Any]) -> Any:
    """jaclang's Permission from its stored form; an empty one is private."""
    roots = {root: AccessLevel(level) for root, level in stored.get("roots", {}).items()}
    return Permission(all=AccessLevel(stored.get("all", AccessLevel.NO_ACCESS.value)), roots=Access(anchors=roots))


def stored_permission(access: Any) -> dict[str, Any]:
    """The stored form of jaclang's Permission."""
    stored: dict[str, Any] = {}
    if access.all != AccessLevel.NO_ACCESS:
        stored["all"] = access.all.value
    if access.roots.anchors:
        stored["roots"] = {str(root): level.value for root, level in access.roots.anchors.items()}
    return stored

"""The working set of one attempt at a unit of work: what was read, what was made, what was removed, and what a decision rested
on.

It stands where jaclang expects a `Memory` (`ctx.mem`). jaclang's own one collects dirtiness anchor by anchor and reads edge by
edge; this one reads a whole hop at once, never twice, and writes nothing: `changes.py` turns it into one ChangeSet at the end.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import EdgeAnchor, NodeAnchor, Root

from jacfn_runtime.memory.adapter import classes, values
from jacfn_runtime.memory.adapter.anchors import StoredEdge, StoredNode, key, stored_permission
from jacfn_runtime.memory.errors import StoreError, UnknownCaller
from jacfn_runtime.memory.store import Edge, Node, Reader


class Memory:
    """One attempt's graph. Safe to use from the attempt's own threads (`flow`); everything is keyed by 32 hex digits."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.RLock()  # `flow` runs parts of one walker side by side
        self._order = itertools.count()
        self._started = time.time_ns()
        self.anchors: dict[str, Any] = {}
        """Every anchor of this attempt; one that was only referred to is a shell that fills itself when it is touched."""
        self.nodes: dict[str, StoredNode] = {}
        """Those of stored nodes that were read, deleted ones included."""
        self.edges: dict[str, StoredEdge] = {}
        """Those of stored edges, as far as an anchor was made of them."""
        self.failure: StoreError | None = None
        """The first thing that could not be read: whatever the program makes of that must not be committed."""
        self.hidden: Callable[[Collection[Any]], set[str]] = lambda _: set()
        """Which of these anchors the caller may not see, by id; the context sets it."""
        self.deleted: dict[str, Any] = {}
        self.absent: set[str] = set()
        self._withheld: set[str] = set()  # nodes that fields refer to and the caller may not see
        self.relied_nodes: dict[str, int] = {}
        self.relied_edges: dict[str, int] = {}
        self.relied_edge_fields: dict[str, int] = {}

    # -- reading, whole hops at once -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Reader]:
        """Alone with the reader."""
        with self._lock:
            try:
                yield self._reader
            except StoreError as error:
                self.failure = self.failure or error
                raise

    def load_nodes(self, ids: Iterable[str]) -> None:
        """Have these nodes in memory, and those that their fields refer to. One round trip for each depth of references."""
        with self._reading() as reader:
            pending = {each for each in ids if self._unknown(each)}
            found: list[StoredNode] = []
            referring: list[tuple[StoredNode, set[str]]] = []
            while pending:
                documents = reader.nodes(pending)
                self.absent.update(pending - documents.keys())
                pending = set()
                for document in documents.values():
                    node = self._bare(document)
                    found.append(node)
                    if near := _referred_ids(document):
                        referring.append((node, near))
                        pending.update(each for each in near if self._unknown(each))
            for node in found:
                self._fill(node)
            # A class may decide by its fields who sees a node, so those are filled before anybody asks.
            withheld = self._withhold({each for _, near in referring for each in near})
            for node, near in referring:
                if not near.isdisjoint(withheld):
                    self._fill(node)

    def _withhold(self, referred: Collection[str]) -> set[str]:
        """Those of these nodes that no field may lead to, because the caller may not see them."""
        anchors = [anchor for each in referred if (anchor := self.anchors.get(each)) is not None and anchor.is_populated()]
        withheld = self.hidden(anchors) if anchors else set()
        self._withheld |= withheld
        return withheld

    def _unknown(self, node_id: str) -> bool:
        if node_id in self.nodes or node_id in self.absent or node_id in self.deleted:
            return False
        anchor = self.anchors.get(node_id)
        return anchor is None or not anchor.is_populated()

    def load_edges(self, nodes: Iterable[Any]) -> None:
        """Have the edges at these nodes in memory. One round trip."""
        with self._reading() as reader:
            wanted = {node.key: node for node in nodes if isinstance(node, StoredNode) and node.edges.stored is None}
            if not wanted:
                return
            found = reader.edges(wanted.keys())
            for node_id, node in wanted.items():
                adjacency = found.get(node_id)
                node.edges.stored = adjacency.edges if adjacency else ()
                # Where there is none, the node went away since it was read: the commit or `confirm` will find out.
                self.relied_edges[node_id] = adjacency.edges_version if adjacency else node.document.edges_version
            self._load_referred(edge for adjacency in found.values() for edge in adjacency.edges)

    def _load_referred(self, edges: Iterable[Edge]) -> None:
        """Have the nodes in memory that the fields of these edges refer to, before an anchor is made of any of them."""
        referred = {each for edge in edges if edge.fields for each in _referred_ids(edge)}
        if referred:
            self.load_nodes(referred)
            self._withhold(referred)

    def node(self, node_id: str) -> Any:
        """The populated anchor of a node, or None. At most one round trip."""
        self.load_nodes((node_id,))
        anchor = self.anchors.get(node_id)
        return anchor if isinstance(anchor, NodeAnchor) and anchor.is_populated() else None

    def shell(self, node_id: str) -> Any:
        """The anchor of a node, read or not: the same object for the same id, so that identity holds."""
        anchor = self.anchors.get(node_id) or self.deleted.get(node_id)
        return anchor if anchor is not None else self.anchors.setdefault(node_id, StoredNode(self, node_id))

    def edge_anchor(self, document: Edge) -> Any:
        """The anchor of a stored edge, made when somebody looks at it."""
        with self._reading():
            anchor = self.anchors.get(document.id)
            if anchor is None:
                anchor = StoredEdge(document, self.shell(document.source), self.shell(document.target))
                self.edges[document.id] = self.anchors[document.id] = anchor
                self._join(anchor, object.__new__(classes.find(document.type, document.id)))
                self._fill(anchor)
            return anchor

    def _bare(self, document: Node) -> StoredNode:
        """A stored node whose archetype has no fields yet: fields may refer to nodes that are read with it."""
        node: StoredNode = self.shell(document.id)
        archetype: Any = object.__new__(classes.find(document.type, document.id))
        node.document = document
        self.nodes[document.id] = node
        self._join(node, archetype)
        return node

    def _join(self, anchor: StoredNode | StoredEdge, archetype: Any) -> None:
        archetype.__jac__ = anchor
        anchor.archetype = archetype

    def _fill(self, anchor: StoredNode | StoredEdge) -> None:
        if classes.shape(type(anchor.archetype)).fields:
            anchor.snapshot = values.fill(anchor.archetype, anchor.document.fields, self._referred)
        elif isinstance(anchor, StoredEdge) or isinstance(anchor.archetype, Root):
            return  # that it is there is all that can be seen of it: a Root always is, a plain edge is in its nodes' lists
        relied = self.relied_nodes if isinstance(anchor, StoredNode) else self.relied_edge_fields
        relied[anchor.key] = anchor.document.version

    def _referred(self, node_id: str) -> Any:
        anchor = self.anchors.get(node_id)
        if anchor is None or not anchor.is_populated() or node_id in self._withheld:
            return None
        return anchor.archetype

    def assume_root(self, root: StoredNode) -> None:
        """The caller's own root, without reading it: a Root has no fields, its owner may do everything with it, and whatever is
        done at it (a traversal, an append) finds out by itself whether it is there."""
        if not root.is_populated():
            self._join(root, object.__new__(Root))

    def document_of(self, node: StoredNode) -> Node:
        """The document of a node that is known without it. One round trip. Raises UnknownCaller if there is none."""
        with self._reading() as reader:
            document = reader.nodes((node.key,)).get(node.key)
            if document is None:
                raise UnknownCaller
        self.nodes[node.key] = node
        return document

    def rely_on_access(self, anchor: Any) -> None:
        """A decision rested on who may touch this node, not only on what it says."""
        if isinstance(anchor, StoredNode):
            self.relied_nodes[anchor.key] = anchor.version

    def order(self) -> str:
        """A sort key for a new edge: later edges of one unit of work, and of later ones, sort behind."""
        return f"{self._started:016x}{next(self._order):06x}"

    # -- what jaclang calls ----------------------------------------------------------------------------------------------

    def get(self, id: UUID) -> Any:
        """The anchor of a node or an edge that the caller may see, or None: a guessed id finds no more than a path does."""
        found = self._find(id.hex)
        return None if isinstance(found, NodeAnchor | EdgeAnchor) and self.hidden((found,)) else found

    def _find(self, some_id: str) -> Any:
        anchor = self.anchors.get(some_id)
        if anchor is not None and anchor.is_populated():
            return anchor
        found = self.node(some_id)
        if found is None and anchor is None and some_id not in self.deleted:
            with self._reading() as reader:
                document = reader.edges_by_id((some_id,)).get(some_id)
                if document is None:
                    return None
                self.relied_edge_fields[some_id] = document.version  # no list of a node vouches for it
                self._load_referred((document,))
                return self.edge_anchor(document)
        return found

    def roots(self) -> list[Any]:
        """The archetype of every root there is, for `allroots()`. One round trip."""
        with self._reading() as reader:
            found = reader.nodes_of_type(classes.ROOT)
            for document in found.values():
                if self._unknown(document.id):
                    self._bare(document)
            return [self.anchors[each].archetype for each in found if each not in self.deleted]

    def open_access(self, anchor: Any, level: Any) -> None:
        """Let everybody do this much with a node, within this unit of work only."""
        self.rely_on_access(anchor)
        anchor.access.all = level
        anchor.granted = stored_permission(anchor.access)

    def put(self, anchor: Any) -> None:
        """Know an anchor that was made here."""
        self.anchors[key(anchor)] = anchor

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


def _referred_ids(document: Node | Edge) -> set[str]:
    """The nodes that its fields refer to."""
    held = [value for value in document.fields.values() if isinstance(value, dict | list)]
    return {each for value in held for each in values.references(value)}

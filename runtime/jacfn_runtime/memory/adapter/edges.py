"""The `edges` list of a stored node: it knows what it is told, and asks the store only when somebody looks at the rest.

Appending and removing do not look. So `here ++> Item()` is a blind append that merges with everybody else's, and a walker that
only needs its node reads only its node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, SupportsIndex

from jacfn_runtime.memory.store import Edge

if TYPE_CHECKING:
    from jacfn_runtime.memory.adapter.anchors import StoredNode


class Edges(list[Any]):
    """A list of EdgeAnchors of which the stored part may not be there yet."""

    __slots__ = ("_node", "_whole", "gone", "made", "stored")

    def __init__(self, node: StoredNode) -> None:
        super().__init__()
        self._node = node
        self._whole = False  # whether the underlying list holds everything
        self.stored: tuple[Edge, ...] | None = None
        """What the store has, once it was asked."""
        self.made: list[Any] = []
        """Edges that this unit of work added."""
        self.gone: set[str] = set()
        """Stored edges that this unit of work removed, by id."""

    def documents(self) -> list[Edge]:
        """The stored edges that are still there, without making an anchor of each. Empty until they were read."""
        return [edge for edge in self.stored or () if edge.id not in self.gone]

    def _all(self) -> None:
        """Make the underlying list hold everything."""
        if self._whole:
            return
        if self.stored is None:
            self._node.memory.load_edges((self._node,))
        super().__init__([*(self._node.memory.edge_anchor(edge) for edge in self.documents()), *self.made])
        self._whole = True

    def append(self, edge: Any) -> None:
        self.made.append(edge)
        if self._whole:
            super().append(edge)

    def discard(self, edge: Any) -> None:
        """Take an edge away, whether or not it was ever looked at."""
        if edge in self.made:
            self.made.remove(edge)
        else:
            self.gone.add(edge.key)
        if self._whole and edge in list(super().__iter__()):
            super().remove(edge)

    def remove(self, edge: Any) -> None:
        self._all()
        if not super().__contains__(edge):
            raise ValueError("no such edge")
        self.discard(edge)

    def pop(self, index: SupportsIndex = -1) -> Any:
        self._all()
        edge = super().__getitem__(index)
        self.discard(edge)
        return edge

    def __iter__(self) -> Iterator[Any]:
        self._all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._all()
        return super().__reversed__()

    def __len__(self) -> int:
        self._all()
        return super().__len__()

    def __bool__(self) -> bool:
        return bool(self.made) or len(self) > 0

    def __contains__(self, edge: object) -> bool:
        self._all()
        return super().__contains__(edge)

    def __getitem__(self, index: Any) -> Any:
        self._all()
        return super().__getitem__(index)

    def __eq__(self, other: object) -> bool:
        self._all()
        return super().__eq__(other)

    def __repr__(self) -> str:
        return f"<edges of one node, {'read' if self.stored is not None else 'not read'}>"

    __hash__ = None  # like every list

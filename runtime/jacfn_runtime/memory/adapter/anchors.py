"""Anchors of what is stored. jaclang's own ones are filled at once; of these, each part is made when somebody looks at it.

A listing of ten thousand nodes then makes no permissions, no owners and no edge lists, because nobody asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jaclang.jac0core.archetype import Access, AccessLevel, EdgeAnchor, NodeAnchor, Permission

from jacfn_runtime.memory.adapter.edges import Edges
from jacfn_runtime.memory.store import Node

if TYPE_CHECKING:
    from jacfn_runtime.memory.adapter.memory import Memory


class _Stored:
    """What stored nodes and stored edges have in common.

    `document` and `archetype` are set when it is loaded; a shell that lacks its archetype loads itself when that is asked for
    (jaclang's `Anchor.__getattr__`).
    """

    key: str  # 32 hex digits
    document: Any
    archetype: Any
    persistent = True
    hash = 1  # jaclang takes 0 for brand-new
    snapshot: Mapping[str, Any] | None = None  # encoded fields as they were right after loading; None where there are none

    def is_populated(self) -> bool:
        return "archetype" in self.__dict__

    @cached_property
    def id(self) -> UUID:
        return UUID(int=int(self.key, 16))

    @cached_property
    def root(self) -> UUID | None:
        return UUID(self.document.owner) if self.document.owner else None

    @cached_property
    def access(self) -> Any:
        return permission(self.document.access)

    @cached_property
    def granted(self) -> dict[str, Any]:
        """The permissions that need no writing."""
        return stored_permission(permission(self.document.access))


class StoredNode(_Stored, NodeAnchor):  # type: ignore[misc]  # jaclang is not typed
    """The anchor of a stored node, loaded or not: one object for one id."""

    topology_index_data = None

    def __init__(self, memory: Memory, key: str) -> None:  # not jaclang's: it would fill everything
        self.memory = memory
        self.key = key

    @cached_property
    def document(self) -> Node:
        """What the store has. The caller's root is known without it, so that one is read only if somebody asks for more."""
        return self.memory.document_of(self)

    @cached_property
    def edges(self) -> Edges:
        return Edges(self)

    @property
    def version(self) -> int:
        return int(self.document.version)


class StoredEdge(_Stored, EdgeAnchor):  # type: ignore[misc]
    """The anchor of a stored edge."""

    def __init__(self, document: Any, source: StoredNode, target: StoredNode) -> None:
        self.key = document.id
        self.document = document
        self.source = source
        self.target = target
        self.is_undirected = document.undirected


def key(anchor: Any) -> str:
    """The id of any anchor as 32 hex digits."""
    return anchor.__dict__.get("key") or str(anchor.id.hex)


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

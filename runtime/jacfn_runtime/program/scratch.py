"""A context that forgets everything: a program is imported under it, so that its `with entry` blocks write nowhere.

Stands where jaclang expects its `ExecutionContext` and `Memory`, whose modules cost more to import than the rest of a start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any
from uuid import UUID


class _Memory:
    """A graph in a dict."""

    def __init__(self) -> None:
        self._anchors: dict[UUID, Any] = {}

    def get(self, id: UUID) -> Any:
        return self._anchors.get(id)

    def put(self, anchor: Any) -> None:
        self._anchors[anchor.id] = anchor

    def delete(self, id: UUID) -> None:
        self._anchors.pop(id, None)

    def has(self, id: UUID) -> bool:
        return id in self._anchors

    def get_mem(self) -> dict[UUID, Any]:
        return self._anchors

    def get_roots(self) -> Iterator[Any]:
        from jaclang.jac0core.archetype import Root

        return (anchor.archetype for anchor in list(self._anchors.values()) if isinstance(anchor.archetype, Root))

    def capabilities(self) -> set[str]:
        return set()

    def is_recoverable_quarantine(self, id: UUID) -> bool:
        return False

    def quarantine_ref(self, referrer: Any, stub: Any) -> None:
        """Nothing is ever stored here, so nothing can dangle."""

    def commit(self, anchor: Any = None) -> None:
        """There is nowhere to write to."""

    async def acommit(self, anchor: Any = None) -> None:
        """There is nowhere to write to."""


class _Context:
    """What a module body may ask of its context. Effects of `on_commit` never run: nothing is committed."""

    def __init__(self) -> None:
        self.mem = _Memory()
        self.reports: list[Any] = []
        self.diagnostics: list[Any] = []
        self.read_versions: dict[UUID, int] = {}
        self.custom: Any = None
        self.call_state: ContextVar[Any] = ContextVar("call_state")
        self.base_path_dir = self.full_target_path = None

    @cached_property
    def user_root(self) -> Any:
        from jaclang.jac0core.archetype import Root

        anchor = Root().__jac__
        self.mem.put(anchor)
        return anchor

    @property
    def system_root(self) -> Any:
        return self.user_root

    @property
    def entry_node(self) -> Any:
        return self.user_root

    def get_root(self) -> Any:
        return self.user_root.archetype

    def note_traversal_reads(self, origins: list[Any]) -> None:
        """Nobody else writes here."""

    def on_commit(self, callback: Callable[[], Any]) -> None:
        """Never called back."""

    def run_pending_effects(self) -> None:
        """There are none."""


@contextmanager
def scratch_context(runtime: Any) -> Iterator[None]:
    """Push a fresh context with an empty in-memory graph; nothing of it outlives the block."""
    token = runtime._request_context.set(_Context())
    try:
        yield
    finally:
        runtime._request_context.reset(token)

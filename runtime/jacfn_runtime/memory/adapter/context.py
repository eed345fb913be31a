"""The execution context of one attempt: what jaclang finds where it looks for its own `ExecutionContext`.

jaclang's one reads jac.toml, opens a store and starts as the system root. This one starts as the caller, knows nothing else, and
is the only context that a request can ever see.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from jacfn_runtime.memory.adapter.anchors import key
from jacfn_runtime.memory.adapter.memory import Memory
from jacfn_runtime.memory.roots import SYSTEM_ROOT


class Reports:
    """Where `report` puts things; jaclang expects a queue in a context variable, one request needs neither."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.reports = self

    def put_nowait(self, item: Any) -> None:
        """Add one report."""
        self.items.append(item)

    def get(self, default: Any = None) -> Reports:
        """Stands for `ContextVar.get`."""
        return self


class Context:
    """The caller, their memory, their reports and what is to happen after the commit."""

    def __init__(self, memory: Memory, user_root: Any) -> None:
        self.mem = memory
        self.user_root = user_root
        self.me = key(user_root)
        """The caller's root, 32 hex digits."""
        self.entry_node = user_root
        self.system_root = memory.shell(SYSTEM_ROOT)
        self.is_system = self.me == SYSTEM_ROOT
        self.call_state = Reports()
        self.custom: Any = None
        self.reports: list[Any] = []
        self.diagnostics: list[Any] = []
        self.read_versions: dict[Any, int] = {}
        self.flows: list[Future[Any]] = []
        self.effects: list[Callable[[], Any]] = []
        self.base_path_dir = None
        self.full_target_path = None

    def get_root(self) -> Any:
        """The caller's root node."""
        self.mem.assume_root(self.user_root)
        return self.user_root.archetype

    def on_commit(self, callback: Callable[[], Any]) -> None:
        """Remember an effect for after the commit."""
        self.effects.append(callback)

    def run_pending_effects(self) -> None:
        """Nothing: jaclang calls this from `commit()` in the middle of a walker, when nothing is committed yet."""

    def note_traversal_reads(self, origins: list[Any]) -> None:
        """Nothing: the memory knows what was traversed."""

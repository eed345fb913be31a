"""A context that forgets everything: a program is imported under it, so that its `with entry` blocks write nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


@contextmanager
def scratch_context(runtime: Any) -> Iterator[None]:
    """Push a fresh context with an empty in-memory graph; nothing of it outlives the block."""
    context = _new_context()
    token = runtime.JacRuntime.push_request_context(context)
    try:
        yield
    finally:
        runtime.JacRuntime.reset_request_context(token)


def _new_context() -> Any:
    from dataclasses import MISSING
    from uuid import UUID

    from jaclang.jac0core.archetype import Root
    from jaclang.jac0core.constant import Constants
    from jaclang.runtimelib.context import ExecutionContext
    from jaclang.runtimelib.memory import VolatileMemory

    # jaclang's own constructor opens a database file and reads jac.toml.
    context = object.__new__(ExecutionContext)
    context.mem = VolatileMemory()
    context.reports, context.diagnostics, context.pending_effects, context.read_versions = [], [], [], {}
    context.custom = MISSING
    context.base_path_dir = context.full_target_path = context._parent = None
    context.call_state = ContextVar("call_state")
    anchor = Root().__jac__
    anchor.id = UUID(Constants.SUPER_ROOT_UUID)
    context.mem.put(anchor)
    context.system_root = context.user_root = context.entry_node = anchor
    return context

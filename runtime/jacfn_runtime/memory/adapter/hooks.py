"""jaclang's hooks as a served request needs them. Each steps aside (None means "the next one") where the context is not ours, so
that plain jaclang works in the same process.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from uuid import UUID

from jaclang.jac0core.archetype import (
    AccessLevel,
    Anchor,
    Archetype,
    EdgeAnchor,
    GenericEdge,
    NodeAnchor,
    NodeArchetype,
    Root,
    access_level_cast,
)
from jaclang.jac0core.runtime import JacRuntime, _request_context, hookimpl, plugin_manager

from jacfn_runtime.memory.adapter import access, paths
from jacfn_runtime.memory.adapter.anchors import StoredNode, key
from jacfn_runtime.memory.adapter.context import Context
from jacfn_runtime.memory.errors import AccessDenied
from jacfn_runtime.memory.roots import GUEST_ROOT

_NAME = "jacfn-memory"


def current() -> Context | None:
    """The context of the request that runs here, if one does."""
    context = _request_context.get()
    return context if isinstance(context, Context) else None


def refs(path: Any, post_filter: Any, slc: Any) -> Any:
    context = current()
    return None if context is None else paths.refs(context, path, post_filter, slc)


def build_edge(is_undirected: bool, conn_type: Any, conn_assign: Any) -> Any:
    context = current()
    if context is None:
        return None

    def build(source: Any, target: Any) -> Any:
        edge = conn_type() if isinstance(conn_type, type) else conn_type or GenericEdge()
        anchor = EdgeAnchor(archetype=edge, source=source, target=target, is_undirected=is_undirected)
        anchor.__dict__["order"] = context.mem.order()
        edge.__jac__ = anchor
        source.edges.append(anchor)
        target.edges.append(anchor)
        for name, value in zip(*conn_assign, strict=False) if conn_assign else ():
            if not hasattr(edge, name):
                raise ValueError(f"Invalid attribute: {name}")
            setattr(edge, name, value)
        if source.persistent or target.persistent:
            save(anchor)
        return edge

    return build


def save(obj: Any) -> Any:
    """Make an anchor, and everything that hangs on it and was made in this request, part of the graph."""
    context = current()
    if context is None:
        return None
    pending = [obj.__jac__ if isinstance(obj, Archetype) else obj]
    while pending:
        anchor = pending.pop()
        if not anchor.persistent and not anchor.root:
            anchor.persistent = True
            anchor.root = context.user_root.id
        context.mem.put(anchor)
        if isinstance(anchor, EdgeAnchor):
            near = [anchor.source, anchor.target]
        elif isinstance(anchor, NodeAnchor) and anchor.hash == 0:
            near = list(anchor.edges)
        else:
            near = []
        pending.extend(each for each in near if each.is_populated() and not each.persistent)
    return True


def disconnect(left: Any, right: Any, dir: Any, filter: Any) -> Any:
    context = current()
    if context is None:
        return None
    lefts = [left] if isinstance(left, NodeArchetype) else left
    rights = [right] if isinstance(right, NodeArchetype) else right
    found = list(paths.disconnect(context, lefts, rights, dir, filter))
    for edge, node in found:
        access.demand(context, node, AccessLevel.CONNECT, "edge_delete")
        _destroy(context, edge)
    return bool(found)


def destroy(objs: Any) -> Any:
    context = current()
    if context is None:
        return None
    for each in objs if isinstance(objs, list) else [objs]:
        if not isinstance(each, Archetype | Anchor):
            break
        _destroy(context, each.__jac__ if isinstance(each, Archetype) else each)
    return True


def _destroy(context: Context, anchor: Any) -> None:
    access.demand(context, anchor, AccessLevel.WRITE, "delete")
    if isinstance(anchor, NodeAnchor):
        if isinstance(anchor.archetype, Root):
            raise AccessDenied("delete", "Root", key(anchor))  # its user could never come back
        # Edges that others hung on it go with it, seen or unseen: the store takes every edge at a deleted node.
        for edge in anchor.edges.made[:] if isinstance(anchor, StoredNode) else list(anchor.edges):
            detach(edge)
            context.mem.delete(edge.id)
    elif isinstance(anchor, EdgeAnchor):
        detach(anchor)
    context.mem.delete(anchor.id)


def detach(edge: Any) -> Any:
    """Take an edge out of the lists at its ends, without reading them."""
    if current() is None:
        return None
    for node in (edge.source, edge.target):
        if isinstance(node, StoredNode):
            node.edges.discard(edge)
        else:
            node.edges = [each for each in node.edges if each.id != edge.id]
    return True


def check_access_level(to: Any, no_custom: bool) -> Any:
    context = current()
    return None if context is None else access.level(context, to, no_custom)


def check_read_access(to: Any) -> Any:
    context = current()
    return None if context is None else access.readable(context, to)


def check_connect_access(to: Any, op_hint: str) -> Any:
    context = current()
    return None if context is None else access.demand(context, to, AccessLevel.CONNECT, op_hint)


def check_write_access(to: Any, op_hint: str) -> Any:
    context = current()
    return None if context is None else access.demand(context, to, AccessLevel.WRITE, op_hint)


def allow_root(archetype: Any, root_id: Any, level: Any) -> Any:
    """Roots may be named as `jid(root)` gives them (32 hex digits) or as UUIDs: the same root either way."""
    context = current()
    if context is None:
        return None
    access.demand(context, archetype.__jac__, AccessLevel.WRITE, "grant")
    archetype.__jac__.access.roots.anchors[str(UUID(str(root_id)))] = (
        AccessLevel.READ if level is None else access_level_cast(level)
    )
    return True


def disallow_root(archetype: Any, root_id: Any, level: Any) -> Any:
    context = current()
    if context is None:
        return None
    access.demand(context, archetype.__jac__, AccessLevel.WRITE, "grant")
    archetype.__jac__.access.roots.anchors.pop(str(UUID(str(root_id))), None)
    return True


def perm_grant(archetype: Any, level: Any) -> Any:
    context = current()
    if context is None:
        return None
    access.demand(context, archetype.__jac__, AccessLevel.WRITE, "grant")
    archetype.__jac__.access.all = AccessLevel.READ if level is None else access_level_cast(level)
    return True


def perm_revoke(archetype: Any) -> Any:
    context = current()
    if context is None:
        return None
    access.demand(context, archetype.__jac__, AccessLevel.WRITE, "revoke")
    archetype.__jac__.access.all = AccessLevel.NO_ACCESS
    return True


def thread_run(func: Callable[..., Any], args: tuple[Any, ...] = ()) -> Any:
    """`flow`, as the caller (jaclang's one would run as the system root); the unit of work waits for it before it commits."""
    context = current()
    if context is None:
        return None
    future: Future[Any] = JacRuntime.pool.submit(contextvars.copy_context().run, func, *args)
    context.flows.append(future)
    return future


def get_all_root() -> Any:
    context = current()
    return None if context is None else context.mem.roots()


def shared_root() -> Any:
    """`root.shared`: the guests' root, which everybody may read and attach to unless the program says otherwise."""
    context = current()
    if context is None:
        return _jaclangs_shared_root()
    if context.me == GUEST_ROOT:
        return context.get_root()
    anchor = context.mem.node(GUEST_ROOT)
    if anchor.access.all == AccessLevel.NO_ACCESS:
        context.mem.open_access(anchor, AccessLevel.CONNECT)
    return anchor.archetype


_HOOKS = (
    *(refs, build_edge, save, disconnect, destroy, detach, thread_run, get_all_root),
    *(check_access_level, check_read_access, check_connect_access, check_write_access),
    *(allow_root, disallow_root, perm_grant, perm_revoke),
)
_jaclangs_shared_root = JacRuntime.get_shared_root


def install() -> None:
    """Register the hooks; once per process, however often it is called."""
    if _NAME in dict(plugin_manager.list_name_plugin()):
        return
    os.environ["JAC_TOPOLOGY_INDEX"] = "0"  # a blob on the root that the last writer wins; also the only reason to read jac.toml
    plugin = type("Hooks", (), {hook.__name__: staticmethod(hookimpl(hook)) for hook in _HOOKS})
    plugin_manager.register(plugin, name=_NAME)
    JacRuntime.get_shared_root = staticmethod(shared_root)

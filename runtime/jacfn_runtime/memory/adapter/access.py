"""Who may read, connect to and write what: jaclang's rules, with a refusal that cannot be overlooked.

jaclang answers a denied write with a line in `diagnostics` and goes on; the caller sees 200. Here it raises, at the line that
tried.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from jaclang.jac0core.archetype import AccessLevel, access_level_cast

from jacfn_runtime.memory.adapter.anchors import StoredNode, key
from jacfn_runtime.memory.adapter.context import Context
from jacfn_runtime.memory.errors import AccessDenied


def level(context: Context, to: Any, no_custom: bool = False) -> Any:
    """The caller's AccessLevel on an anchor (the order of rules is jaclang's `check_access_level`)."""
    me = context.user_root
    if context.is_system or key(to) == context.me or not to.persistent or to.hash == 0 or to.root == me.id:
        return AccessLevel.WRITE
    memory = context.mem
    memory.rely_on_access(to)
    if not no_custom and (custom := to.archetype.__jac_access__()) is not None:
        return access_level_cast(custom)
    mine = str(me.id)
    found = to.access.all
    owner = memory.node(to.root.hex) if to.root else None
    if owner is not None:
        memory.rely_on_access(owner)
        found = max(found, owner.access.all, key=lambda each: each.value)
        found = owner.access.roots.anchors.get(mine, found)
    return to.access.roots.anchors.get(mine, found)


def readable(context: Context, to: Any) -> bool:
    """Whether the caller may see this."""
    # The common cases, and no UUID is made for them.
    mine = isinstance(to, StoredNode) and (to.key == context.me or to.document.owner == context.me)
    return mine or bool(level(context, to) != AccessLevel.NO_ACCESS)


def hidden(context: Context, anchors: Collection[Any]) -> set[str]:
    """Those of these that the caller may not see, by id. One round trip for the owners of all of them."""
    context.mem.load_nodes(foreign_owners(context, anchors))
    return {key(each) for each in anchors if not readable(context, each)}


def demand(context: Context, to: Any, least: Any, operation: str) -> bool:
    """True. Raises AccessDenied if the caller has less than this level."""
    if level(context, to).value < least.value:
        raise AccessDenied(operation, type(to.archetype).__name__, key(to), least.name.capitalize())
    return True


def foreign_owners(context: Context, nodes: Iterable[Any]) -> list[str]:
    """The owners of these nodes whose permissions have to be known before `readable` can answer, all at once."""
    owners = {node.document.owner for node in nodes if isinstance(node, StoredNode) and node.key != context.me}
    return [owner for owner in owners if owner and owner != context.me]

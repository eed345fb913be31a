"""Older Jac syntax at run time: jaclang hooks under which code runs that nobody has rewritten before it was compiled.

The `jac` plugin imports this file in every `jac` command, and a function service in every start: it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def resolve_trigger(thunk: Callable[[], Any]) -> Any:
    """What an ability's trigger means: `root`, in whatever way it was spelled, is the class `Root`."""
    from jaclang.jac0core.archetype import Root

    try:
        trigger = thunk()
    except NameError as error:
        if error.name != "root":
            raise
        return Root
    if isinstance(trigger, Root) or (not isinstance(trigger, type) and getattr(trigger, "__name__", "") == "root"):
        return Root
    return trigger


class LegacyTriggers:
    """A jaclang plugin that lets an ability be triggered by `root`, as jaclang up to 0.9 did."""

    @staticmethod
    def set_trigger(trigger_thunk: Callable[[], Any]) -> Callable[[Any], Any]:
        """Hook: stamps the ability with a trigger that resolves at its first dispatch, when forward references are known."""

        def stamp(ability: Any) -> Any:
            ability.__jac_trigger__ = lambda: resolve_trigger(trigger_thunk)
            return ability

        return stamp


LegacyTriggers.set_trigger._jac_hookimpl = True  # type: ignore[attr-defined]  # what jaclang's `@hookimpl` does, without the import


def install_hook(plugin_manager: Any) -> None:
    """Register `LegacyTriggers` with jaclang's plugin manager, once; has to come before the program is imported."""
    if not plugin_manager.is_registered(LegacyTriggers):
        plugin_manager.register(LegacyTriggers, name="jacfn-legacy")

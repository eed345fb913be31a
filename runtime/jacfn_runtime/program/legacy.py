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


def rewrite_sources(tell: Callable[[str], None]) -> None:
    """Let jaclang's compiler read programs in modern spelling; `tell` hears once per process what was older.

    For plain `jac run`. The hook above does not reach ``with `root | Item entry``, which fails before it is called. Code that was
    compiled before comes from jaclang's cache as it is, and then the hook is what helps.
    """
    import sys

    from jaclang.jac0core import helpers

    if getattr(helpers.read_file_with_encoding, "jacfn", False):
        return
    plain = helpers.read_file_with_encoding
    own = helpers.__file__.rpartition("jac0core")[0]
    told: list[str] = []

    def read(file_path: str) -> str:
        source: str = plain(file_path)
        if not file_path.endswith(".jac") or file_path.startswith(own) or "root" not in source:
            return source
        from jacfn_runtime.program.modern import modernize

        modern, rewrites = modernize(source)
        if rewrites and not told:
            told.append(file_path)
            first = rewrites[0]
            tell(f"{file_path}:{first.line}: older Jac syntax, read as today's: `{first.old}` is now spelled `{first.new}`")
        return modern

    read.jacfn = True  # type: ignore[attr-defined]
    helpers.read_file_with_encoding = read
    for name in ("jaclang.jac0core.compiler", "jaclang.jac0core.passes.annex_pass"):
        if hasattr(sys.modules.get(name), "read_file_with_encoding"):
            sys.modules[name].read_file_with_encoding = read  # type: ignore[attr-defined]

"""Older Jac syntax. jaclang 0.16 no longer understands ``with `root entry``, as the jac-scale document's own examples spell it.

`modernize` rewrites the text before it is compiled; lines and columns stay where they are, so that messages and tracebacks point
into the file that the author has open. `LegacyTriggers` is the net under it: a jaclang hook for code that was compiled elsewhere.
Pure, and imports nothing of jaclang at module level: the `jac` plugin imports this file in every `jac` command.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Strings and comments keep their length, but nothing of their text may look like code. `#*` opens a block comment in Jac.
_OPAQUE = re.compile(
    r"""#\*.*?\*\#|\#[^\n]*|[rRbBfF]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL
)
# The part of an ability's head that names its triggers: ``with `root | Item entry``.
_TRIGGERS = re.compile(r"\bwith\s+(?P<triggers>[^{};]*?)\b(?:entry|exit)\b")
_ROOT = re.compile(r"(?<![\w`.])`?root\b(?!\s*[(.])")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One place where older syntax was read as its modern spelling."""

    line: int
    old: str
    new: str


def modernize(source: str) -> tuple[str, tuple[Rewrite, ...]]:
    """The source in modern spelling, of the same length line by line, and what was rewritten."""
    code = _OPAQUE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)
    pieces: list[str] = []
    rewrites: list[Rewrite] = []
    end = 0
    for head in _TRIGGERS.finditer(code):
        for root in _ROOT.finditer(code, head.start("triggers"), head.end("triggers")):
            old = source[head.start() : head.end()]
            at = root.start() - head.start()
            new = f"{old[:at]}Root{old[at + len(root.group()) :]}"
            pieces += [source[end : root.start()], "Root".ljust(len(root.group()))]
            end = root.end()
            rewrites.append(Rewrite(source.count("\n", 0, root.start()) + 1, " ".join(old.split()), " ".join(new.split())))
    return "".join([*pieces, source[end:]]), tuple(rewrites)


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

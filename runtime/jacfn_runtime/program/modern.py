"""Rewrites older Jac syntax before it is compiled. Pure.

jaclang 0.16 no longer understands ``with `root entry``, as the jac-scale document's own examples spell it (facts/jaclang.md 1).
Lines and columns stay where they are, so that messages and tracebacks point into the file that the author has open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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

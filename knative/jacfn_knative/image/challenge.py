"""What a registry answers when it wants to know who asks: the `WWW-Authenticate` header (RFC 9110, section 11.6.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_SCHEME = re.compile(rf"({_WORD})(?:\s+|$)")
_SEPARATOR = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove who one is: `basic`, or `bearer` with the parameters `realm`, `service`, `scope` and perhaps `error`."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """A parameter's value, or the empty string."""
        return self.parameters.get(name, "")


def parse(header: str) -> list[Challenge]:
    """The challenges of a header, in order. What does not follow the grammar ends the reading: what came before it counts."""
    challenges: list[Challenge] = []
    at = _end(_SEPARATOR, header, 0)
    while at < len(header) and (scheme := _SCHEME.match(header, at)):
        parameters: dict[str, str] = {}
        at = scheme.end()
        while found := _PARAMETER.match(header, at):
            name, quoted, plain = found.groups()
            parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            at = _end(_SEPARATOR, header, found.end())
        challenges.append(Challenge(scheme[1].lower(), parameters))
        at = _end(_SEPARATOR, header, at)
    return challenges


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at

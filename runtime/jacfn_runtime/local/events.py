"""What the local target has to tell. Plain data: whoever started it prints it, or does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listening:
    """The gateway is up and requests are taken."""


@dataclass(frozen=True, slots=True)
class Woke:
    """A process listens: 0 -> 1. `seconds` since it was started."""

    service: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Slept:
    """An idle process was stopped: 1 -> 0."""

    service: str


@dataclass(frozen=True, slots=True)
class Called:
    """A request was answered, `seconds` after it came in; `cold` if it had to wait for a process to start."""

    service: str
    method: str
    path: str
    status: int
    seconds: float
    cold: bool


@dataclass(frozen=True, slots=True)
class Logged:
    """A line that a process wrote."""

    service: str
    line: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """A process ended that nobody had stopped, or never listened. `tail` is what it wrote last."""

    service: str
    what: str
    tail: tuple[str, ...]


Event = Listening | Woke | Slept | Called | Logged | Crashed
Report = Callable[[Event], None]

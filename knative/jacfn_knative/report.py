"""What long work says while it runs. Pure: whoever calls decides whether and how it is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Step = Literal["connect", "check", "apply", "keep", "wait", "ready", "verify", "delete", "image", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: in which step, to what (`Kind/name`, an endpoint id, an image), and a line for a person."""

    step: Step
    subject: str
    text: str = ""


Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """A report that nobody reads."""

"""Kubernetes' quantities: `250m`, `0.5`, `128Mi`, `5Gi`. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

# Suffixes of apimachinery's pkg/api/resource.
SUFFIXES = {"m": Decimal("0.001"), "": Decimal(1)}
SUFFIXES |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)}
SUFFIXES |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:([eE]\d+)|(m|k|[MGTPE]|[KMGTPE]i)?)")


def parse(text: str) -> Decimal | None:
    """The number that a quantity means; None for what is no quantity."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    return Decimal(number + (exponent or "")) * SUFFIXES[suffix or ""]


def smaller(first: str, second: str) -> str:
    """The smaller of two quantities; "" is no bound."""
    ours, theirs = parse(first), parse(second)
    if ours is None or theirs is None:
        return first or second
    return first if ours <= theirs else second

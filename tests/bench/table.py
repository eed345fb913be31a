"""One row of evidence: what was measured, on what it is a ratio, and the budget that it must keep."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[2] / ".bench"


@dataclass(frozen=True)
class Row:
    """`value` is in `unit`; with a budget, more than that fails the bench. `detail` holds the raw figures."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def missed(self) -> bool:
        """Whether the budget was missed."""
        return self.budget is not None and self.value > self.budget


def show(rows: Iterable[Row]) -> str:
    """A plain table for people."""
    lines = [f"{'what':62} {'value':>10} {'budget':>8}"]
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:g}"
        lines.append(f"{row.name:62} {row.value:>8.2f} {row.unit:<3}{budget:>6} {'MISSED' if row.missed else ''}".rstrip())
        lines += [f"    {name}: {value}" for name, value in row.detail.items()]
    return "\n".join(lines)


def save(name: str, rows: Iterable[Row]) -> Path:
    """The rows as JSON under .bench/."""
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / f"{name}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    return path

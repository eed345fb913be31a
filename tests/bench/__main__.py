"""`make bench`: every bench, a table for people, JSON under .bench/, exit 1 when a budget of the design is missed.

`python -m tests.bench NAME...` runs only those; benches that need the test cluster are left out where none runs, and say so.
"""

from __future__ import annotations

import importlib
import sys

from tests.bench.table import save, show

BENCHES = ("start", "requests", "roundtrips", "stores", "commands", "wake")


def main(names: list[str]) -> int:
    """Run the benches with these names, all of them without names."""
    missed = []
    for name in names or BENCHES:
        rows = importlib.import_module(f"tests.bench.{name}").measure()
        print(f"== {name}\n{show(rows) if rows else 'not measured here: it needs the test cluster'}\n", flush=True)
        save(name, rows)
        missed += [row.name for row in rows if row.missed]
    print("budgets missed: " + ", ".join(missed) if missed else "all budgets kept")
    return 1 if missed else 0


sys.exit(main(sys.argv[1:]))

"""Runs walkers of a bundle on an embedded store, as a process of its own, and prints their reports as one JSON list.

python walk_once.py BUNDLE DATABASE ROOT WALKER...
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from jacfn_runtime.memory.graph import Graph, Work
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.program.load import load


async def main(bundle: str, database: str, root: str, *walkers: str) -> list[list[Any]]:
    program = load(Path(bundle), "full")
    graph = Graph(SqliteStore(Path(database)))
    await graph.prepare()
    await graph.create_root(root)
    reports = [(await graph.run(Work("walker", program.target(f"walker/{name}"), {}, root))).reports for name in walkers]
    await graph.close()
    return reports


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))

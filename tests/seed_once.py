"""Prepares and seeds an embedded store from a bundle, as a process of its own, and prints what came of it as JSON.

python seed_once.py BUNDLE DATABASE
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.program.load import load


async def main(bundle: str, database: str) -> dict[str, Any]:
    program = load(Path(bundle), "slim")
    graph = Graph(SqliteStore(Path(database)))
    await graph.prepare()
    seeded = await graph.seed(program, main=False)
    counts = dict((await graph.inspect()).counts)
    await graph.close()
    return {"seeded": seeded, "counts": counts}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))

"""`python -m jacfn_runtime init`: the deploy's Job. Stores made ready, the common roots, `with entry` once for this bundle.

Safe to run again and from many places at once: everything it writes is insert-only or happens once by a mark in the store.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from jacfn_runtime.http.log import log, take_over
from jacfn_runtime.memory.errors import StoreUnavailable

if TYPE_CHECKING:
    from jacfn_runtime.memory.graph import Graph
    from jacfn_runtime.program.load import Program
    from jacfn_runtime.settings import Settings

PATIENCE_SECONDS = 300.0  # for stores that a deploy has just started: pulling MongoDB's image takes minutes where it is new
PAUSE_SECONDS = 1.0


def prepare(settings: Settings) -> int:
    """Do it; the exit code. Raises ProgramError with file and line if the program raises, StoreError if no store comes up."""
    from jacfn_runtime.memory.graph import Graph
    from jacfn_runtime.program.load import load

    take_over()
    return asyncio.run(_prepare(load(settings.bundle, settings.loader), Graph.open(settings), settings.run_main))


async def _prepare(program: Program, graph: Graph, main: bool) -> int:
    try:
        await _patiently(graph)
        seeded = await graph.seed(program, main)
        log(
            "info",
            "the program's entry blocks ran" if seeded else "the entry blocks of this bundle ran before",
            bundle=program.hash,
        )
    finally:
        await graph.close()
    return 0


async def _patiently(graph: Graph) -> None:
    """Prepare the stores as soon as they are there. Raises StoreUnavailable when they are not there in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    told = ""
    while True:
        try:
            return await graph.prepare()
        except StoreUnavailable as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != told:
                told = str(error)
                log("warning", f"{error.what}; waiting for it", reason=error.evidence)
        await asyncio.sleep(PAUSE_SECONDS)

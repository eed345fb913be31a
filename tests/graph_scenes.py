"""Runs the scenes of scenes.jac and journeys.jac through a graph, or through plain jaclang in memory.

As a script, through a graph and to JSON: python graph_scenes.py PROGRAM BUNDLE LOADER DATABASE
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path
from queue import Queue
from typing import Any

from jacfn_runtime.memory.graph import Graph, Work
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.memory.store import Store
from jacfn_runtime.program.load import Program, load

ROOT = "a" * 32
Scenes = tuple[tuple[str, dict[str, Any]], ...]
_SCENES: Scenes = (
    *((f"walker/{name}", {}) for name in ("build", "directions", "filters", "edges_seen", "tour", "tour_first", "stop_early")),
    *((f"walker/{name}", {}) for name in ("over_edges", "greeter", "nested", "change", "look", "ids", "loops", "directions")),
    ("function/total", {"names": ["alice", "bob"]}),
    ("function/reporting", {}),
    ("function/numbers", {"n": 3}),
    ("walker/waiting", {}),
    ("function/later", {"x": 1}),
    ("function/in_a_flow", {}),
    ("function/cities", {}),
    *((f"walker/{name}", {}) for name in ("rewire", "islands", "cut_edge", "directions", "cut_node", "after_cut", "edges_seen")),
    *((f"walker/{name}", {}) for name in ("keep", "kept", "retain", "retained")),
)
_JOURNEYS: Scenes = (
    *((f"walker/{name}", {}) for name in ("tracer", "make_chain", "tracer", "edges_typed", "tracer", "cross", "edge_visit")),
    ("function/runit", {}),
    ("function/manual", {}),
    *((f"walker/{name}", {}) for name in ("del_many", "tracer", "del_edges_between", "tracer")),
)
SCENES: dict[str, Scenes] = {"scenes": _SCENES, "journeys": _JOURNEYS}
"""In order: later scenes see what earlier ones left."""

Answer = tuple[Any, Any]


def masked(value: Any) -> Any:
    """Without ids, which are random."""
    if isinstance(value, dict):
        return {key: "id" if key == "_jac_id" else masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


async def through_a_graph(program: Program, scenes: Scenes, store: Store) -> list[Answer]:
    """Every scene as a unit of work of its own, each from an empty memory."""
    graph = Graph(store)
    try:
        await graph.prepare()
        await graph.create_root(ROOT)
        targets = [program.target(endpoint) for endpoint, _ in scenes]
        answers = []
        for (endpoint, arguments), target in zip(scenes, targets, strict=True):
            kind = "walker" if endpoint.startswith("walker") else "function"
            outcome = await graph.run(Work(kind, target, arguments, ROOT))
            answers.append((masked(outcome.result), masked(outcome.reports)))
        return answers
    finally:
        await graph.close()


async def through_plain_jaclang(program: Program, scenes: Scenes) -> list[Answer]:
    """Every scene in one memory that jaclang keeps, without any store."""
    import jaclang.jac0core.runtime as runtime
    from jaclang.runtimelib.context import CallState

    from jacfn_runtime.memory.adapter.answer import answer
    from jacfn_runtime.program.scratch import scratch_context

    targets = [program.target(endpoint) for endpoint, _ in scenes]
    answers = []
    with scratch_context(runtime):
        for (endpoint, arguments), target in zip(scenes, targets, strict=True):
            state = CallState()
            state.reports = Queue()
            runtime.JacRuntime.get_context().call_state.set(state)
            result = target(**arguments)
            if endpoint.startswith("walker"):
                result = runtime.JacRuntime.spawn(result, runtime.JacRuntime.root())
            if inspect.isawaitable(result):
                result = await result
            result = list(result) if inspect.isgenerator(result) else result
            reports = [state.reports.get_nowait() for _ in range(state.reports.qsize())]
            answers.append((masked(answer(result)), masked(answer(reports))))
    return answers


if __name__ == "__main__":
    name, bundle, loader, database = sys.argv[1:]
    loaded = load(Path(bundle), "slim" if loader == "slim" else "full")
    found = asyncio.run(through_a_graph(loaded, SCENES[name], SqliteStore(Path(database))))
    compilers = [name for name in sys.modules if name.startswith("jaclang.compiler") or name == "jaclang.jac0core.compiler"]
    print(json.dumps({"answers": found, "compilers": compilers}))

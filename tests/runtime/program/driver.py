"""Runs steps against a loaded bundle and prints what came out, as JSON. A process of its own for each run.

Each step is `[user, endpoint id, arguments]`, or `[user, endpoint id, arguments, index]` to start a walker at the index-th node
that was reported before. All users share one in-memory graph; each has a root of their own, so that jaclang's permissions apply.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from uuid import UUID

from jacfn_runtime.program.arguments import InvalidArguments, arguments_type, bind
from jacfn_runtime.program.load import Program, load
from jacfn_runtime.program.scratch import _Context, _Memory


class CallState:
    def __init__(self) -> None:
        self.reports: Queue[Any] = Queue()


class Context(_Context):
    """A context of one user over the shared memory."""

    def __init__(self, memory: _Memory, system_root: Any, user_root: Any) -> None:
        super().__init__()
        self.mem = memory
        self._system_root = system_root
        self.__dict__["user_root"] = user_root

    @property
    def system_root(self) -> Any:
        return self._system_root


class Graph:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.memory = _Memory()
        self.system_root = self.root(UUID(int=0))
        self.users: dict[str, Any] = {}
        self.reported: list[Any] = []

    def root(self, id: UUID | None = None) -> Any:
        from jaclang.jac0core.archetype import Root

        anchor = Root().__jac__
        anchor.persistent = True
        anchor.id = id or anchor.id
        self.memory.put(anchor)
        return anchor

    async def step(self, user: str, endpoint_id: str, arguments: dict[str, Any], at: int | None = None) -> Any:
        from jaclang.jac0core.archetype import NodeArchetype
        from jaclang.jac0core.osp_kernel_sv import isolate_request_walk_stack
        from jaclang.jac0core.runtime import JacRuntime as Jac
        from jaclang.runtimelib.serializer import Serializer

        target = self.program.target(endpoint_id)
        root = self.users.setdefault(user, self.root())
        context = Context(self.memory, self.system_root, root)
        state = CallState()
        context.call_state.set(state)
        token = Jac.push_request_context(context)
        isolate_request_walk_stack()
        try:
            kwargs = bind(arguments_type(target, self.program.catalog[endpoint_id]), arguments)
            if endpoint_id.startswith("walker/"):
                start = root.archetype if at is None else self.reported[at]
                result = Jac.spawn(target(**kwargs), start)
            else:
                result = target(**kwargs)
            result = await result if inspect.isawaitable(result) else result
        except InvalidArguments as error:
            return {"invalid": error.problems}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            Jac.reset_request_context(token)
        for anchor in list(self.memory.get_mem().values()):
            anchor.hash = 1  # as a commit would leave it: from now on permissions count
        reports = drain(state.reports)
        flat = [each for item in reports for each in (item if isinstance(item, list) else [item])]
        self.reported += [each for each in flat if isinstance(each, NodeArchetype)]
        denied = sorted({item.message().partition("[")[0] for item in context.diagnostics})
        plain = {
            "result": Serializer.serialize(result, api_mode=True),
            "reports": Serializer.serialize(reports, api_mode=True),
            **({"denied": denied} if denied else {}),
        }
        return masked(plain)


def drain(queue: Queue[Any]) -> list[Any]:
    items = []
    while True:
        try:
            items.append(queue.get_nowait())
        except Empty:
            return items


def masked(value: Any) -> Any:
    """Ids differ between runs."""
    if isinstance(value, dict):
        return {key: "id" if key == "_jac_id" else masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value


async def main(folder: str, loader: str, steps: str) -> None:
    program = load(Path(folder), loader)  # type: ignore[arg-type]
    graph = Graph(program)
    results = [await graph.step(*step) for step in json.loads(steps)]
    compiler = sorted(name for name in sys.modules if name in ("jaclang.jac0core.compiler", "jaclang.jac0core.unitree"))
    print(json.dumps({"results": results, "loader": program.loader, "aside": program.steps_aside, "compiler": compiler}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

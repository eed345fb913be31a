"""A graph on an embedded store for each test, and the programs beside this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jac_programs import loaded
from jacfn_runtime.memory.graph import Graph, Work
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.program.load import Program

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
async def graph(tmp_path: Path) -> AsyncIterator[Graph]:
    opened = Graph(SqliteStore(tmp_path / "graph.db"), threads=4)
    await opened.prepare()
    yield opened
    await opened.close()


@pytest.fixture
def program() -> Callable[[str], Program]:
    """The program programs/NAME.jac."""
    return lambda name: loaded(PROGRAMS / f"{name}.jac")


class User:
    """A caller with a root: `await user.walk("name", node=..., field=...)` gives the reports."""

    def __init__(self, graph: Graph, program: Program, root: str) -> None:
        self.graph, self.program, self.root = graph, program, root

    async def walk(self, name: str, node: str | None = None, **fields: Any) -> list[Any]:
        return (await self.graph.run(Work("walker", self.program.target(f"walker/{name}"), fields, self.root, node))).reports

    async def call(self, name: str, **arguments: Any) -> Any:
        return (await self.graph.run(Work("function", self.program.target(f"function/{name}"), arguments, self.root))).result


@pytest.fixture
def user(graph: Graph) -> Callable[[Program, str], User]:
    return lambda program, root: User(graph, program, root)

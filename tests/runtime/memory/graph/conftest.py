"""Stores that a test's processes share, graphs on them, and the programs beside this file."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jac_programs import loaded
from jacfn_runtime.memory.graph import Graph, Outcome, Work
from jacfn_runtime.memory.open import open_store
from jacfn_runtime.memory.store import Store
from jacfn_runtime.program.load import Program
from jacfn_runtime.settings import Settings

PROGRAMS = Path(__file__).parent / "programs"
ALICE, BOB = "a" * 32, "b" * 32


@pytest.fixture(params=["embedded", "mongodb", "mongodb+redis"])
def store_factory(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes stores of one app, as each of its processes has one."""
    app = f"t{secrets.token_hex(6)}"
    settings = Settings(bundle=tmp_path, app=app, shelf_db_path=tmp_path / "graph.db")
    if "mongodb" in request.param:
        uri = request.getfixturevalue("mongodb").url.replace("/?", f"/{app}?")
        settings = msgspec.structs.replace(settings, mongodb_uri=uri)
    if "redis" in request.param:
        settings = msgspec.structs.replace(settings, redis_url=request.getfixturevalue("redis").url)
    return lambda: open_store(settings)


@pytest.fixture
def store(store_factory: Callable[[], Store]) -> Store:
    return store_factory()


@pytest.fixture
async def graph(store: Store) -> AsyncIterator[Graph]:
    opened = Graph(store, threads=16)
    await opened.prepare()
    await opened.create_root(ALICE)
    yield opened
    await opened.close()


@pytest.fixture
def program() -> Program:
    return loaded(PROGRAMS / "contended.jac")


class User:
    """A caller with a root: `await user.walk("name", node=..., field=...)` gives the reports."""

    def __init__(self, graph: Graph, program: Program, root: str = ALICE) -> None:
        self.graph, self.program, self.root = graph, program, root

    async def run(
        self, kind: Any, name: str, /, node: str | None = None, isolation: Any = "serializable", **fields: Any
    ) -> Outcome:
        target = self.program.target(f"{kind}/{name}")
        return await self.graph.run(Work(kind, target, fields, self.root, node, isolation))

    async def walk(self, name: str, /, node: str | None = None, **fields: Any) -> list[Any]:
        return (await self.run("walker", name, node, **fields)).reports

    async def call(self, name: str, /, **arguments: Any) -> Any:
        return (await self.run("function", name, **arguments)).result


@pytest.fixture
def alice(graph: Graph, program: Program) -> User:
    return User(graph, program)

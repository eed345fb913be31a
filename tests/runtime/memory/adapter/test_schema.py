"""A program that changed since its nodes were written: what was added, removed, retyped, renamed or dropped."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import walk_once
from jac_programs import bundled, loaded
from jacfn_runtime.memory.errors import UnknownClass
from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.program.load import Program

ALICE = "a" * 32
SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture
async def alice(graph: Graph, tmp_path: Path, user: Callable[[Program, str], Any]) -> Any:
    """Alice under the new program, on the nodes that the old one wrote."""
    await graph.create_root(ALICE)
    alice = user(loaded(SCHEMAS / "after" / "evolving.jac"), ALICE)
    alice.database = tmp_path / "graph.db"
    alice.ids = before(alice.database, "make")
    return alice


def before(database: Path, *walkers: str) -> list[Any]:
    """What these walkers of the old program report."""
    bundle = bundled(SCHEMAS / "before" / "evolving.jac")
    command = [sys.executable, walk_once.__file__, str(bundle), str(database), ALICE, *walkers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


async def test_added_fields_get_their_defaults_and_retyped_ones_are_coerced(alice: Any) -> None:
    assert await alice.walk("look") == [["one", 5.0, ["new"], "none"], [7]]


async def test_looking_at_an_old_node_writes_nothing(alice: Any) -> None:
    await alice.walk("look")
    with sqlite3.connect(alice.database) as connection:
        assert connection.execute("SELECT max(version) FROM nodes").fetchone() == (0,)
    connection.close()


async def test_a_removed_field_is_still_there_after_a_write_and_a_way_back(alice: Any) -> None:
    await alice.walk("touch")
    assert await alice.walk("look") == [["one", 5.0, ["new", "more"], "written"], [7]]
    assert before(alice.database, "look") == [[["kept"]]]


async def test_a_class_that_says_what_it_was_called_finds_its_nodes(alice: Any) -> None:
    assert await alice.walk("look_renamed") == [["t"]]


async def test_an_unknown_class_fails_the_request_by_name_and_loses_nothing(alice: Any) -> None:
    before(alice.database, "make_gone")
    with pytest.raises(UnknownClass, match=r"The store holds a evolving\.Gone"):
        await alice.walk("read_any")
    counts = (await alice.graph.inspect()).counts
    assert counts["evolving.Gone"] == 1


async def test_an_unknown_class_elsewhere_does_not_disturb(alice: Any) -> None:
    ((thing,),) = alice.ids
    before(alice.database, "make_gone")
    assert await alice.walk("on_node", node=thing) == ["one"]

"""`with entry` blocks run once per bundle, in one commit, as the system root; roots are there once, whoever comes first."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import seed_once
from jac_programs import bundled, loaded
from jacfn_runtime.errors import ProgramError
from jacfn_runtime.memory.graph import GUEST_ROOT, SYSTEM_ROOT, Graph
from jacfn_runtime.memory.store import Store

from .conftest import ALICE, PROGRAMS, User


async def test_seeds_are_there_once_and_belong_to_the_system_root(graph: Graph) -> None:
    program = loaded(PROGRAMS / "seeded.jac")
    assert await graph.seed(program, main=False) is True
    assert await graph.seed(program, main=False) is False
    counts = (await graph.inspect()).counts
    assert counts["seeded.Category"] == 2
    assert await User(graph, program, ALICE).walk("categories") == [["books"], ALICE]


async def test_main_blocks_run_when_asked_for(graph: Graph) -> None:
    program = loaded(PROGRAMS / "seeded.jac")
    await graph.seed(program, main=True)
    assert (await User(graph, program, ALICE).walk("categories"))[0] == ["books", "main"]


async def test_a_seed_that_raises_says_where_and_writes_nothing(graph: Graph) -> None:
    program = loaded(PROGRAMS / "badly_seeded.jac")
    for _ in range(2):
        with pytest.raises(ProgramError) as caught:
            await graph.seed(program, main=False)
        assert "no seeds today" in str(caught.value)
        assert "badly_seeded.jac:8" in str(caught.value)
    assert "badly_seeded.Category" not in (await graph.inspect()).counts


def test_processes_that_start_together_seed_once(tmp_path: Path) -> None:
    bundle = bundled(PROGRAMS / "seeded.jac")
    command = [sys.executable, seed_once.__file__, str(bundle), str(tmp_path / "graph.db")]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(subprocess.run, command, capture_output=True, text=True, timeout=100, check=True) for _ in range(4)]
    told = [json.loads(run.result().stdout.splitlines()[-1]) for run in runs]
    assert sorted(each["seeded"] for each in told) == [False, False, False, True]
    assert max(each["counts"]["seeded.Category"] for each in told) == 2


async def test_twenty_processes_may_prepare_at_once(store_factory: Callable[[], Store]) -> None:
    graphs = [Graph(store_factory(), threads=1) for _ in range(20)]
    await asyncio.gather(*(graph.prepare() for graph in graphs), *(graph.create_root(ALICE) for graph in graphs))
    reader = graphs[0].store.reader()
    assert reader.nodes([SYSTEM_ROOT, GUEST_ROOT, ALICE]).keys() == {SYSTEM_ROOT, GUEST_ROOT, ALICE}
    reader.close()
    assert dict((await graphs[0].inspect()).counts) == {"jac.Root": 3}
    for graph in graphs:
        await graph.close()


async def test_preparing_again_changes_nothing(graph: Graph, alice: Any) -> None:
    await alice.walk("append_tag", name="kept")
    await graph.prepare()
    await graph.create_root(ALICE)
    assert await alice.walk("tags") == [["kept"]]

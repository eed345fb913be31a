"""kill -9 of a writer in the middle of its work: every acknowledged commit is there, and no half of any."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import servers
import store_scenes as scenes
import store_worker
from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.store import Store

WORKER = Path(store_worker.__file__)
TRANSACTION_LIFETIME = 60.0  # seconds, MongoDB's default: for so long it keeps what a killed client had open


def pair_once_free(store: Store, node_id: str) -> None:
    """No lock is left behind for longer than MongoDB lets the transaction of a dead client live."""
    deadline = time.monotonic() + TRANSACTION_LIFETIME + 10
    while True:
        try:
            store_worker.pairs(store, node_id)
            return
        except Conflict:
            assert time.monotonic() < deadline, "the dead writer's lock is still there"


@pytest.mark.timeout(240)  # a killed writer's transaction may have to run out, twice
@pytest.mark.parametrize("kind", ["sqlite", "mongodb"])
def test_what_was_acknowledged_survives_and_nothing_is_half_written(
    kind: str, tmp_path: Path, app_name: str, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        address = str(tmp_path / "graph.db")
    else:
        server: servers.Server = request.getfixturevalue("mongodb")
        address = server.url.replace("/?", f"/{app_name}?")
    store = store_worker.open_store(kind, address, "", app_name)
    store.prepare()
    hub = scenes.node()
    scenes.create(store, hub)
    acknowledged: list[str] = []
    for _ in range(2):
        command = [sys.executable, str(WORKER), kind, address, "", app_name, "pairs", hub.id, "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().strip() for _ in range(30)]
            process.kill()
            acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
        pair_once_free(store, hub.id)
    found = {each.target for each in scenes.read_adjacency(store, hub).edges}
    assert found >= set(acknowledged)
    counts = store.count_by_type()
    assert counts["main.Item"] == 1 + 2 * len(found)
    assert counts["jac.Edge"] == 2 * len(found)
    assert store.dangling_edges() == []
    store.close()

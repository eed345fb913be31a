"""Every conformance test runs against every store, on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import servers
import store_scenes as scenes
from jacfn_runtime.memory.mongo import MongoStore
from jacfn_runtime.memory.redis import RedisStore
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.memory.store import Store
from jacfn_runtime.memory.truth import Truth

Open = Callable[[], Store]
KINDS = ("sqlite", "mongodb", "sqlite+redis", "mongodb+redis")


@pytest.fixture
def app_name() -> str:
    """A database and app of this test's own."""
    return f"t{scenes.new_id()[:12]}"


def mongodb_uri(server: servers.Server, database: str) -> str:
    return server.url.replace("/?", f"/{database}?")


@pytest.fixture(params=KINDS)
def open_store(request: pytest.FixtureRequest, tmp_path: Path, app_name: str) -> Iterator[Open]:
    """Opens the same graph once more, as another process would."""
    opened: list[Store] = []

    def open_once() -> Store:
        truth: Truth
        if request.param.startswith("sqlite"):
            truth = SqliteStore(tmp_path / "graph" / "anchor_store.db")
        else:
            truth = MongoStore(mongodb_uri(request.getfixturevalue("mongodb"), app_name), app_name)
        store: Store = truth
        if request.param.endswith("redis"):
            store = RedisStore(truth, request.getfixturevalue("redis").url, app_name)
        opened.append(store)
        return store

    yield open_once
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Open) -> Store:
    opened = open_store()
    opened.prepare()
    return opened

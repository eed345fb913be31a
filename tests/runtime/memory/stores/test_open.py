"""Which store the settings name, and what that costs a process that does not need the others."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

import servers
import store_scenes as scenes
from jacfn_runtime.memory.errors import StoreRefused, StoreUnavailable
from jacfn_runtime.memory.mongo import MongoStore
from jacfn_runtime.memory.open import open_store
from jacfn_runtime.memory.redis import RedisStore
from jacfn_runtime.memory.sqlite import SqliteStore
from jacfn_runtime.settings import Settings

NOWHERE = "mongodb://127.0.0.1:1/jac_db?serverSelectionTimeoutMS=300"


def settings(tmp_path: Path, **values: object) -> Settings:
    return Settings(bundle=tmp_path, shelf_db_path=tmp_path / "graph.db", **values)  # type: ignore[arg-type]


def test_without_servers_it_is_the_embedded_file(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path))
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "graph.db"


def test_with_mongodb_it_is_mongodb_and_with_redis_redis_in_front(tmp_path: Path) -> None:
    assert isinstance(open_store(settings(tmp_path, mongodb_uri=NOWHERE)), MongoStore)
    store = open_store(settings(tmp_path, mongodb_uri=NOWHERE, redis_url="redis://127.0.0.1:1"))
    assert isinstance(store, RedisStore)
    assert isinstance(store.truth, MongoStore)
    assert store.name == "mongodb"


def test_a_driver_may_be_imported_when_it_is_first_used(tmp_path: Path) -> None:
    imported: list[str] = []
    with_redis = settings(tmp_path, mongodb_uri=NOWHERE, redis_url="redis://127.0.0.1:1")
    for one in (settings(tmp_path, mongodb_uri=NOWHERE), with_redis):
        store = open_store(one, lambda: imported.append("pymongo"))
        assert (store.name, imported) == ("mongodb", [])
        with pytest.raises(StoreUnavailable):
            store.mark("x")
        with pytest.raises(StoreUnavailable):
            store.mark("x")
        assert imported.pop() == "pymongo"
        assert imported == []
        store.close()


def test_a_store_that_nobody_used_is_closed_without_its_driver(tmp_path: Path) -> None:
    imported: list[str] = []
    open_store(settings(tmp_path, mongodb_uri=NOWHERE), lambda: imported.append("pymongo")).close()
    assert imported == []


def test_opening_neither_connects_nor_fails_when_a_store_is_away(tmp_path: Path) -> None:
    store = open_store(settings(tmp_path, mongodb_uri=NOWHERE, redis_url="redis://127.0.0.1:1"))
    assert store.round_trips == 0
    with pytest.raises(StoreUnavailable):
        store.mark("x")
    store.close()


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused):
        open_store(settings(tmp_path, redis_url="localhost:6379"))


def test_a_laptop_may_fall_back_to_the_file_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(settings(tmp_path, mongodb_uri=NOWHERE, on_unavailable="embedded"))
    with caplog.at_level(logging.WARNING):
        scenes.create(store, item := scenes.node())
    assert scenes.read_node(store, item) == item
    assert store.name == "embedded"
    assert store.tiers() == {"embedded": "ok"}
    (warning,) = caplog.records
    assert str(tmp_path / "graph.db") in warning.getMessage()
    store.close()


def test_a_laptop_uses_mongodb_when_it_is_there(tmp_path: Path, mongodb: servers.Server, app_name: str) -> None:
    uri = mongodb.url.replace("/?", f"/{app_name}?")
    store = open_store(settings(tmp_path, mongodb_uri=uri, app=app_name, on_unavailable="embedded"))
    store.prepare()
    assert store.name == "mongodb"
    store.close()
    assert not (tmp_path / "graph.db").exists()


@pytest.mark.parametrize(
    ("values", "absent"),
    [
        ("", {"pymongo", "redis", "asyncio", "ssl"}),
        (", mongodb_uri='mongodb://127.0.0.1:1/x'", {"redis"}),
        (", mongodb_uri='mongodb://127.0.0.1:1/x', redis_url='redis://127.0.0.1:1'", {"redis"}),
    ],
    ids=["embedded", "mongodb", "both"],
)
def test_no_driver_is_imported_that_is_not_needed(values: str, absent: set[str]) -> None:
    code = f"""
import sys
from pathlib import Path
from jacfn_runtime.memory.open import open_store
from jacfn_runtime.settings import Settings
open_store(Settings(bundle=Path("x"){values}))
print(*sys.modules)
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not absent & set(loaded)

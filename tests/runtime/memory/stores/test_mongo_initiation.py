"""A MongoDB as a deploy leaves it: with a root user, a key file, and a replica set that nobody has initiated."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import servers
import store_scenes as scenes
from jacfn_runtime.memory.errors import StoreRefused, StoreUnavailable
from jacfn_runtime.memory.mongo import MongoStore

MONGOD = Path(__file__).parents[5] / "shared" / "cluster" / "images" / "mongod"
PASSWORD = "correct-horse"

pytestmark = pytest.mark.skipif(not MONGOD.exists(), reason="../shared/cluster has the stand-in for mongod")


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As the provisioned one: knative/manifests/data.py."""
    monkeypatch.setenv("MONGO_INITDB_ROOT_USERNAME", "jacfn")
    monkeypatch.setenv("MONGO_INITDB_ROOT_PASSWORD", PASSWORD)
    (tmp_path / "keyfile").write_text("k" * 64)
    (tmp_path / "keyfile").chmod(0o400)
    port = servers.free_port()
    command = [sys.executable, str(MONGOD), "--replSet", "rs0", "--keyFile", str(tmp_path / "keyfile"), "--bind_ip", "127.0.0.1"]
    command += ["--port", str(port), "--dbpath", str(tmp_path / "data")]
    address = f"mongodb://jacfn:{PASSWORD}@127.0.0.1:{port}/jac_db?authSource=admin&directConnection=true"
    server = servers.Server(command, port, address, tmp_path).start()
    assert os.environ["MONGO_INITDB_ROOT_USERNAME"] == "jacfn"
    yield server.url
    server.stop()


def test_the_first_prepare_initiates_it_and_everybody_can_work(uri: str) -> None:
    early = MongoStore(uri, "app")
    assert "not initiated" in early.health()
    stores = [MongoStore(uri, "app") for _ in range(5)]
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda store: store.prepare(), stores))
    item = scenes.node()
    scenes.create(stores[0], item)
    assert scenes.read_node(stores[4], item) == item
    assert stores[1].health() == "ok"
    stores[1].prepare()
    for store in (early, *stores):
        store.close()


def test_before_it_is_initiated_a_request_hears_unavailable_or_initiates_it(uri: str) -> None:
    store = MongoStore(uri, "app")
    try:
        scenes.create(store, scenes.node())
    except StoreUnavailable as error:
        assert error.retry_after > 0
    store.prepare()
    scenes.create(store, scenes.node())
    store.close()


def test_a_wrong_password_is_refused_and_not_shown(uri: str) -> None:
    store = MongoStore(uri.replace(PASSWORD, "battery-staple"), "app")
    with pytest.raises(StoreRefused, match="login is refused") as refused:
        store.prepare()
    assert "battery-staple" not in str(refused.value)
    assert "login is refused" in store.health()
    store.close()

"""What is the embedded file's own."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

import store_scenes as scenes
from jacfn_runtime.memory.errors import FormatTooNew, StoreRefused, StoreUnavailable
from jacfn_runtime.memory.sqlite import IDLE_CONNECTIONS, SqliteStore


def test_the_folder_is_made_and_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / ".jac" / "data" / "anchor_store.db")
    store.prepare()
    scenes.create(store, scenes.node())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in store.path.parent.iterdir()}
    store.close()
    assert set(modes) >= {"anchor_store.db", "anchor_store.db-wal"}
    assert set(modes.values()) == {0o600}


def test_opening_touches_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.db")
    store.reader().close()
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_committed_is_there_after_closing_and_opening_again(tmp_path: Path) -> None:
    item = scenes.node(n=1)
    for _ in range(2):
        store = SqliteStore(tmp_path / "graph.db")
        if not scenes.read_nodes(store, item):
            scenes.create(store, item)
        assert scenes.read_node(store, item) == item
        store.close()
        assert scenes.read_node(store, item) == item  # a closed store opens again
        store.close()


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "graph.db").write_bytes(b"not a database, but long enough to look at" * 40)
    store = SqliteStore(tmp_path / "graph.db")
    with pytest.raises(StoreRefused, match=r"graph\.db"):
        store.prepare()
    assert "not a database" in store.health()


def test_a_folder_that_cannot_be_made_is_unavailable_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteStore(tmp_path / "file" / "graph.db")
    with pytest.raises(StoreUnavailable, match=r"Not a directory|File exists"):
        scenes.read_nodes(store, scenes.new_id())
    assert "embedded store" in store.health()


def test_a_newer_format_is_refused_with_both_versions(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.db")
    item = scenes.node()
    scenes.create(store, item)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE nodes SET format = 3")
    with pytest.raises(FormatTooNew, match=r"format 3.* up to format 1"):
        scenes.read_node(store, item)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
    connection.close()
    with pytest.raises(FormatTooNew, match="format 2"):
        store.prepare()


def test_any_number_of_readers_may_be_open_and_few_connections_stay(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.db")
    item = scenes.node()
    scenes.create(store, item)
    readers = [store.reader() for _ in range(3 * IDLE_CONNECTIONS)]
    assert all(reader.nodes([item.id]) == {item.id: item} for reader in readers)
    for reader in readers:
        reader.close()
    assert len(store._idle) == IDLE_CONNECTIONS
    store.close()


def test_a_reader_does_not_hold_up_a_writer(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "graph.db")
    item = scenes.node()
    scenes.create(store, item)
    reader = store.reader()
    reader.nodes([item.id])
    scenes.create(store, scenes.node())
    reader.close()
    assert store.count_by_type() == {"main.Item": 2}
    store.close()

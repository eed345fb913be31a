"""The embedded store: one SQLite file in WAL mode. What a laptop and the tests use; a pod's own disk is no store.

* Readers see one snapshot: all reads of a reader run in one deferred transaction, which WAL never lets a writer disturb.
* Writers queue up: `BEGIN IMMEDIATE` takes the only write lock before the first version is checked, so what was checked is still
  true when it is written, and a guard needs no write of its own (facts/stores.md: the alternatives lost acknowledged writes).
* `synchronous=FULL`: a commit returns when it is on the disk, so neither kill -9 nor a power cut loses what was acknowledged.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from jacfn_runtime.memory.errors import FormatTooNew, StoreRefused, StoreUnavailable
from jacfn_runtime.memory.sqlite_commit import apply
from jacfn_runtime.memory.sqlite_rows import EDGE, NODE, SCHEMA, id_list, to_edge, to_node
from jacfn_runtime.memory.store import FORMAT, Adjacency, ChangeSet, Edge, Node, adjacencies
from jacfn_runtime.memory.truth import CLOSED

BUSY_SECONDS = 10.0  # how long a writer queues behind other processes before it says 503; a commit takes milliseconds
IDLE_CONNECTIONS = 8  # kept open for the next request; more are opened while more requests run at once, and closed after


class SqliteStore:
    """A graph in one file. Thread-safe; several processes may share the file."""

    name = "embedded"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.round_trips = 0
        self._idle: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        self._commit_lock = threading.Lock()  # threads queue here, in order, instead of polling SQLite's lock
        self._ready = False

    def reader(self, *, fresh: bool = False) -> SqliteReader:
        """A reader for one attempt; it takes a connection at its first read. There are no copies, so `fresh` changes nothing."""
        return SqliteReader(self)

    def commit(self, changes: ChangeSet, *, guard: bool = True) -> None:
        """See Store.commit."""
        if changes.empty:
            return
        with self._commit_lock, self._connection() as connection:
            self.round_trips += 1
            with transaction(connection, "IMMEDIATE"):
                apply(connection, changes, guard)

    def mark(self, key: str) -> str | None:
        """See Store.mark."""
        with self._connection() as connection:
            self.round_trips += 1
            row = connection.execute("SELECT value FROM marks WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def prepare(self) -> None:
        """Make the folder, the file and its tables. Raises FormatTooNew, StoreUnavailable."""
        with self._connection():
            pass

    def count_by_type(self) -> dict[str, int]:
        """See Store.count_by_type."""
        query = "SELECT type, count(*) FROM (SELECT type FROM nodes UNION ALL SELECT type FROM edges) GROUP BY type ORDER BY type"
        with self._connection() as connection:
            self.round_trips += 1
            return {str(name): int(count) for name, count in connection.execute(query)}

    def dangling_edges(self) -> list[Edge]:
        """See Store.dangling_edges."""
        query = f"SELECT {EDGE} FROM edges WHERE source NOT IN (SELECT id FROM nodes) OR target NOT IN (SELECT id FROM nodes)"  # noqa: S608  EDGE is a constant
        with self._connection() as connection:
            self.round_trips += 1
            return [to_edge(row) for row in connection.execute(query)]

    def health(self) -> str:
        """`ok`, or why the file cannot be used."""
        try:
            with self._connection() as connection:
                connection.execute("SELECT 1 FROM meta").fetchone()
        except (StoreUnavailable, StoreRefused, FormatTooNew) as error:
            return str(error)
        return "ok"

    def tiers(self) -> dict[str, str]:
        """See Store.tiers."""
        return {self.name: self.health()}

    def store_id(self) -> str:
        """See Truth.store_id."""
        return self._meta("id") or ""

    def cache_life(self) -> str | None:
        """See Truth.cache_life."""
        return self._meta("cache_life")

    def open_cache(self, life: str, instead_of: str | None) -> bool:
        """See Truth.open_cache."""
        if instead_of is None:
            query, values = "INSERT OR IGNORE INTO meta (key, value) VALUES ('cache_life', ?)", [life]
        else:
            query, values = "UPDATE meta SET value = ? WHERE key = 'cache_life' AND value = ?", [life, instead_of]
        with self._commit_lock, self._connection() as connection:
            self.round_trips += 1
            return connection.execute(query, values).rowcount == 1

    def close_cache(self) -> float:
        """See Truth.close_cache."""
        put = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        with self._commit_lock, self._connection() as connection, transaction(connection, "IMMEDIATE"):
            found = dict(connection.execute("SELECT key, value FROM meta WHERE key IN ('cache_life', 'cache_closed')").fetchall())
            now = time.time()
            if found.get("cache_life") == CLOSED:
                return max(0.0, now - float(found["cache_closed"]))
            connection.executemany(put, [("cache_life", CLOSED), ("cache_closed", repr(now))])
            return 0.0

    def _meta(self, key: str) -> str | None:
        with self._connection() as connection:
            self.round_trips += 1
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def close(self) -> None:
        """Close the idle connections; those in use close when they come back."""
        with self._pool_lock:
            idle, self._idle, self._ready = self._idle, [], False
        for connection in idle:
            connection.close()

    def take(self) -> sqlite3.Connection:
        """A connection for one thread at a time; give it back with `give_back`."""
        with self._pool_lock:
            if self._idle:
                return self._idle.pop()
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            raise self.unavailable(error) from error
        except OSError as error:
            raise StoreUnavailable("The embedded store", f"{self.path}: {error.strerror}") from error
        with self._pool_lock:
            self._ready = True
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Keep the connection for the next request, or close it."""
        if connection.in_transaction:
            connection.rollback()
        with self._pool_lock:
            if self._ready and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def unavailable(self, error: sqlite3.Error) -> StoreUnavailable | StoreRefused:
        """What a driver's error means to a caller."""
        if isinstance(error, sqlite3.OperationalError):
            return StoreUnavailable("The embedded store", f"{self.path}: {error}")
        return StoreRefused(
            "The embedded store cannot be used", evidence=f"{self.path}: {error}", next_step="Move the file away."
        )

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self.take()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self.unavailable(error) from error
        finally:
            self.give_back(connection)

    def _connect(self) -> sqlite3.Connection:
        if not self._ready:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Made here and not by SQLite, so that nobody else on the machine may read it; its WAL inherits the mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            if not self._ready:
                _use_wal(connection)
                with transaction(connection, "IMMEDIATE"):
                    _create(connection)
        except BaseException:
            connection.close()
            raise
        return connection


class SqliteReader:
    """All reads of one attempt, in one deferred transaction: one snapshot, taken at the first read."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()  # a walker's `flow` threads read through the same reader

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        """See Reader.nodes."""
        query = f"SELECT {NODE} FROM nodes WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608  NODE is a constant
        with self._reading() as connection:
            return {node.id: node for node in map(to_node, connection.execute(query, (id_list(ids),)))}

    def edges(self, node_ids: Collection[str]) -> dict[str, Adjacency]:
        """See Reader.edges."""
        wanted = id_list(node_ids)
        versions = "SELECT id, edges_version FROM nodes WHERE id IN (SELECT value FROM json_each(?))"
        query = (
            f"SELECT {EDGE} FROM edges WHERE source IN (SELECT value FROM json_each(?)) "  # noqa: S608  EDGE is a constant
            f"UNION ALL SELECT {EDGE} FROM edges WHERE target IN (SELECT value FROM json_each(?)) "
            "AND source NOT IN (SELECT value FROM json_each(?))"
        )
        with self._reading() as connection:
            found = dict(connection.execute(versions, (wanted,)).fetchall())
            edges = [to_edge(row) for row in connection.execute(query, (wanted, wanted, wanted))]
        return adjacencies(found, edges)

    def edges_by_id(self, ids: Collection[str]) -> dict[str, Edge]:
        """See Reader.edges_by_id."""
        query = f"SELECT {EDGE} FROM edges WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608  EDGE is a constant
        with self._reading() as connection:
            return {edge.id: edge for edge in map(to_edge, connection.execute(query, (id_list(ids),)))}

    def nodes_of_type(self, type: str) -> dict[str, Node]:
        """See Reader.nodes_of_type."""
        query = f"SELECT {NODE} FROM nodes WHERE type = ?"  # noqa: S608  NODE is a constant
        with self._reading() as connection:
            return {node.id: node for node in map(to_node, connection.execute(query, (type,)))}

    def confirm(self) -> bool:
        """Always: a snapshot was read."""
        return True

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            self._store.give_back(connection)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                self._connection = self._store.take()
            self._store.round_trips += 1
            try:
                if not self._connection.in_transaction:
                    self._connection.execute("BEGIN DEFERRED")
                yield self._connection
            except sqlite3.Error as error:
                raise self._store.unavailable(error) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Everything inside happens at once or not at all."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _use_wal(connection: sqlite3.Connection) -> None:
    """The mode is a property of the file. Its first change needs the file alone, and SQLite does not queue for that: we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _create(connection: sqlite3.Connection) -> None:
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(
        "INSERT OR IGNORE INTO meta (key, value) VALUES ('format', ?), ('id', ?)", (str(FORMAT), secrets.token_hex(8))
    )
    (found,) = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if int(found) > FORMAT:
        raise FormatTooNew(int(found), FORMAT)

"""The MongoDB store: nodes, edges, marks and commit records in one database, which belongs to one app.

Readers see one snapshot (a snapshot session, or where the server has none a read transaction); commits are in mongo_commit.py.
Nothing connects before the first use.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import ConfigurationError, ConnectionFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import Primary

from jacfn_runtime.memory import mongo_cache
from jacfn_runtime.memory.breaker import Breaker
from jacfn_runtime.memory.errors import Conflict, StoreError, StoreUnavailable
from jacfn_runtime.memory.lanes import Lanes
from jacfn_runtime.memory.mongo_client import DEFAULT_DATABASE, NAME, Counter, connect, translated
from jacfn_runtime.memory.mongo_commit import COMMIT_SECONDS, Commit
from jacfn_runtime.memory.mongo_documents import to_edge, to_node
from jacfn_runtime.memory.mongo_prepare import STAMP, check, dialect_of, prepare, require_replica_set
from jacfn_runtime.memory.mongo_queries import Dialect, edges_by_join_pipeline, edges_pipeline, nodes_pipeline
from jacfn_runtime.memory.store import Adjacency, ChangeSet, Edge, Node, adjacencies
from jacfn_runtime.memory.writes import written_ids

OUTAGE_SECONDS = 1.0  # after a server was not found, callers hear 503 at once for this long instead of waiting in turn
PREPARE_TRIES = 3
HEALTH_SECONDS = 1.5  # health() promises an answer within two
ONE_BATCH = 100_000  # a cursor's first batch: one round trip whatever the number, up to MongoDB's 16 MiB a batch
FEW = 10  # up to this many ids an $in list is the faster way everywhere

Document = dict[str, Any]


class MongoStore:
    """A graph in one MongoDB database. Thread-safe."""

    name = "mongodb"

    def __init__(self, uri: str, app: str) -> None:
        self._uri = uri
        self._app = app
        self._counter = Counter()
        self._lock = threading.RLock()
        self._client: MongoClient[Document] | None = None
        self._stamp: Document | None = None
        self._dialect = Dialect()
        self._breaker = Breaker(OUTAGE_SECONDS)
        self._lanes = Lanes()

    @property
    def round_trips(self) -> int:
        """Every command that was sent."""
        return self._counter.commands

    @property
    def client(self) -> MongoClient[Document]:
        """The driver's client; made here, connected by its own threads. Raises StoreRefused for a URI that is none."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = connect(self._uri, self._app, self._counter)
        return self._client

    @property
    def database(self) -> Database[Document]:
        """The app's database, read from the primary whatever the URI prefers: a secondary lags behind."""
        name = self.client.get_default_database(DEFAULT_DATABASE).name
        return self.client.get_database(name, read_preference=Primary())

    @property
    def dialect(self) -> Dialect:
        """What the server can do; known once `using` was entered."""
        return self._dialect

    def reader(self, *, fresh: bool = False) -> MongoReader:
        """A reader for one attempt. There are no copies, so `fresh` changes nothing."""
        return MongoReader(self)

    def commit(self, changes: ChangeSet, *, guard: bool = True) -> None:
        """See Store.commit."""
        if not changes.empty:
            with self._lanes.queued(written_ids(changes), COMMIT_SECONDS), self.using():
                Commit(self, changes, guard).run()

    def mark(self, key: str) -> str | None:
        """See Store.mark."""
        with self.using():
            found = self.database.marks.find_one({"_id": key})
        return None if found is None else str(found["value"])

    def prepare(self) -> None:
        """See Store.prepare; a new one-member replica set is initiated. Raises StoreRefused for another app's database."""
        for tries_left in reversed(range(PREPARE_TRIES)):
            try:
                with self._asking(), self._lock:
                    self._learn(prepare(self.client, self.database, self._app))
                return
            except StoreUnavailable as error:
                if not tries_left or not isinstance(error.__cause__, ConfigurationError):
                    raise  # that one means: the replica set was initiated behind an open connection, see `_asking`

    def count_by_type(self) -> dict[str, int]:
        """See Store.count_by_type."""
        found: dict[str, int] = {}
        with self.using():
            for collection in (self.database.nodes, self.database.edges):
                for group in collection.aggregate([{"$group": {"_id": "$type", "count": {"$sum": 1}}}]):
                    found[group["_id"]] = found.get(group["_id"], 0) + int(group["count"])
        return dict(sorted(found.items()))

    def dangling_edges(self) -> list[Edge]:
        """See Store.dangling_edges."""
        lookups = [
            {"$lookup": {"from": "nodes", "localField": end, "foreignField": "_id", "as": f"at_{end}"}}
            for end in ("source", "target")
        ]
        missing = {"$match": {"$or": [{"at_source": {"$size": 0}}, {"at_target": {"$size": 0}}]}}
        with self.using():
            return [to_edge(each) for each in self.database.edges.aggregate([*lookups, missing])]

    def health(self) -> str:
        """`ok`, or why the database cannot be used now."""
        try:
            with translated(), pymongo.timeout(HEALTH_SECONDS):
                require_replica_set(self.client, initiate=False)
        except StoreError as error:
            return str(error)
        return "ok"

    def tiers(self) -> dict[str, str]:
        """See Store.tiers."""
        return {self.name: self.health()}

    def store_id(self) -> str:
        """See Truth.store_id."""
        with self.using():
            return str((self._stamp or {})["id"])

    def cache_life(self) -> str | None:
        """See Truth.cache_life."""
        with self.using():
            return mongo_cache.life(self.database)

    def open_cache(self, life: str, instead_of: str | None) -> bool:
        """See Truth.open_cache."""
        with self.using():
            return mongo_cache.open_cache(self.database, life, instead_of)

    def close_cache(self) -> float:
        """See Truth.close_cache."""
        with self.using():
            return mongo_cache.close_cache(self.database)

    def close(self) -> None:
        """Close every connection; the next use would open new ones."""
        with self._lock:
            client, self._client, self._stamp = self._client, None, None
        if client is not None:
            client.close()

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """Around everything that asks the server: whose database it is was checked, and driver errors leave as ours."""
        with self._asking():
            if self._stamp is None:
                with self._lock:
                    if self._stamp is None:
                        self._learn(self._database_stamp())
            yield

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        if not self._breaker.allow():
            raise StoreUnavailable(NAME, "it was not found a moment ago")
        try:
            with translated():
                yield
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ConnectionFailure):
                self._breaker.failed()
            if isinstance(error.__cause__, ConfigurationError):
                # A connection that was opened before the replica set was initiated knows no sessions, for as long as it lives
                # (pymongo asks at its handshake whether the server is readable): the next try opens new ones.
                self.close()
            raise
        except StoreError:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()

    def _database_stamp(self) -> Document:
        found = self.database.meta.find_one({"_id": STAMP})
        if found is None or "dialect" not in found:
            return prepare(self.client, self.database, self._app)
        check(found, self._app, self.database.name)
        return found

    def _learn(self, stamp: Document) -> None:
        self._dialect = dialect_of(stamp)
        self._stamp = stamp


class MongoReader:
    """All reads of one attempt, from one snapshot that is taken at the first read."""

    def __init__(self, store: MongoStore) -> None:
        self._store = store
        self._session: ClientSession | None = None
        self._read_once = False
        self._lock = threading.Lock()  # a session belongs to one thread at a time, and `flow` threads share this reader

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        """See Reader.nodes."""

        def query(session: ClientSession) -> list[Document]:
            if self._store.dialect.joins and len(ids) > FEW:
                return list(self._store.database.aggregate(nodes_pipeline(ids), session=session, batchSize=ONE_BATCH))
            return self._find("nodes", {"_id": {"$in": list(ids)}}, session)

        return {node.id: node for node in map(to_node, self._read(query))}

    def edges(self, node_ids: Collection[str]) -> dict[str, Adjacency]:
        """See Reader.edges."""

        def query(session: ClientSession) -> list[Document]:
            database = self._store.database
            if not self._store.dialect.joins:
                return list(database.nodes.aggregate(edges_pipeline(node_ids), session=session, batchSize=ONE_BATCH))
            joined = database.aggregate(edges_by_join_pipeline(node_ids), session=session, batchSize=ONE_BATCH)
            return [document for each in joined for part in ("node", "out", "in") for document in each[part]]

        versions: dict[str, int] = {}
        edges: dict[str, Edge] = {}
        for document in self._read(query):
            if "source" in document:
                edges[document["_id"]] = to_edge(document)
            else:
                versions[document["_id"]] = int(document["edges_version"])
        return adjacencies(versions, edges.values())

    def edges_by_id(self, ids: Collection[str]) -> dict[str, Edge]:
        """See Reader.edges_by_id."""
        found = self._read(lambda session: self._find("edges", {"_id": {"$in": list(ids)}}, session))
        return {edge.id: edge for edge in map(to_edge, found)}

    def nodes_of_type(self, type: str) -> dict[str, Node]:
        """See Reader.nodes_of_type."""
        found = self._read(lambda session: self._find("nodes", {"type": type}, session))
        return {node.id: node for node in map(to_node, found)}

    def confirm(self) -> bool:
        """Always: a snapshot was read."""
        return True

    def close(self) -> None:
        """Give the session back; a read transaction ends with it."""
        with self._lock:
            self._drop()

    def _find(self, collection: str, wanted: Document, session: ClientSession) -> list[Document]:
        return list(self._store.database[collection].find(wanted, session=session, batch_size=ONE_BATCH))

    def _read(self, query: Callable[[ClientSession], list[Document]]) -> list[Document]:
        with self._lock, self._store.using():
            try:
                found = query(self._begun())
            except ServerSelectionTimeoutError:
                raise
            except ConnectionFailure as error:
                self._drop()
                if self._read_once:
                    raise Conflict(()) from error  # the snapshot went with the connection; a replay takes a new one
                found = query(self._begun())  # the pool held a connection to a server that has been restarted since
            self._read_once = True
            return found

    def _begun(self) -> ClientSession:
        if self._session is None:
            snapshots = self._store.dialect.snapshot_sessions
            self._session = self._store.client.start_session(snapshot=snapshots)
            if not snapshots:
                self._session.start_transaction(read_concern=ReadConcern("snapshot"))
        return self._session

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(PyMongoError):
                session.end_session()

"""One change set as one MongoDB transaction: snapshot reads, majority and journal.

* Every check is the filter of a write, so that MongoDB's own write conflicts guard it: snapshot isolation lets two
  transactions read each other's old values, never write the same document. A document that was only relied on gets its
  `guard` written.
* The number of commands does not depend on the number of documents: one bulkWrite (MongoDB 8), or at most one per collection
  and kind of write (MongoDB 7), then the commit.
* A transaction that collides with another one is sent again as it is: its filters are evaluated anew, so either nothing that
  it relied on has changed (blind appends: it merges), or a filter finds no document and the caller hears Conflict.
* Sending again is safe also when the outcome of a commit is unknown: each change set carries a commit record with an id of
  its own, which can be inserted once. Whoever finds the record there knows that an earlier try was applied.
"""

from __future__ import annotations

import datetime
import itertools
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from jacfn_runtime.memory.errors import Conflict, StoreUnavailable
from jacfn_runtime.memory.mongo_client import NAME, codes, labelled, meaning, translated
from jacfn_runtime.memory.mongo_documents import edge_document, node_document, update_document
from jacfn_runtime.memory.store import ChangeSet
from jacfn_runtime.memory.writes import edge_checks, edge_ends, node_writes, written_ids

if TYPE_CHECKING:
    from jacfn_runtime.memory.mongo import MongoStore

COMMIT_SECONDS = 10.0
"""For how long a commit is tried again. A try that has begun by then may take as long as MongoDB lets a transaction live."""
SLICE = 10_000  # writes in one command: more would take a small server longer than a connection waits
FIRST_PAUSE = 0.001  # seconds: about the time of one commit; doubled at each collision
LONGEST_PAUSE = 0.1
_MAJORITY = WriteConcern("majority", j=True)

Document = dict[str, Any]
Ends = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a bulk. With `insert` it is an insert, with `update` an update, else a delete; the latter two have to find."""

    collection: str
    wanted: Document  # the filter: _id and expected versions
    update: Document | None = None
    insert: Document | None = None

    def model(self, namespace: str | None = None) -> InsertOne[Document] | UpdateOne | DeleteOne:
        """The driver's object for it."""
        if self.insert is not None:
            return InsertOne(self.insert, namespace=namespace)
        if self.update is not None:
            return UpdateOne(self.wanted, self.update, namespace=namespace)
        return DeleteOne(self.wanted, namespace=namespace)


def writes_of(changes: ChangeSet, guard: bool, falling: Ends) -> list[Write]:
    """Everything that the commit writes; every update and every delete has to find its document. Pure.

    `falling`: the edges at deleted nodes, by id, with their ends.
    """
    ends = edge_ends(changes)
    checks = edge_checks(changes, guard)
    found: list[Write] = []
    for node in changes.created_nodes:
        found.append(_insert("nodes", node_document(node, node.edges_version + (node.id in ends))))
    for edge in changes.created_edges:
        found.append(_insert("edges", edge_document(edge)))
    for key, value in changes.marks.items():
        found.append(_insert("marks", {"_id": key, "value": value}))
    for write in node_writes(changes, guard, {end for pair in falling.values() for end in pair}).values():
        wanted = _versions(write.id, version=write.version, edges_version=write.edges_version)
        found.append(Write("nodes", wanted, update=update_document(write.update, edges_changed=write.edges_changed)))
    updates = {update.id: update for update in changes.updated_edges}
    gone = falling.keys() | changes.deleted_edges.keys()
    for edge_id, version in checks.items():
        if edge_id not in gone:
            found.append(Write("edges", _versions(edge_id, version=version), update=update_document(updates.get(edge_id))))
    for node_id, version in changes.deleted_nodes.items():
        relied = changes.relied_edges.get(node_id) if guard else None
        found.append(Write("nodes", _versions(node_id, version=version, edges_version=relied)))
    for edge_id in gone:
        found.append(Write("edges", _versions(edge_id, version=checks.get(edge_id))))
    return found


class Commit:
    """One change set on its way: as many transactions as it takes, at most one of which is applied."""

    def __init__(self, store: MongoStore, changes: ChangeSet, guard: bool) -> None:
        self._store = store
        self._changes = changes
        self._guard = guard
        self._record = secrets.token_hex(16)
        self._unknown = False  # a commit was sent, and we did not hear what became of it
        self._deadline = time.monotonic() + COMMIT_SECONDS

    def run(self) -> None:
        """Make it true, durably, or none of it. Raises Conflict, StoreUnavailable, StoreRefused."""
        pause = FIRST_PAUSE
        while True:
            try:
                with self._store.client.start_session() as session:
                    self._transaction(session)
                return
            except Conflict:
                if self._unknown and self._applied():
                    return
                raise
            except PyMongoError as error:
                if self._settled(error):
                    return
            time.sleep(random.uniform(0, pause))  # noqa: S311  spreads requests, guards no secret
            pause = min(LONGEST_PAUSE, pause * 2)

    def _transaction(self, session: ClientSession) -> None:
        dialect = self._store.dialect
        session.start_transaction(
            read_concern=ReadConcern("snapshot" if dialect.first_read_concern else None),
            write_concern=_MAJORITY,
            max_commit_time_ms=int(COMMIT_SECONDS * 1000),
        )
        writes = writes_of(self._changes, self._guard, self._falling(session))
        writes.append(_insert("commits", {"_id": self._record, "at": datetime.datetime.now(datetime.UTC)}))
        found = self._bulk(writes, session)
        if found < sum(write.insert is None for write in writes):
            session.abort_transaction()
            raise Conflict(self._lost(writes))
        while True:
            try:
                return session.commit_transaction()
            except PyMongoError as error:
                # Also if the server says that there is no such transaction: the driver has sent the commit twice by then, and a
                # server that was restarted in between may have forgotten what it did the first time.
                self._unknown = True
                if not labelled(error, "UnknownTransactionCommitResult"):
                    raise
                if time.monotonic() > self._deadline:
                    raise _unknown_outcome() from error
            time.sleep(LONGEST_PAUSE)

    def _falling(self, session: ClientSession) -> Ends:
        """The edges at nodes that are deleted; an append to such a node from now on collides with the deletion."""
        if not self._changes.deleted_nodes:
            return {}
        wanted = {"$in": list(self._changes.deleted_nodes)}
        edges = self._store.database.edges
        found: Ends = {}
        for end in ("source", "target"):  # not $or, which no index of SecantusDB serves
            for edge in edges.find({end: wanted}, {"source": 1, "target": 1}, session=session):
                found[edge["_id"]] = (edge["source"], edge["target"])
        return found

    def _bulk(self, writes: Sequence[Write], session: ClientSession) -> int:
        """Send the writes; how many updates and deletes found their document."""
        found = 0
        if self._store.dialect.bulk_write:
            name = self._store.database.name
            for part in itertools.batched(writes, SLICE):
                models = [write.model(f"{name}.{write.collection}") for write in part]
                done = self._store.client.bulk_write(models, session=session, ordered=True)
                found += done.matched_count + done.deleted_count
            return found
        for collection in dict.fromkeys(write.collection for write in writes):
            models = [write.model() for write in writes if write.collection == collection]
            written = self._store.database[collection].bulk_write(models, session=session, ordered=True)
            found += written.matched_count + written.deleted_count
        return found

    def _settled(self, error: PyMongoError) -> bool:
        """Whether the change set turns out to be applied; False: try again. Raises what the error means if that is no use."""
        if 11000 in codes(error):  # an id exists: somebody created it, or the first try of this very change set did
            if self._unknown and self._applied():
                return True
            raise Conflict(self._created()) from error
        transient = labelled(error, "TransientTransactionError") and not isinstance(error, ServerSelectionTimeoutError)
        if transient and time.monotonic() < self._deadline:
            return False
        if self._unknown:
            if self._applied():
                return True
            raise _unknown_outcome() from error
        if transient and 112 in codes(error):
            raise Conflict(written_ids(self._changes)) from error
        raise meaning(error) from error

    def _applied(self) -> bool:
        """Whether the commit record is there."""
        with translated():
            return self._store.database.commits.find_one({"_id": self._record}) is not None

    def _created(self) -> set[str]:
        changes = self._changes
        return {node.id for node in changes.created_nodes} | {edge.id for edge in changes.created_edges} | set(changes.marks)

    def _lost(self, writes: Sequence[Write]) -> set[str]:
        """Which documents have moved on, for the caller to queue at; a second look, since a bulk only says how many."""
        wanted = {(write.collection, write.wanted["_id"]): write.wanted for write in writes if write.insert is None}
        if len(wanted) > 1:
            for collection in ("nodes", "edges"):
                ids = [each for name, each in wanted if name == collection]
                versions = {"version": 1, "edges_version": 1}
                for document in self._store.database[collection].find({"_id": {"$in": ids}}, versions) if ids else ():
                    expected = wanted[collection, document["_id"]]
                    if all(document.get(name) == value for name, value in expected.items()):
                        del wanted[collection, document["_id"]]
        return {each for _, each in wanted}


def _insert(collection: str, document: Document) -> Write:
    return Write(collection, {"_id": document["_id"]}, insert=document)


def _versions(document_id: str, **versions: int | None) -> dict[str, Any]:
    return {"_id": document_id} | {name: version for name, version in versions.items() if version is not None}


def _unknown_outcome() -> StoreUnavailable:
    return StoreUnavailable(NAME, "the connection was lost during a commit: it is not known whether it was applied")

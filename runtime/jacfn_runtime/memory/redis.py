"""The Redis tier: copies in front of the truth. Losing all of Redis, at any moment and in any way, costs speed and nothing else.

What has to hold: after a commit was acknowledged nobody reads what was there before it, and no request sees parts of two
states. Versions and marks beside the copies are not enough for that. A slow reader may fill an old copy in after the newer
one was evicted; a mark may be evicted, flushed, or lost in a failover while its commit is on the way; a writer may die in
between; a writer may not reach Redis while readers do, or Redis may freeze with old copies and wake up. So:

1. A commit first marks every document that it changes, in one script: a sequence number is taken, the document's bucket in
   the gate remembers it, the commit is in flight, and the copies are deleted. So while a commit is under way there is no copy
   to read, and a mark cannot be parted from its copy, since it is the absence of one. Afterwards the flight ends. If the
   writer dies it ends after the longest time that a commit can take.
2. A reader gets a ticket with its answer from Redis, before it reads the truth: the newest sequence number, or one below the
   oldest commit in flight. A fill is taken only if the document's bucket was not marked after the ticket. Any commit that
   changes the document and was marked earlier is over when the ticket is given, so the truth that is read next has it; any
   that is marked later either refuses the fill or deletes the copy. Hence: a copy that is there is what the truth says.
   Nothing has to be compared with versions, also not where an id was deleted and created anew.
3. Sequence, buckets and flights lie under one key, the gate, with a random life, and copies under that life. Eviction, flush,
   restart and failover (another run_id) lose the gate as a whole, and with it all copies. A new life opens only after the
   longest commit: then every commit that was marked in the lost life is over.
4. A writer that cannot mark shuts the cache in the truth, and waits until nobody believes it any more. Copies are believed
   under a permit of a few seconds, which is given only after the truth was asked, and counted from before that. It asks again
   before a new life could have opened. The first such write waits for a permit's time, the others for nothing.
5. A request that got copies in more than one answer has each later answer verify the earlier copies, in the same script. Once
   a document is missing it goes on in one snapshot of the truth, and at the end verifies its copies once more: they were
   there, so they were true, from before the snapshot until after it. Otherwise it is replayed from one snapshot.

What remains: clocks that jump by seconds, and a commit that a frozen MongoDB applies after the longest commit's time; a copy
ends after ten minutes in any case. All processes of an app have to know of the same Redis. A commit costs one round trip more
(the mark); the flight's end and the fills travel with the next call, or in the background.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from jacfn_runtime.memory.errors import Conflict, StoreError, StoreRefused
from jacfn_runtime.memory.redis_copies import changed_names, from_copies, name_of, to_copy
from jacfn_runtime.memory.redis_gate import Gate, Pace
from jacfn_runtime.memory.redis_scripts import STAMP_LENGTH
from jacfn_runtime.memory.redis_wire import RedisError, RedisUnreachable
from jacfn_runtime.memory.store import Adjacency, ChangeSet, Edge, Node, Reader
from jacfn_runtime.memory.truth import Truth

MOST_VERIFIED = 500  # earlier copies that a read verifies on its way; beyond it the end of the request asks once for all
MOST_TRIES = 3  # of a deletion that a concurrent append to the deleted node got in the way of


class RedisStore:
    """Copies in Redis in front of the store that keeps the truth. Thread-safe."""

    def __init__(self, truth: Truth, url: str, app: str, pace: Pace | None = None) -> None:
        self.truth = truth
        self.gate = Gate(truth, url, app, pace or Pace())
        self.name = truth.name

    @property
    def round_trips(self) -> int:
        """Those to the truth and those to Redis that somebody waited for."""
        return self.truth.round_trips + self.gate.round_trips - self.gate.truth_in_background

    def reader(self, *, fresh: bool = False) -> RedisReader:
        """A reader for one attempt. `fresh`: everything from one snapshot of the truth."""
        return RedisReader(self, fresh)

    def commit(self, changes: ChangeSet, *, guard: bool = True) -> None:
        """See Store.commit. While Redis is away the first commit takes some seconds more, see above."""
        if changes.empty:
            return
        if not (changes.deleted_nodes or changes.updated_edges):
            self._commit(changes, guard, ())
            return
        for tries_left in reversed(range(MOST_TRIES)):
            changed, ends = self._with_ends(changes, guard)
            try:
                self._commit(changed, True, ends)
                break
            except Conflict as conflict:
                ours = changed.relied_edges.keys() - (changes.relied_edges.keys() if guard else set())
                if not tries_left or not conflict.ids or not conflict.ids <= ours:
                    raise

    def _with_ends(self, changes: ChangeSet, guard: bool) -> tuple[ChangeSet, set[str]]:
        """The same changes, and every node whose edges they change: only the truth knows the edges at a deleted node.

        The deletion then relies on those edges: one that comes in the meantime changes a node that would not be marked.
        """
        reader = self.truth.reader()
        try:
            at_deleted = reader.edges(changes.deleted_nodes.keys()) if changes.deleted_nodes else {}
            updated = reader.edges_by_id([each.id for each in changes.updated_edges]) if changes.updated_edges else {}
        finally:
            reader.close()
        edges = [*updated.values(), *(edge for each in at_deleted.values() for edge in each.edges)]
        relied = {node_id: adjacency.edges_version for node_id, adjacency in at_deleted.items()}
        relied |= changes.relied_edges if guard else {}
        changed = replace(
            changes,
            relied_edges=relied,
            relied_nodes=changes.relied_nodes if guard else {},
            relied_edge_fields=changes.relied_edge_fields if guard else {},
        )
        return changed, {end for edge in edges for end in (edge.source, edge.target)}

    def _commit(self, changes: ChangeSet, guard: bool, ends: Collection[str]) -> None:
        names = changed_names(changes, ends)
        token = self.gate.mark(names) if names else None
        try:
            self.truth.commit(changes, guard=guard)
        except (Conflict, StoreRefused):
            self._end(token)
            raise
        # Any other error leaves the flight to its deadline: the commit may still be applied.
        self._end(token)

    def _end(self, token: str | None) -> None:
        if token is not None:
            self.gate.end(token)

    def mark(self, key: str) -> str | None:
        """See Store.mark; from the truth."""
        return self.truth.mark(key)

    def prepare(self) -> None:
        """See Store.prepare. A cache that is there for the first time is open afterwards."""
        self.truth.prepare()
        with contextlib.suppress(RedisUnreachable, RedisError):
            self.gate.renew()

    def count_by_type(self) -> dict[str, int]:
        """See Store.count_by_type; from the truth."""
        return self.truth.count_by_type()

    def dangling_edges(self) -> list[Edge]:
        """See Store.dangling_edges; from the truth."""
        return self.truth.dangling_edges()

    def health(self) -> str:
        """Whether requests can be served: that takes the truth, and not Redis."""
        return self.truth.health()

    def tiers(self) -> dict[str, str]:
        """See Store.tiers."""
        return self.truth.tiers() | {"redis": self.gate.health()}

    def close(self) -> None:
        """Give everything back."""
        self.gate.close()
        self.truth.close()


class RedisReader:
    """All reads of one attempt: copies as long as every document has one, then one snapshot of the truth."""

    def __init__(self, store: RedisStore, fresh: bool) -> None:
        self._store = store
        self._lock = threading.Lock()  # `flow` threads share this reader
        self._snapshot: Reader | None = store.truth.reader() if fresh else None
        self._seen: dict[str, str] = {}  # the stamps of the copies that were read, by name
        self._at_once = True  # all of them are known to have been there at one moment
        self._ticket: tuple[str, int] | None = None
        self._fills: dict[str, bytes] = {}

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        """See Reader.nodes."""
        return self._read(Node, ids, lambda reader, missing: reader.nodes(missing))

    def edges(self, node_ids: Collection[str]) -> dict[str, Adjacency]:
        """See Reader.edges."""
        return self._read(Adjacency, node_ids, lambda reader, missing: reader.edges(missing))

    def edges_by_id(self, ids: Collection[str]) -> dict[str, Edge]:
        """See Reader.edges_by_id; from the truth."""
        with self._lock:
            return self._truth().edges_by_id(ids)

    def nodes_of_type(self, type: str) -> dict[str, Node]:
        """See Reader.nodes_of_type; from the truth."""
        with self._lock:
            return self._truth().nodes_of_type(type)

    def confirm(self) -> bool:
        """See Reader.confirm: one round trip if there were copies that the last answer did not verify."""
        with self._lock:
            if not self._seen or (self._at_once and self._snapshot is None):
                return True
            answer = self._store.gate.read((), self._seen)
            if answer.state == "lapsed" and self._believable_again():
                answer = self._store.gate.read((), self._seen)
            return answer.state == "open" and self._ticket is not None and answer.life == self._ticket[0]

    def close(self) -> None:
        """Give the snapshot back, and offer what was read to others."""
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
            fills, self._fills = self._fills, {}
            ticket, self._ticket = self._ticket, None
        if snapshot is not None:
            snapshot.close()
        if ticket is not None:
            self._store.gate.leave()
            if fills:
                self._store.gate.fill(*ticket, fills)

    def _read[Document: (Node, Adjacency)](
        self, kind: type[Document], ids: Collection[str], ask: Callable[[Reader, Collection[str]], dict[str, Document]]
    ) -> dict[str, Document]:
        with self._lock:
            found: dict[str, Document] = {}
            if self._snapshot is None and ids:
                found = from_copies(kind, self._copies([name_of(kind, each) for each in ids]))
            missing = [each for each in ids if each not in found]
            if missing:
                documents = ask(self._truth(), missing)
                found |= documents
                self._offer(documents)
            return found

    def _copies(self, names: Collection[str]) -> Mapping[str, bytes]:
        """The copies of these names, if they and all earlier ones can belong to one moment. Raises Conflict if they cannot."""
        verify = self._seen if len(self._seen) <= MOST_VERIFIED else {}
        answer = self._store.gate.read(names, verify)
        if answer.state == "away":
            return {}
        if answer.state == "torn" or (self._seen and self._ticket is not None and answer.life != self._ticket[0]):
            raise Conflict(())
        if self._ticket is None:
            self._store.gate.attend()
        if self._ticket is None or not self._seen:
            self._ticket = (answer.life, answer.ticket)
        if answer.copies:
            self._at_once = len(verify) == len(self._seen)
            self._seen |= {name: copy[:STAMP_LENGTH].decode() for name, copy in answer.copies.items()}
        return answer.copies

    def _truth(self) -> Reader:
        if self._snapshot is None:
            self._snapshot = self._store.truth.reader()
        return self._snapshot

    def _offer(self, documents: Mapping[str, Node] | Mapping[str, Adjacency]) -> None:
        if self._ticket is not None:
            for node_id, document in documents.items():
                if (copy := to_copy(document)) is not None:
                    self._fills[name_of(type(document), node_id)] = copy

    def _believable_again(self) -> bool:
        try:
            return self._store.gate.renew(claim=False)
        except (RedisUnreachable, RedisError, StoreError):
            return False

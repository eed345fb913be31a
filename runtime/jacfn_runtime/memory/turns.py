"""Taking turns at documents that several requests of this process want to change, instead of colliding over and over.

A conflict tells which documents collided. The loser queues for them before it tries again, and for a moment so does every request
that runs the same thing: 32 clients that count up one node then contend with other processes only. Fair, in memory, no store
involved.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Hashable

HOT_SECONDS = 2.0  # how long a collision is remembered; long enough to bridge the pauses of a queue, short enough to forget
MOST_DOCUMENTS = 16  # a unit of work that collided in more places than this queues for the first ones only
MOST_KINDS = 1024  # remembered at once; beyond it the oldest is forgotten


class _Queue:
    """The queue of one document; it is dropped when nobody stands in it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0


class Turns:
    """The queues of one event loop."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._hot: dict[Hashable, tuple[float, frozenset[str]]] = {}

    def turn(self, kind: Hashable) -> Turn:
        """A place in no queue yet. `kind` says which work is the same work."""
        return Turn(self, kind)

    def remember(self, kind: Hashable, documents: frozenset[str]) -> None:
        """These documents collided for this kind of work."""
        self._hot.pop(kind, None)
        self._hot[kind] = (time.monotonic() + HOT_SECONDS, documents)
        if len(self._hot) > MOST_KINDS:
            del self._hot[next(iter(self._hot))]

    def hot(self, kind: Hashable) -> frozenset[str]:
        """The documents that collided lately for this kind of work."""
        until, documents = self._hot.get(kind, (0.0, frozenset[str]()))
        return documents if until > time.monotonic() else frozenset()

    async def enter(self, document: str) -> None:
        """Wait until this document is ours."""
        queue = self._queues.setdefault(document, _Queue())
        queue.length += 1
        try:
            await queue.lock.acquire()
        except BaseException:
            self._step_out(document, queue)
            raise

    def leave(self, document: str) -> None:
        """Let the next one have it."""
        queue = self._queues[document]
        queue.lock.release()
        self._step_out(document, queue)

    def _step_out(self, document: str, queue: _Queue) -> None:
        queue.length -= 1
        if not queue.length:
            del self._queues[document]


class Turn:
    """One request's places in the queues. Used as an async context manager; leaving it gives all of them back."""

    def __init__(self, turns: Turns, kind: Hashable) -> None:
        self._turns = turns
        self._kind = kind
        self._held: list[str] = []

    async def __aenter__(self) -> Turn:
        try:
            await self._take(self._turns.hot(self._kind))
        except BaseException:  # cancelled in the queue: nobody else would give the places back
            self._give_back()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    async def collided(self, documents: Collection[str]) -> None:
        """Queue for these documents, and for those that are held already."""
        wanted = frozenset(sorted(documents)[:MOST_DOCUMENTS])
        self._turns.remember(self._kind, wanted)
        if not wanted <= set(self._held):
            await self._take(wanted | set(self._held))

    async def _take(self, documents: Collection[str]) -> None:
        """Sorted, and only with empty hands: so that no two requests ever wait for each other."""
        self._give_back()
        for document in sorted(documents):
            await self._turns.enter(document)
            self._held.append(document)

    def _give_back(self) -> None:
        while self._held:
            self._turns.leave(self._held.pop())

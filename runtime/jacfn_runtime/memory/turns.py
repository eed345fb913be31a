"""Taking turns at what several requests of this process want to change, instead of colliding over and over.

A conflict tells which documents collided. The loser queues for them before it tries again; and where the same kind of work
collides again and again, all of that kind queues from the start: 32 clients that count up one node then contend with other
processes only. Fair, in memory, no store involved.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Hashable

HOT_SECONDS = 2.0  # how long a collision is remembered; long enough to bridge the pauses of a queue, short enough to forget
HOT_COLLISIONS = 2  # so many within that time make a kind of work hot: one alone may be chance
MOST_DOCUMENTS = 16  # a unit of work that collided in more places than this queues for the first ones only
QUEUE_SECONDS = 10.0  # who waits longer goes on without a turn: a walker that hangs must not hang all of its kind
MOST_KINDS = 1024  # remembered at once; beyond it the oldest is forgotten


class _Queue:
    """The queue of one document or one kind of work; it is dropped when nobody stands in it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0


class Turns:
    """The queues of one event loop."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._collisions: dict[Hashable, tuple[float, int]] = {}  # kind -> when it is forgotten, how many

    def turn(self, kind: Hashable) -> Turn:
        """A place in no queue yet. `kind` says which work is the same work."""
        return Turn(self, kind)

    def remember(self, kind: Hashable) -> None:
        """This kind of work collided."""
        now = time.monotonic()
        until, count = self._collisions.pop(kind, (0.0, 0))
        self._collisions[kind] = (now + HOT_SECONDS, count + 1 if until > now else 1)
        if len(self._collisions) > MOST_KINDS:
            del self._collisions[next(iter(self._collisions))]

    def hot(self, kind: Hashable) -> bool:
        """Whether this kind of work collided several times lately."""
        until, count = self._collisions.get(kind, (0.0, 0))
        return count >= HOT_COLLISIONS and until > time.monotonic()

    async def enter(self, thing: Hashable) -> bool:
        """Wait until it is ours; False if that took too long."""
        queue = self._queues.setdefault(thing, _Queue())
        queue.length += 1
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                return await queue.lock.acquire()
        except TimeoutError:
            self._step_out(thing, queue)
            return False
        except BaseException:
            self._step_out(thing, queue)
            raise

    def leave(self, thing: Hashable) -> None:
        """Let the next one have it."""
        queue = self._queues[thing]
        queue.lock.release()
        self._step_out(thing, queue)

    def _step_out(self, thing: Hashable, queue: _Queue) -> None:
        queue.length -= 1
        if not queue.length:
            del self._queues[thing]


class Turn:
    """One request's places in the queues. Used as an async context manager; leaving it gives all of them back."""

    def __init__(self, turns: Turns, kind: Hashable) -> None:
        self._turns = turns
        self._kind = kind
        self._documents: list[str] = []
        self._held: list[Hashable] = []

    async def __aenter__(self) -> Turn:
        if self._turns.hot(self._kind):
            await self._take()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    async def collided(self, documents: Collection[str]) -> None:
        """Queue for this kind of work, for these documents, and for those of earlier collisions."""
        self._turns.remember(self._kind)
        wanted = sorted({*self._documents, *sorted(documents)[:MOST_DOCUMENTS]})
        if wanted != self._documents or not self._held:
            self._documents = wanted
            await self._take()

    async def _take(self) -> None:
        """In one order for everybody, and only with empty hands: so that no two requests ever wait for each other."""
        self._give_back()
        try:
            for thing in (self._kind, *self._documents):
                if await self._turns.enter(thing):
                    self._held.append(thing)
        except BaseException:  # cancelled in a queue
            self._give_back()
            raise

    def _give_back(self) -> None:
        while self._held:
            self._turns.leave(self._held.pop())

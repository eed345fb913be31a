"""The graph of one app, as a process that serves it sees it: every request is one unit of work, committed at once or not at all.

Nothing of jaclang is imported before the first request: a slim loader has to be in place by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jacfn_runtime.memory.errors import Conflict, UnknownCaller
from jacfn_runtime.memory.roots import GUEST_ROOT, SYSTEM_ROOT
from jacfn_runtime.memory.store import ChangeSet, Edge, Node, Store
from jacfn_runtime.memory.threads import Threads
from jacfn_runtime.memory.turns import Turns
from jacfn_runtime.memory.walker_loop import WalkerLoop

if TYPE_CHECKING:
    from jacfn_runtime.memory.adapter.attempt import Attempt, Call
    from jacfn_runtime.program.load import Program
    from jacfn_runtime.settings import Isolation, Settings

REPLAYS = 5  # after that the caller is told (409) and decides; the incumbent's number as well
SHORTEST_PAUSE = 0.005  # seconds: about one commit
LONGEST_PAUSE = 2.0  # seconds: of 2,000 transfers by eight processes, 2.2 % then give up where 3.6 % did at 0.5
SPREAD = (
    4  # attempts' worth of pause at first: of eight processes at one node, 7 % then give up where 18 % would at 1 (simulated)
)
THREADS = 32  # sync walkers at once; they mostly wait for stores, and one that computes holds the others up in any case
ASYNC_WALKERS = 256  # async walkers at once: each has a reader until it ends, which on the embedded store is two file descriptors
ROOT_TYPE = "jac.Root"


class Work(msgspec.Struct, frozen=True):
    """One unit of work: what to run, as whom, and where."""

    kind: Literal["walker", "function"]
    target: Any  # the walker class or the function
    arguments: Mapping[str, Any]  # checked against the catalog already
    root: str  # the caller's root, 32 hex digits; GUEST_ROOT without a token
    node: str | None = None  # where the walker starts, as the URL spells it; None: the caller's root
    isolation: Isolation = "serializable"


class Outcome(msgspec.Struct, frozen=True):
    """What a unit of work answers, as JSON-able builtins. Its effects have run."""

    result: Any
    reports: list[Any]


class Inspection(msgspec.Struct, frozen=True):
    """What the store holds, for people: documents by type, and edges that lead nowhere."""

    counts: Mapping[str, int]
    dangling: tuple[Edge, ...]

    @property
    def sound(self) -> bool:
        """Whether every edge has both its ends."""
        return not self.dangling


class Graph:
    """One app's graph. One per process; `run` belongs to one event loop, everything else to any thread."""

    def __init__(self, store: Store, *, threads: int = THREADS) -> None:
        self._store = store
        self._threads = Threads(threads, "walker")
        self._loop = WalkerLoop()
        self._async_places = asyncio.Semaphore(ASYNC_WALKERS)
        self._turns = Turns()
        self.replays = 0
        """How many attempts of this process had to be replayed; for metrics."""

    @classmethod
    def open(cls, settings: Settings, import_driver: Callable[[], None] | None = None) -> Graph:
        """The graph that these settings name; connects when it is first used. Raises StoreRefused for an address that is none.

        With `import_driver`, that imports MongoDB's driver when it is first used.
        """
        from jacfn_runtime.memory.open import open_store

        return cls(open_store(settings, import_driver))

    @property
    def store(self) -> Store:
        """The store beneath, for those who count round trips."""
        return self._store

    async def prepare(self) -> None:
        """Make the store ready and the two common roots exist. Insert-only: twenty processes may do it at once.

        Raises StoreUnavailable, StoreRefused, FormatTooNew.
        """
        await self._threads.run(self._prepare)

    def _prepare(self) -> None:
        self._store.prepare()
        for root in (SYSTEM_ROOT, GUEST_ROOT):
            self._create_root(root)

    async def create_root(self, root_id: str) -> None:
        """Give a new user a root of their own. Idempotent. Raises StoreUnavailable."""
        await self._threads.run(self._create_root, root_id)

    def _create_root(self, root_id: str) -> None:
        reader = self._store.reader()
        try:
            if reader.nodes((root_id,)):
                return
        finally:
            reader.close()
        try:
            self._store.commit(ChangeSet(created_nodes=(Node(root_id, ROOT_TYPE, None, {}, {}),)))
        except Conflict:
            return  # somebody else made it

    async def run(self, work: Work) -> Outcome:
        """Run it as one unit of work and commit. A conflict replays it from a clean memory, at most REPLAYS times.

        Raises what the program raises (then nothing was written), NodeNotFound, AccessDenied, UnknownCaller, UnknownClass,
        Conflict, StoreUnavailable.
        """
        if work.root == SYSTEM_ROOT:
            raise ValueError("a request never runs as the system root")
        async with self._turns.turn((work.kind, work.target, work.node or work.root)) as turn:
            for replay in range(REPLAYS):
                started = time.monotonic()
                try:
                    return await self._attempt(work, fresh=replay > 0)
                except Conflict as conflict:
                    self.replays += 1
                    await asyncio.sleep(_pause(time.monotonic() - started, replay))
                    await turn.collided(conflict.ids)
                except UnknownCaller:
                    if work.root != GUEST_ROOT:
                        raise
                    await self.prepare()  # this pod was faster than the deploy's init job
            return await self._attempt(work, fresh=True)

    async def _attempt(self, work: Work, fresh: bool) -> Outcome:
        from jacfn_runtime.memory.adapter import attempt, hooks

        hooks.install()
        call = attempt.Call(work.kind, work.target, work.arguments, work.root, work.node)
        guard = work.isolation == "serializable"
        if attempt.is_async(call):
            async with self._async_places:
                done = await self._loop.run(self._run_async(call, fresh))
                await self._threads.run(done.conclude, guard, self._loop)
        else:
            done = await self._threads.run(attempt.run_sync, self._store, call, fresh, guard, self._loop)
        return Outcome(done.result, done.reports)

    async def _run_async(self, call: Call, fresh: bool) -> Attempt:
        from jacfn_runtime.memory.adapter.attempt import Attempt, call_async

        attempt = Attempt(self._store, fresh=fresh)
        try:
            attempt.open(call.root)
            start = await self._threads.run(attempt.start, call.node) if call.kind == "walker" else None
            result = await call_async(attempt, call, start)
            await self._threads.run(attempt.finish, result)
        except BaseException as error:
            await self._threads.run(attempt.failed, error)
        return attempt

    async def seed(self, program: Program, main: bool) -> bool:
        """Run the program's `with entry` blocks as the system root, once per bundle, in one commit. False: somebody did already.

        Raises ProgramError with the Jac file and line if a block raises; then nothing was written and it may be tried again.
        """
        return await self._threads.run(self._seed, program, main)

    def _seed(self, program: Program, main: bool) -> bool:
        from jacfn_runtime.memory.adapter import hooks
        from jacfn_runtime.memory.adapter.attempt import Attempt

        hooks.install()
        mark = f"seed/{program.hash}"
        for _ in range(REPLAYS + 1):
            if self._store.mark(mark) is not None:
                return False
            attempt = Attempt(self._store, fresh=True)
            try:
                attempt.open(SYSTEM_ROOT)
                program.run_entry(main)
                attempt.finish(None, {mark: datetime.datetime.now(datetime.UTC).isoformat()})
            except BaseException as error:
                attempt.failed(error)
            with contextlib.suppress(Conflict):
                attempt.conclude(True, self._loop)
                return True
            time.sleep(SHORTEST_PAUSE)
        raise Conflict((mark,))

    async def inspect(self) -> Inspection:
        """What the store holds and whether it is sound. Raises StoreUnavailable."""
        return await self._threads.run(lambda: Inspection(self._store.count_by_type(), tuple(self._store.dangling_edges())))

    async def health(self) -> dict[str, str]:
        """For each store by name: `ok`, or the reason why not. Waits for no walker."""
        return await asyncio.to_thread(self._store.tiers)

    async def close(self) -> None:
        """Wait for what runs, then give everything back."""
        await asyncio.to_thread(self._threads.close)
        await asyncio.to_thread(self._loop.close)
        await asyncio.to_thread(self._store.close)


def _pause(took: float, replay: int) -> float:
    """Seconds to wait before a replay, given how long the attempt took: random, and twice as long each time."""
    longest = min(LONGEST_PAUSE, SPREAD * max(SHORTEST_PAUSE, took) * 2**replay)
    return random.uniform(0, longest)  # noqa: S311  spreads requests, guards no secret

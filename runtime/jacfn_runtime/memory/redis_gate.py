"""This process's side of the gate: what it asks Redis, when it may believe it, and what it does when Redis is away.

The argument why this is right is in redis.py.
"""

from __future__ import annotations

import collections
import itertools
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from jacfn_runtime.memory.breaker import Breaker
from jacfn_runtime.memory.errors import StoreError
from jacfn_runtime.memory.redis_scripts import BIRTH, BUCKETS, END, FILL, LOOK, MARK, PERMIT, READ, STAMP_LENGTH
from jacfn_runtime.memory.redis_wire import RedisError, RedisUnreachable, Reply, Script, Wire
from jacfn_runtime.memory.store import FORMAT
from jacfn_runtime.memory.truth import Truth

ANSWER_SECONDS = 0.5  # Redis answers within a millisecond or two; one that takes this long is hanging
OUTAGE_SECONDS = 1.0  # how often one caller tries whether it is back
COPY_SECONDS = 600.0  # copies that nobody asks for make room
LATER_SECONDS = 0.005  # how long a call that nobody waits for waits for one to travel with
MOST_FILLED = 1000  # copies in one call: Redis serves nobody else meanwhile
MOST_LATER = 64  # calls that wait to travel; beyond it the oldest fill is dropped, which costs a miss

_READ, _FILL, _MARK, _END, _LOOK, _PERMIT, _BIRTH = map(Script, (READ, FILL, MARK, END, LOOK, PERMIT, BIRTH))
Call = tuple[Script, Sequence[str | bytes | int]]


@dataclass(frozen=True, slots=True)
class Pace:
    """The two times that the argument rests on, in seconds."""

    # From mark to end: queueing (10), tries (10), and the last one, which MongoDB ends after 60 s whatever its client does
    # (transactionLifetimeLimitSeconds); and a reserve.
    longest_commit: float = 90.0
    permit: float = 5.0  # what the first write after Redis has gone away has to wait; shorter than a failover of a Redis takes


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis said to a read. Copies are there only if `state` is open; a ticket if it is open or lapsed."""

    state: Literal["open", "lapsed", "torn", "away"]
    life: str = ""
    ticket: int = 0
    copies: Mapping[str, bytes] = field(default_factory=dict)  # by name, with their stamps in front


_AWAY = Answer("away")


class Gate:
    """One process and one Redis. Thread-safe; connects when it is first used."""

    def __init__(self, truth: Truth, url: str, app: str, pace: Pace) -> None:
        self._truth = truth
        self._app = app
        self._pace = pace
        self._wire = Wire(url, ANSWER_SECONDS)
        self._breaker = Breaker(OUTAGE_SECONDS)
        self._fence = _Fence(truth, pace)
        self._lock = threading.Lock()
        self._prefix = ""
        self._later: collections.deque[Call] = collections.deque()
        self._worker: ThreadPoolExecutor | None = None
        self._flushing = False
        self._next_renewal = 0.0
        self._closed_until = 0.0  # our clock: until then the cache is shut, and asking is a waste
        self._readers = 0
        self._tick: threading.Timer | None = None
        self._quiet = threading.local()  # set in the thread that nobody waits for
        self.round_trips = 0  # of callers who waited; what travels in the background is not among them
        self.truth_in_background = 0  # round trips to the truth that nobody waited for

    # -- reading -----------------------------------------------------------------------------------------------------------

    def read(self, names: Collection[str], seen: Mapping[str, str]) -> Answer:
        """The copies of these documents, if all copies that were `seen` (name to stamp) are still there: else it is torn."""
        if time.monotonic() < self._closed_until:
            return _AWAY
        verify = [part for pair in seen.items() for part in pair]
        try:
            reply = self._ask(_READ, len(names), *names, *verify)
        except (RedisUnreachable, RedisError, StoreError):
            return _AWAY
        state, left = reply[0].decode(), 0
        if state == "torn":
            return Answer("torn")
        if state == "closed":
            self._closed_until = time.monotonic() + min(reply[1] / 1000, OUTAGE_SECONDS)
            return _AWAY
        if state == "open":
            left = reply[3]
        if left < self._pace.permit * 500:  # less than half of it left
            self._renew_soon()
        if state == "lost":
            return _AWAY
        copies = {name: copy for name, copy in zip(names, reply[4:], strict=False) if copy is not None}
        return Answer("open" if state == "open" else "lapsed", reply[1].decode(), reply[2], copies)

    def fill(self, life: str, ticket: int, copies: Mapping[str, bytes]) -> None:
        """Offer copies of what was read from the truth after the ticket was given. Nobody waits for it."""
        stamp = secrets.token_hex(STAMP_LENGTH // 2).encode()
        for some in itertools.batched(copies.items(), MOST_FILLED):
            parts: list[str | bytes | int] = [life, ticket, int(COPY_SECONDS * 1000)]
            for name, copy in some:
                parts += [name, _bucket(name), stamp + copy]
            self._send_later(_FILL, *parts)

    def attend(self) -> None:
        """A reader begins. As long as one is there the permit is kept alive, or slow requests would never find it valid."""
        with self._lock:
            self._readers += 1
            if self._tick is None:
                self._schedule()

    def leave(self) -> None:
        """A reader ends."""
        with self._lock:
            self._readers -= 1

    def _schedule(self) -> None:
        self._tick = threading.Timer(self._pace.permit / 2, self._on_tick)
        self._tick.daemon = True
        self._tick.start()

    def _on_tick(self) -> None:
        with self._lock:
            if self._tick is None or not self._readers:
                self._tick = None
                return
        self._renew_quietly()
        with self._lock:
            if self._tick is not None:
                self._schedule()

    # -- writing -----------------------------------------------------------------------------------------------------------

    def mark(self, names: Collection[str]) -> str | None:
        """Put these documents in doubt for the time of a commit; a token for `end`. None: Redis is away, and the cache is shut.

        Raises StoreUnavailable if the truth cannot be reached either.
        """
        if not self._fence.stands or self._breaker.allow():
            token = secrets.token_hex(8)
            parts = [part for name in names for part in (name, _bucket(name))]
            try:
                for _ in range(2):
                    if self._ask(_MARK, token, int(self._pace.longest_commit * 1000), *parts, anyway=True) == 1:
                        return token
                    self.renew(claim=False)  # there is no gate: begin one, so that there is something to mark
            except (RedisUnreachable, RedisError):
                pass
        self._fence.raise_()
        return None

    def end(self, token: str) -> None:
        """The commit is over: applied or refused. Nobody waits for it."""
        self._send_later(_END, token)

    # -- believing ---------------------------------------------------------------------------------------------------------

    def renew(self, *, claim: bool = True) -> bool:
        """Ask the truth whether the cache may be believed, and give it a new permit or a new life. True: it may be.

        `claim`: leave it to another process that is at it. Raises RedisUnreachable, RedisError, StoreError.
        """
        looked = self._ask(_LOOK, int(self._pace.permit * 250) if claim else 0, anyway=True)
        if not looked:
            return False
        now, life = looked[0], looked[1].decode()
        self._count(truth=1)
        recorded = self._truth.cache_life()
        if life and recorded == life:
            # Counted from before the truth was asked: whoever shuts the cache after that waits a permit's time.
            closed = self._ask(_PERMIT, life, now + int(self._pace.permit * 1000), anyway=True)
            self._closed_until = 0.0
            return bool(closed == 0)
        life = secrets.token_hex(8)
        self._count(truth=1)
        if not self._truth.open_cache(life, instead_of=recorded):
            return False  # somebody else begins a new life
        first = recorded is None
        self._ask(_BIRTH, life, 0 if first else int(self._pace.longest_commit * 1000), anyway=True)
        self._closed_until = 0.0
        return self.renew(claim=False) if first else False

    def health(self) -> str:
        """`ok`, or why Redis cannot be used now."""
        try:
            self._wire.ping()
        except (RedisUnreachable, RedisError) as error:
            return str(error)
        return "ok"

    def close(self) -> None:
        """Send what waits, then close every connection."""
        with self._lock:
            worker, self._worker = self._worker, None
            tick, self._tick = self._tick, None
        if tick is not None:
            tick.cancel()
        if worker is not None:
            worker.shutdown()
        self._flush()
        self._wire.close()

    # -- asking ------------------------------------------------------------------------------------------------------------

    def _ask(self, script: Script, *arguments: str | bytes | int, anyway: bool = False) -> Reply:
        """One call, and with it those that wait to travel. `anyway`: also while the breaker is open."""
        if not anyway and not self._breaker.allow():
            raise RedisUnreachable("it did not answer a moment ago")
        waiting = self._take_later()
        self._count(redis=1)
        *_, reply = self._run([*waiting, (script, self._key(arguments))])
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def _count(self, *, redis: int = 0, truth: int = 0) -> None:
        if getattr(self._quiet, "here", False):
            self.truth_in_background += truth  # the truth counts it, and cannot know that nobody waits
        else:
            self.round_trips += redis

    def _run(self, calls: Sequence[Call]) -> list[Reply]:
        try:
            replies = self._wire.run(calls)
        except RedisUnreachable:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return replies

    def _key(self, arguments: Sequence[str | bytes | int]) -> Sequence[str | bytes | int]:
        """The gate's key, then the prefix of all keys, then the arguments. One hash tag: a cluster keeps them together."""
        if not self._prefix:
            self._prefix = f"jacfn:{FORMAT}:{{{self._app}:{self._truth.store_id()}}}:"
        return (f"{self._prefix}gate", self._prefix, *arguments)

    # -- what nobody waits for -----------------------------------------------------------------------------------------------

    def _send_later(self, script: Script, *arguments: str | bytes | int) -> None:
        call = (script, self._key(arguments))
        with self._lock:
            if len(self._later) >= MOST_LATER:
                self._drop_a_fill()
            self._later.append(call)
            if self._flushing:
                return
            self._flushing = True
        self._background(self._flush_soon)

    def _drop_a_fill(self) -> None:
        for n, (script, _) in enumerate(self._later):
            if script is _FILL:
                del self._later[n]
                return

    def _take_later(self) -> list[Call]:
        with self._lock:
            calls = list(self._later)
            self._later.clear()
        return calls

    def _flush_soon(self) -> None:
        time.sleep(LATER_SECONDS)
        with self._lock:
            self._flushing = False
        self._flush()

    def _flush(self) -> None:
        calls = self._take_later()
        if calls and self._breaker.allow():
            try:
                self._run(calls)
            except RedisUnreachable:
                return  # a fill is missed, a flight ends by itself

    def _renew_soon(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._next_renewal:
                return
            self._next_renewal = now + self._pace.permit / 4
        self._background(self._renew_quietly)

    def _renew_quietly(self) -> None:
        self._quiet.here = True
        try:
            self.renew()
        except (RedisUnreachable, RedisError, StoreError):
            return  # whoever needs the truth will hear about it

    def _background(self, work: Callable[[], object]) -> None:
        with self._lock:
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="cache")
            self._worker.submit(work)


class _Fence:
    """Keeps the cache shut for everybody while this process commits without marks."""

    def __init__(self, truth: Truth, pace: Pace) -> None:
        self._truth = truth
        self._pace = pace
        self._lock = threading.Lock()
        self._until = 0.0

    @property
    def stands(self) -> bool:
        """Whether a commit that begins now may go without marks."""
        return time.monotonic() < self._until

    def raise_(self) -> None:
        """Return when nobody believes the cache any more. Raises StoreUnavailable if the truth cannot be reached."""
        with self._lock:
            if self.stands:
                return
            started = time.monotonic()
            shut_for = self._truth.close_cache()
            # A tenth more: Redis, the truth and we have three clocks, which may run a little differently.
            time.sleep(max(0.0, self._pace.permit * 1.1 - shut_for))
            # A life that begins from now on stays shut for the longest commit. A tenth of that is its reserve: what starts within
            # it is over before.
            self._until = started + self._pace.longest_commit / 10


def _bucket(name: str) -> int:
    return zlib.crc32(name.encode()) % BUCKETS

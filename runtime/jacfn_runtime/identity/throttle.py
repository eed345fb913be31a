"""Failed logins slow down whoever fails: per account and per client address, more with each failure, never for ever.

Counted in Redis when the app has one (all gateways together), else in this process's memory alone: then N gateways allow N times
as much, and a restart forgets. Redis away: memory again. NIST SP 800-63B allows 100 failures in a row; this allows 4 for nothing,
then 12 an hour, and at most 42 to who pauses until they are forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import ipaddress
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Protocol

from jacfn_runtime.identity.errors import TooManyAttempts

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from jacfn_runtime.settings import Settings

FORGET_SECONDS = 900  # after the last failure
LONGEST_SECONDS = 300
REMEMBERED = 10_000  # keys in memory; the oldest goes first
MAX_HOPS = 20  # of X-Forwarded-For, from its end
REDIS_SECONDS = 0.5  # what a login waits for a Redis that hangs
REDIS_PAUSE_SECONDS = 5.0  # a Redis that failed is left alone this long


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is counted: `free` failures cost nothing, each one more doubles the wait, up to LONGEST_SECONDS."""

    key: str
    free: int

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        over = failures - self.free
        return 0.0 if over < 0 else float(min(LONGEST_SECONDS, 2 ** min(over, 30)))


def account(key: str) -> Subject:
    """An account that may or may not exist: nobody can tell by its waits."""
    return Subject(f"account:{key}", 5)


def address(peer: str, forwarded_for: str = "") -> Subject:
    """A client by its address: many people may share one, so it has more free failures.

    Behind a proxy (the peer is not a public address: Knative's queue-proxy is 127.0.0.1) the client is the last public address of
    X-Forwarded-For, which proxies append to; in a private network, its first one. A client there can lie, and is still counted by
    the account that it tries.
    """
    return Subject(f"address:{_client(peer, forwarded_for)}", 50)


class Counters(Protocol):
    """A place that counts failures."""

    async def waits(self, keys: list[str]) -> list[float]:
        """For each key, the seconds that it still has to wait."""

    async def fail(self, subject: Subject) -> None:
        """Count one failure and start the wait that follows from it."""

    async def forget(self, key: str) -> None:
        """The key starts from nothing."""


class MemoryCounters:
    """Counts in this process."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float, float]] = {}  # key -> failures, when the wait ends, when to forget

    async def waits(self, keys: list[str]) -> list[float]:
        now = time.monotonic()
        return [max(0.0, self._failures.get(key, (0, 0.0, 0.0))[1] - now) for key in keys]

    async def fail(self, subject: Subject) -> None:
        now = time.monotonic()
        failures, _, forget = self._failures.pop(subject.key, (0, 0.0, now))
        failures = failures + 1 if now < forget else 1
        self._failures[subject.key] = (failures, now + subject.wait(failures), now + FORGET_SECONDS)
        while len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]  # a dict keeps its order: this one failed longest ago

    async def forget(self, key: str) -> None:
        self._failures.pop(key, None)


class RedisCounters:
    """Counts in Redis, for all gateways of an app together; in memory while Redis is away."""

    def __init__(self, url: str, app: str) -> None:
        self._url = url
        self._prefix = f"jacfn:{app}:failures:"
        self._spare = MemoryCounters()
        self._redis: Redis | None = None
        self._rests_until = 0.0

    async def waits(self, keys: list[str]) -> list[float]:
        async def ask(redis: Redis) -> list[float]:
            async with redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.pttl(self._name(key, "wait"))
                return [max(0, left) / 1000 for left in await pipeline.execute()]  # negative: no such key

        return await self._ask(ask, lambda: self._spare.waits(keys))

    async def fail(self, subject: Subject) -> None:
        async def ask(redis: Redis) -> None:
            count = self._name(subject.key, "count")
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.incr(count)
                pipeline.expire(count, FORGET_SECONDS)
                failures, _ = await pipeline.execute()
            if wait := subject.wait(failures):
                await redis.set(self._name(subject.key, "wait"), 1, px=int(wait * 1000))

        await self._ask(ask, lambda: self._spare.fail(subject))

    async def forget(self, key: str) -> None:
        async def ask(redis: Redis) -> None:
            await redis.delete(self._name(key, "count"), self._name(key, "wait"))

        await self._spare.forget(key)
        await self._ask(ask, lambda: self._spare.forget(key))

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    def _name(self, key: str, what: str) -> str:
        """No username and no address is readable in Redis."""
        return f"{self._prefix}{hashlib.sha256(key.encode()).hexdigest()}:{what}"

    async def _ask[Result](self, ask: Callable[[Redis], Awaitable[Result]], spare: Callable[[], Awaitable[Result]]) -> Result:
        if time.monotonic() < self._rests_until:
            return await spare()
        try:
            return await ask(self._redis or await self._connect())
        except Exception as error:
            from redis.exceptions import RedisError

            if not isinstance(error, RedisError | OSError | ValueError):  # ValueError: a REDIS_URL that is none
                raise
            self._rests_until = time.monotonic() + REDIS_PAUSE_SECONDS
            return await spare()

    async def _connect(self) -> Redis:
        module = await asyncio.to_thread(importlib.import_module, "redis.asyncio")
        self._redis = self._redis or module.Redis.from_url(
            self._url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS, max_connections=20
        )
        return self._redis


class Throttle:
    """Refuses who failed too often too recently."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = counters or MemoryCounters()

    @classmethod
    def configured(cls, settings: Settings) -> Throttle:
        return cls(RedisCounters(settings.redis_url, settings.app) if settings.redis_url else None)

    async def check(self, *subjects: Subject) -> None:
        """Raises TooManyAttempts while one of them has to wait."""
        longest = max(await self._counters.waits([subject.key for subject in subjects]))
        if longest > 0:
            raise TooManyAttempts(math.ceil(longest), "failed logins")

    async def failed(self, *subjects: Subject) -> None:
        """Count a failure of each of them."""
        for subject in subjects:
            await self._counters.fail(subject)

    async def forgive(self, subject: Subject) -> None:
        """A login succeeded: the account starts from nothing. Its address does not: one good account would cover all guesses."""
        await self._counters.forget(subject.key)

    async def close(self) -> None:
        if isinstance(self._counters, RedisCounters):
            await self._counters.close()


def _client(peer: str, forwarded_for: str) -> str:
    near = _parsed(peer)
    if near is not None and near.is_global:
        return _block(near)  # nobody stands in front: the header is the client's own invention
    hops = [hop for hop in map(_parsed, forwarded_for.split(",")[-MAX_HOPS:]) if hop is not None]
    public = [hop for hop in hops if hop.is_global]
    client = public[-1] if public else hops[0] if hops else near
    return _block(client) if client is not None else "unknown"


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _block(client: IPv4Address | IPv6Address) -> str:
    """One customer gets a whole /64 of IPv6, so all of it is one client."""
    if isinstance(client, IPv6Address):
        return str(ipaddress.ip_network((client, 64), strict=False))
    return str(client)

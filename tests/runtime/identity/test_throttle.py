"""Failed logins: who waits, how long, and who is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import servers
from jacfn_runtime.identity import throttle
from jacfn_runtime.identity.errors import TooManyAttempts
from jacfn_runtime.identity.throttle import (
    LONGEST_SECONDS,
    Counters,
    MemoryCounters,
    RedisCounters,
    Subject,
    Throttle,
    account,
    address,
)


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    if request.param == "memory":
        yield MemoryCounters()
        return
    server: servers.Server = request.getfixturevalue("redis")
    made = RedisCounters(server.url, f"app-{uuid4().hex}")
    yield made
    await made.close()


async def fail(waits: Throttle, times: int, *subjects: Subject) -> None:
    for _ in range(times):
        await waits.failed(*subjects)


async def test_the_first_failures_cost_nothing(counters: Counters) -> None:
    waits = Throttle(counters)
    await fail(waits, 4, account("ann"))
    await waits.check(account("ann"), address("192.0.2.1"))


async def test_the_next_one_waits_and_is_told_how_long(counters: Counters) -> None:
    waits = Throttle(counters)
    await fail(waits, 9, account("ann"))
    with pytest.raises(TooManyAttempts) as caught:
        await waits.check(account("ann"))
    assert 1 <= (caught.value.retry_after or 0) <= 16


async def test_another_account_does_not_wait(counters: Counters) -> None:
    waits = Throttle(counters)
    await fail(waits, 9, account("ann"))
    await waits.check(account("bob"))


async def test_an_address_that_guesses_many_accounts_waits(counters: Counters) -> None:
    waits = Throttle(counters)
    for number in range(55):
        await waits.failed(account(f"user{number}"), address("192.0.2.1"))
    with pytest.raises(TooManyAttempts):
        await waits.check(account("ann"), address("192.0.2.1"))
    await waits.check(account("ann"), address("192.0.2.2"))


async def test_a_login_forgives_the_account_and_not_the_address(counters: Counters) -> None:
    waits = Throttle(counters)
    await fail(waits, 60, account("ann"), address("192.0.2.1"))
    await waits.forgive(account("ann"))
    await waits.check(account("ann"))
    with pytest.raises(TooManyAttempts):
        await waits.check(address("192.0.2.1"))


async def test_the_wait_ends(counters: Counters) -> None:
    await counters.fail(Subject("ann", 1))
    assert (await counters.waits(["ann"]))[0] <= 1
    deadline = time.monotonic() + 10
    while wait := (await counters.waits(["ann"]))[0]:
        assert time.monotonic() < deadline
        await asyncio.sleep(wait)


@given(st.integers(0, 10_000))
def test_waits_grow_with_failures_and_never_for_ever(failures: int) -> None:
    subject = account("ann")
    assert 0 <= subject.wait(failures) <= subject.wait(failures + 1) <= LONGEST_SECONDS
    assert (subject.wait(failures) == 0) == (failures < subject.free)


def test_who_pauses_until_failures_are_forgotten_guesses_at_most_42_an_hour() -> None:
    subject = throttle.account("name:ann")
    rounds = range(1, 100)
    taken = [sum(map(subject.wait, range(1, guesses))) + throttle.FORGET_SECONDS for guesses in rounds]
    assert int(max(3600 * guesses / seconds for guesses, seconds in zip(rounds, taken, strict=True))) == 42


async def test_memory_keeps_a_bounded_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "REMEMBERED", 3)
    counters = MemoryCounters()
    for number in range(10):
        await counters.fail(Subject(f"user{number}", 0))
    assert [wait > 0 for wait in await counters.waits(["user0", "user6", "user7", "user9"])] == [False, False, True, True]


async def test_failures_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FORGET_SECONDS", -1)
    counters = MemoryCounters()
    for _ in range(20):
        await counters.fail(Subject("ann", 5))
    assert await counters.waits(["ann"]) == [0]


async def test_a_redis_url_that_is_none_counts_in_memory() -> None:
    waits = Throttle(RedisCounters("not a url", "shop"))
    await fail(waits, 9, account("ann"))
    with pytest.raises(TooManyAttempts):
        await waits.check(account("ann"))


async def test_two_gateways_count_together_in_redis(redis: servers.Server) -> None:
    app = uuid4().hex
    one, other = RedisCounters(redis.url, app), RedisCounters(redis.url, app)
    await fail(Throttle(one), 5, account("ann"))
    await fail(Throttle(other), 4, account("ann"))
    with pytest.raises(TooManyAttempts):
        await Throttle(one).check(account("ann"))
    for counters in (one, other):
        await counters.close()


async def test_two_apps_never_count_together(redis: servers.Server) -> None:
    one, other = RedisCounters(redis.url, uuid4().hex), RedisCounters(redis.url, uuid4().hex)
    await fail(Throttle(one), 9, account("ann"))
    await Throttle(other).check(account("ann"))
    for counters in (one, other):
        await counters.close()


async def test_a_redis_that_is_away_or_comes_back_changes_nothing_but_the_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "REDIS_PAUSE_SECONDS", 0.0)
    with servers.redis(tmp_path) as server:
        counters = RedisCounters(server.url, "shop")
        waits = Throttle(counters)
        server.stop()
        await waits.check(account("ann"))
        await fail(waits, 9, account("ann"))
        with pytest.raises(TooManyAttempts):
            await waits.check(account("ann"))
        server.start()
        await waits.check(account("ann"))
        await counters.close()


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("8.8.8.8", "", "8.8.8.8"),
        ("8.8.8.8", "9.9.9.9", "8.8.8.8"),  # nobody stands in front: the header is invented
        ("127.0.0.1", "9.9.9.9, 10.0.0.7", "9.9.9.9"),  # Knative's queue-proxy behind an ingress
        ("10.0.0.1", "1.1.1.1, 9.9.9.9, 10.0.0.7", "9.9.9.9"),  # 1.1.1.1 is what the client wrote itself
        ("127.0.0.1", "10.0.0.9, 10.0.0.7", "10.0.0.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense, 9.9.9.9", "9.9.9.9"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("", "", "unknown"),
        ("::ffff:8.8.8.8", "", "8.8.8.8"),
        ("2600:1f18:1:2:3:4:5:6", "", "2600:1f18:1:2::/64"),
    ],
)
def test_a_client_is_counted_by_its_own_address(peer: str, forwarded_for: str, client: str) -> None:
    assert address(peer, forwarded_for).key == f"address:{client}"


@given(st.text(max_size=40), st.text(max_size=4000))
def test_no_header_breaks_the_count(peer: str, forwarded_for: str) -> None:
    assert address(peer, forwarded_for).key

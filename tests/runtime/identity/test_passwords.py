"""Passwords: what is taken, how it is kept, and that nobody learns from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from jacfn_runtime.identity import passwords
from jacfn_runtime.identity.errors import InvalidArguments, TooManyAttempts
from jacfn_runtime.identity.passwords import Passwords, allowed_workers, check_rules

GIB = 1024**3


@pytest.fixture
def hashes() -> Iterator[Passwords]:
    made = Passwords(2)
    yield made
    made.close()


@pytest.mark.parametrize(
    "password",
    ["12345678", "correct horse battery", "ђљњђљњ12", "密码密码密码密码", "🦑" * 8, " " * 8, "x" * 1024, "a\x00bcdefg"],
)
def test_long_enough_passwords_of_any_script_are_taken(password: str) -> None:
    check_rules(password, "ann")


@pytest.mark.parametrize(
    "password", ["", "1234567", "e\u0301" * 7, "x" * 1025, "x" * 10**6, "ann.lee@x", "ANN.LEE@X", "\ud800" * 9]
)
def test_passwords_against_the_rules_are_refused_and_never_repeated(password: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        check_rules(password, "Ann.Lee@x")
    assert caught.value.details[0]["path"] == "body.password"
    assert not password or password not in str(caught.value) + str(caught.value.details)


async def test_a_password_is_known_again_and_another_is_not(hashes: Passwords) -> None:
    encoded = await hashes.hash("correct horse battery")
    assert await hashes.verify("correct horse battery", encoded)
    assert not await hashes.verify("correct horse battery ", encoded)
    assert not await hashes.verify("Correct horse battery", encoded)


async def test_two_keyboards_type_the_same_password(hashes: Passwords) -> None:
    assert await hashes.verify("cafe\u0301 noir", await hashes.hash("café noir"))


async def test_the_same_password_is_never_kept_twice_alike(hashes: Passwords) -> None:
    assert await hashes.hash("correct horse") != await hashes.hash("correct horse")


async def test_hashes_are_argon2id_with_owasps_parameters(hashes: Passwords) -> None:
    assert (await hashes.hash("correct horse")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_an_unknown_user_has_no_password_and_costs_the_same_work(hashes: Passwords) -> None:
    assert not await hashes.verify("correct horse", None)
    parameters = hashes._nobody.split("$")[1:4]
    assert parameters == (await hashes.hash("correct horse")).split("$")[1:4]


async def test_what_is_too_long_or_no_unicode_is_nobodys_password(hashes: Passwords) -> None:
    empty = PasswordHasher(2, 19_456, 1).hash("")
    for impossible in ("x" * 1025, "\ud800" * 9):
        assert not await hashes.verify(impossible, empty)


async def test_a_broken_hash_opens_nothing(hashes: Passwords) -> None:
    for broken in ("x", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abcdefghijklmnopqrstuv"):
        assert not await hashes.verify("correct horse", broken)


async def test_hashes_with_other_parameters_are_outdated(hashes: Passwords) -> None:
    assert hashes.is_outdated(PasswordHasher(1, 8192, 1).hash("correct horse"))
    assert not hashes.is_outdated(await hashes.hash("correct horse"))


async def test_who_would_wait_too_long_is_sent_away(hashes: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "QUEUE_SECONDS", 0.1)  # 4 waiting for 2 workers
    outcomes = await asyncio.gather(*(hashes.verify("correct horse", None) for _ in range(12)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(TooManyAttempts) == 7
    assert not await hashes.verify("correct horse", None)


@pytest.mark.parametrize(
    ("processors", "memory", "workers"), [(2, 8 * GIB, 2), (64, GIB, 13), (8, 512 * 1024**2, 6), (8, 64 * 1024**2, 1), (1, 0, 1)]
)
def test_hashing_takes_a_quarter_of_the_memory_at_most(processors: int, memory: int, workers: int) -> None:
    assert allowed_workers(processors, memory) == workers


def test_the_memory_limit_is_known() -> None:
    assert passwords.memory_limit() > 2**20

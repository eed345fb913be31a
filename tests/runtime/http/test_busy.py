"""More requests than a process can work on are turned away at once, and the log does not drown in them."""

from __future__ import annotations

import pytest

from jacfn_runtime.http.endpoint import Places
from jacfn_runtime.http.errors import ApiError
from jacfn_runtime.http.front import new_id, said_lately


def test_who_finds_no_place_is_told_to_come_back() -> None:
    places = Places(1)
    with places, pytest.raises(ApiError) as caught, places:
        pass
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})


def test_a_place_is_given_back_whatever_happens() -> None:
    places = Places(1)
    with pytest.raises(ValueError), places:
        raise ValueError
    with places:
        pass


def test_the_same_reason_is_said_once_a_second() -> None:
    text = new_id()
    assert [said_lately(text), said_lately(text), said_lately(text + "x")] == [False, True, False]


def test_no_two_requests_have_one_id() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(each) == 32 for each in ids)

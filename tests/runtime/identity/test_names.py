"""Usernames: which two are one, and which are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.identity.errors import InvalidArguments
from jacfn_runtime.identity.names import MAX_LENGTH, canonical, display


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann", "ANN"), ("ann", " ann\t"),
        ("straße", "STRASSE"), ("é", "e\u0301"), ("ﬁne", "fine"), ("\uff41\uff4e\uff4e", "ann"),
        ("ς", "Σ"),
    ],
)  # fmt: skip
def test_spellings_that_people_take_for_one_are_one(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [("ann", "anna"), ("a b", "ab"), ("ann", "\u0430nn"), ("e", "é")])
def test_other_names_are_others(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(st.text())
def test_a_canonical_name_is_its_own_canonical_name(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


@given(st.text(st.characters(codec="utf-8")))
def test_case_never_makes_another_user(name: str) -> None:
    assert canonical(canonical(name).upper()) == canonical(canonical(name).upper().lower())


@pytest.mark.parametrize("name", ["ann", "Ann Lee", "ann@example.org", "名前", "🦑", "O'Neil", "a", "x" * MAX_LENGTH])
def test_ordinary_names_are_shown_as_they_are_written(name: str) -> None:
    assert display(f"  {name} ") == name


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "\t\n", "x" * (MAX_LENGTH + 1), "\ufdfa" * MAX_LENGTH, "a\x00b", "a\nb", "a\u200bb", "\u202eann", "a\u2028b",
        "\ue000", "\ud800", "\U000e0041",
    ],
)  # fmt: skip
def test_names_that_cannot_be_shown_or_told_apart_are_refused(name: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        display(name)
    assert caught.value.details[0]["path"] == "body.username"

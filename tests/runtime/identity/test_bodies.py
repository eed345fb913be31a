"""Request bodies: two spellings are read, everything else is refused with the path of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jacfn_runtime.http.errors import ApiError
from jacfn_runtime.identity import bodies
from jacfn_runtime.program.arguments import InvalidArguments

CREDENTIAL = {"type": "password", "password": "correct horse"}


def registration(body: Any) -> bodies.Account | bodies.NestedRegistration:
    return bodies.read(json.dumps(body).encode(), bodies.Account, bodies.NestedRegistration)


def login(body: Any) -> bodies.Account | bodies.NestedLogin:
    return bodies.read(json.dumps(body).encode(), bodies.Account, bodies.NestedLogin)


def test_our_spelling_of_a_registration() -> None:
    read = registration({"username": "ann", "password": "correct horse"})
    assert (read.usernames, read.password) == (["ann"], "correct horse")


def test_the_incumbents_spelling_of_a_registration() -> None:
    names = [{"type": "email", "value": "ann@example.org"}, {"type": "username", "value": "ann"}]
    read = registration({"identities": names, "credential": CREDENTIAL})
    assert (read.usernames, read.password) == (["ann", "ann@example.org"], "correct horse")


def test_the_incumbents_spelling_of_a_login() -> None:
    read = login({"identity": {"type": "email", "value": "ann@example.org"}, "credential": CREDENTIAL})
    assert (read.username, read.password) == ("ann@example.org", "correct horse")


def test_both_spellings_of_a_refresh() -> None:
    for body in (b'{"refresh_token": "x"}', b'{"token": "x"}'):
        assert bodies.read(body, bodies.Refresh, bodies.NestedRefresh).refresh_token == "x"


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, {"body.username", "body.password"}),
        (None, {"body.username", "body.password"}),
        ([], {"body"}),
        ("ann", {"body"}),
        ({"username": "ann"}, {"body.password"}),
        ({"username": 1, "password": None}, {"body.username", "body.password"}),
        ({"username": "ann", "password": "correct horse", "role": "admin"}, {"body.role"}),
        ({"identities": []}, {"body.identities", "body.credential"}),
        ({"identities": [{"type": "phone", "value": "1"}], "credential": CREDENTIAL}, {"body.identities[0].type"}),
        ({"identities": [{"type": "email", "value": "a"}], "credential": CREDENTIAL, "username": "b"}, {"body.username"}),
        ({"identities": [{"type": "email", "value": "a"}], "credential": {"type": "totp"}}, {"body.credential.type"}),
    ],
)
def test_each_bad_field_is_named(body: Any, paths: set[str]) -> None:
    with pytest.raises(InvalidArguments) as caught:
        registration(body)
    assert {path for path, _ in caught.value.problems} == paths


def test_no_message_repeats_a_password() -> None:
    with pytest.raises(InvalidArguments) as caught:
        registration({"username": 1, "password": "correct horse", "extra": "secret"})
    assert "correct horse" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"{", b"username=ann", b"\xff", b'{"username": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_a_bad_request(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        bodies.read(raw, bodies.Account, bodies.NestedLogin)
    assert caught.value.status == 400


@pytest.mark.parametrize("verifier", ["", "x" * 42, "x" * 129, "x" * 42 + "é", "x" * 43 + "\n"])
def test_a_code_verifier_is_that_of_rfc_7636(verifier: str) -> None:
    with pytest.raises(InvalidArguments):
        bodies.read(json.dumps({"code": "c", "code_verifier": verifier}).encode(), bodies.Exchange, bodies.Exchange)

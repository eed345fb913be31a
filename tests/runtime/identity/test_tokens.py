"""Tokens: what is issued is taken back, and nothing else is."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.identity.errors import InvalidToken
from jacfn_runtime.identity.tokens import LEEWAY, Caller, Grant, Tokens

SECRET = "0123456789abcdef" * 4
ANN = Caller("a" * 32, "ann", "b" * 32)

ids = st.text("0123456789abcdef", min_size=32, max_size=32)
callers = st.builds(Caller, ids, st.text(min_size=1, max_size=128).filter(lambda name: name.isprintable()), ids)


def tokens(secret: str = SECRET, **options: Any) -> Tokens:
    return Tokens(secret, **options)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"sub": ANN.user_id, "root": ANN.root, "name": "ann", "iat": now, "exp": now + 60, "jti": "c" * 32}
    return good | {"iss": "jaseci", "aud": "jaseci"} | changed


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256", typ: str | None = "at+jwt") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm, headers={"typ": typ})


@given(callers, st.sampled_from(["HS256", "HS384", "HS512"]))
def test_an_access_token_names_its_caller(caller: Caller, algorithm: str) -> None:
    issuer = tokens(algorithm=algorithm)
    assert issuer.verify(issuer.issue(caller)["token"]) == caller


def test_the_longest_username_fits_into_a_token() -> None:
    long = Caller("a" * 32, "\U0001f991" * 128, "b" * 32)
    assert tokens().verify(tokens().issue(long)["token"]) == long


@given(callers, ids, ids)
def test_a_refresh_token_names_its_caller_and_its_grant(caller: Caller, family: str, serial: str) -> None:
    issued = tokens().issue(caller, Grant(family, serial))
    assert tokens().verify_refresh(issued["refresh_token"]) == (caller, Grant(family, serial))


def test_a_login_answers_everything_that_a_client_needs() -> None:
    issued = tokens(days=7).issue(ANN)
    assert {key: value for key, value in issued.items() if "token" not in key or key == "token_type"} == {
        "token_type": "Bearer", "expires_in": 604_800, "username": "ann", "root_id": ANN.root,
    }  # fmt: skip


@given(callers)
def test_the_kinds_are_never_interchangeable(caller: Caller) -> None:
    issued = tokens().issue(caller)
    with pytest.raises(InvalidToken):
        tokens().verify(issued["refresh_token"])
    with pytest.raises(InvalidToken):
        tokens().verify(issued["token"], "refresh")
    with pytest.raises(InvalidToken):
        tokens().verify_refresh(issued["token"])


@given(st.data())
@settings(max_examples=300)
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = tokens().issue(ANN)["token"]
    index = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(codec="utf-8").filter(lambda char: char != token[index]))
    with pytest.raises(InvalidToken):
        tokens().verify(token[:index] + character + token[index + 1 :])


@given(st.text(max_size=5000))
def test_no_text_is_a_token_by_accident(text: str) -> None:
    with pytest.raises(InvalidToken):
        tokens().verify(text)


@given(st.data())
def test_claims_cannot_be_exchanged_under_a_signature(data: st.DataObject) -> None:
    header, _, signature = tokens().issue(ANN)["token"].split(".")
    other = data.draw(ids.filter(lambda value: value != ANN.user_id))
    payload = base64.urlsafe_b64encode(json.dumps(claims(sub=other)).encode()).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        tokens().verify(f"{header}.{payload}.{signature}")


def test_a_hand_made_token_with_all_claims_is_taken() -> None:
    assert tokens().verify(signed(claims())) == ANN  # so that the refusals below refuse for their own reason


@pytest.mark.parametrize("claim", ["sub", "root", "name", "exp", "iat", "jti", "iss", "aud"])
def test_every_claim_is_required(claim: str) -> None:
    without = claims()
    del without[claim]
    with pytest.raises(InvalidToken):
        tokens().verify(signed(without))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "other"}, {"aud": "other"}, {"aud": ["jaseci", "other"]}, {"sub": 7}, {"sub": "A" * 32}, {"root": "short"},
        {"root": None}, {"name": None}, {"jti": ""}, {"exp": "soon"}, {"exp": str(int(time.time()) + 60)}, {"exp": None},
        {"iat": int(time.time()) + 3600}, {"nbf": int(time.time()) + 3600}, {"exp": int(time.time()) - LEEWAY - 1},
    ],
)  # fmt: skip
def test_a_claim_that_this_app_would_not_write_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        tokens().verify(signed(claims(**changed)))


@pytest.mark.parametrize("typ", [None, "JWT", "AT+JWT", "rt+jwt", "at+jwt "])
def test_another_typ_is_refused(typ: str | None) -> None:
    with pytest.raises(InvalidToken):
        tokens().verify(signed(claims(), typ=typ))


def test_another_secret_is_refused() -> None:
    with pytest.raises(InvalidToken):
        tokens("f" * 64).verify(tokens().issue(ANN)["token"])


def test_another_app_is_refused() -> None:
    with pytest.raises(InvalidToken):
        tokens(app="other").verify(tokens().issue(ANN)["token"])


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_secret(algorithm: str) -> None:
    with pytest.raises(InvalidToken):
        tokens().verify(signed(claims(), algorithm=algorithm))


def test_an_unsigned_token_is_refused() -> None:
    unsigned = jwt.encode(claims(), None, algorithm="none", headers={"typ": "at+jwt"})
    with pytest.raises(InvalidToken):
        tokens().verify(unsigned)


def test_a_key_from_inside_the_token_is_never_used() -> None:
    forged = jwt.encode(
        claims(),
        "e" * 64,
        algorithm="HS256",
        headers={"typ": "at+jwt", "jku": "http://127.0.0.1:9/keys", "kid": "../../dev/null"},
    )
    with pytest.raises(InvalidToken):
        tokens().verify(forged)


def test_a_token_expires_also_after_it_was_found_good(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = tokens(days=1)
    token = issuer.issue(ANN)["token"]
    assert issuer.verify(token) == ANN
    later = time.time() + 86_400 + LEEWAY + 1
    monkeypatch.setattr("jacfn_runtime.identity.tokens.time.time", lambda: later)
    with pytest.raises(InvalidToken):
        issuer.verify(token)


def test_a_token_of_a_clock_that_is_a_little_ahead_is_taken() -> None:
    now = int(time.time())
    assert tokens().verify(signed(claims(iat=now + LEEWAY // 2, exp=now + 60))) == ANN


@pytest.mark.parametrize("bad", ["", "not a token", "a.b.c"])
def test_the_error_never_says_why_to_the_outside(bad: str) -> None:
    messages = set()
    for attempt in (bad, signed(claims(exp=1)), signed(claims(), secret="f" * 64), tokens().issue(ANN)["refresh_token"]):
        with pytest.raises(InvalidToken) as caught:
            tokens().verify(attempt)
        messages.add(str(caught.value))
    assert messages == {"The token is not valid"}


@pytest.mark.parametrize(("algorithm", "length"), [("HS256", 31), ("HS384", 47), ("HS512", 63), ("HS256", 0)])
def test_a_secret_shorter_than_its_hash_is_refused(algorithm: str, length: int) -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        Tokens("s" * length, algorithm)


@pytest.mark.parametrize("algorithm", ["none", "RS256", "hs256", ""])
def test_only_hmac_algorithms_are_allowed(algorithm: str) -> None:
    with pytest.raises(SettingsError, match="JWT_ALGORITHM"):
        Tokens(SECRET, algorithm)


def test_what_was_sealed_for_one_purpose_is_good_for_no_other() -> None:
    sealed = tokens().seal("sso", {"state": "x"}, 60)
    assert tokens().unseal("sso", sealed) == {"state": "x"}
    with pytest.raises(InvalidToken):
        tokens().unseal("code", sealed)
    for kind in ("at", "rt"):
        with pytest.raises(InvalidToken):
            tokens().verify(tokens().seal(kind, {"sub": "a"}, 60))


def test_the_secret_does_not_show_in_a_repr() -> None:
    assert SECRET not in repr(tokens())


HEAVY = {
    "cryptography",
    "ssl",
    "http.client",
    "urllib.request",
    "argon2",
    "beanie",
    "pymongo",
    "authlib",
    "joserfc",
    "httpx",
    "pydantic",
}


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout


def test_tokens_import_neither_cryptography_nor_an_http_client() -> None:
    use = "t = Tokens('s' * 64); t.verify(t.issue(Caller('a' * 32, 'ann', 'b' * 32))['token'])"
    shown = run(f"import sys; from jacfn_runtime.identity.tokens import Tokens, Caller; {use}; print(*sys.modules)")
    assert HEAVY.isdisjoint(shown.split())


def test_a_program_that_imports_jwt_for_itself_gets_the_whole_of_it() -> None:
    shown = run("import jacfn_runtime.identity.tokens, jwt; print(jwt.algorithms.has_crypto, *jwt.PyJWS().get_algorithms())")
    assert {"True", "RS256", "EdDSA"} <= set(shown.split())

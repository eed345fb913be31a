"""id_tokens: the right one is believed, and nothing that looks like it."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from jacfn_runtime.identity.errors import SsoFailed
from jacfn_runtime.identity.oidc import LEEWAY, UnknownKey, id_token_claims, person

ISSUER, CLIENT, NONCE = "https://idp.example", "shop", "n-0S6_WzA2Mj"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
CURVE = ECKey.generate_key("P-256", {"kid": "two"})
PUBLISHED = {"keys": [KEY.as_dict(private=False), CURVE.as_dict(private=False)]}


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": CLIENT, "sub": "1234", "nonce": NONCE, "iat": now, "exp": now + 300}
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(content: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", **header: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid, **header}, content, key, algorithms=[algorithm])


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def believed(id_token: str, keys: dict[str, Any] = PUBLISHED, access_token: str = "at") -> dict[str, Any]:
    return id_token_claims(id_token, keys, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, access_token=access_token)


@pytest.mark.parametrize(("key", "algorithm"), [(KEY, "RS256"), (KEY, "PS256"), (CURVE, "ES256")])
def test_the_right_one_is_believed(key: Any, algorithm: str) -> None:
    assert believed(signed(claims(email="ann@example.org"), key, algorithm))["email"] == "ann@example.org"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"}, {"iss": f"{ISSUER}/"}, {"iss": None}, {"aud": "other"}, {"aud": None}, {"aud": []},
        {"aud": ["shop", "other"], "azp": "other"}, {"aud": ["shop", "other"]}, {"azp": "other"}, {"sub": None},
        {"nonce": "replayed"}, {"nonce": None}, {"exp": int(time.time()) - LEEWAY - 5}, {"exp": None}, {"exp": "soon"},
        {"iat": None}, {"nbf": int(time.time()) + 3600}, {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
)  # fmt: skip
def test_a_claim_that_does_not_fit_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(SsoFailed):
        believed(signed(claims(**changed)))


def test_a_key_that_is_not_published_is_refused() -> None:
    with pytest.raises(SsoFailed):
        believed(signed(claims(), OTHER))


def test_a_key_id_that_is_not_published_is_told_apart() -> None:
    with pytest.raises(UnknownKey):
        believed(signed(claims(), RSAKey.generate_key(2048, {"kid": "three"})))


def test_an_unsigned_token_is_refused() -> None:
    with pytest.raises(SsoFailed):
        believed(f"{encoded({'alg': 'none'})}.{encoded(claims())}.")


@pytest.mark.parametrize(
    "secret", [b"client-secret-client-secret-0000", json.dumps(PUBLISHED).encode(), KEY.as_pem(private=False)]
)
def test_an_hmac_with_something_that_others_know_is_refused(secret: bytes) -> None:
    body = f"{encoded({'alg': 'HS256', 'kid': 'one'})}.{encoded(claims())}"
    signature = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), "sha256")).decode().rstrip("=")
    with pytest.raises(SsoFailed):
        believed(f"{body}.{signature}")


def test_a_symmetric_or_encryption_key_in_the_set_verifies_nothing() -> None:
    symmetric = OctKey.import_key(b"s" * 32, {"kid": "sym"})
    encrypting = RSAKey.generate_key(2048, {"kid": "enc", "use": "enc"})
    keys = {"keys": [symmetric.as_dict(private=True), encrypting.as_dict(private=False), KEY.as_dict(private=False)]}
    for token in (
        signed(claims(), symmetric, "HS256"),
        signed(claims(), RSAKey.import_key(encrypting.as_dict(private=True) | {"use": "sig"})),
    ):
        with pytest.raises((SsoFailed, UnknownKey)):
            believed(token, keys)


def test_a_key_inside_the_token_is_never_used() -> None:
    with pytest.raises(SsoFailed):
        believed(signed(claims(), OTHER, jwk=OTHER.as_dict(private=False)))


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": None}, {"keys": ["x", None, {}]}, {"keys": [{"kty": "RSA"}]}])
def test_a_broken_key_set_verifies_nothing(keys: dict[str, Any]) -> None:
    with pytest.raises((SsoFailed, UnknownKey)):
        believed(signed(claims()), keys)


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = signed(claims())
    index = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from("abcXYZ019-_.=+/é ").filter(lambda char: char != token[index]))
    with pytest.raises((SsoFailed, UnknownKey)):
        believed(token[:index] + character + token[index + 1 :])


@given(st.text(max_size=200))
def test_no_text_is_an_id_token_by_accident(text: str) -> None:
    with pytest.raises((SsoFailed, UnknownKey)):
        believed(text)


@pytest.mark.parametrize("verified", [True, "true"])
def test_a_person_is_the_subject_with_its_verified_address(verified: Any) -> None:
    found = person(ISSUER, {"sub": "1234", "email": "ann@example.org", "email_verified": verified})
    assert (found.issuer, found.subject, found.email) == (ISSUER, "1234", "ann@example.org")


@pytest.mark.parametrize(
    "changed",
    [
        {"email_verified": False}, {"email_verified": None}, {"email_verified": "false"}, {"email_verified": 0},
        {"email_verified": 1}, {"email_verified": "yes"}, {"email": None}, {"email": "ann"}, {"email": "a@b\n"},
        {"email": 7}, {"email": "a" * 250 + "@b.cd"}, {"sub": ""}, {"sub": 7},
        {"sub": "x" * 256},
    ],
)  # fmt: skip
def test_who_is_not_proven_is_nobody(changed: dict[str, Any]) -> None:
    with pytest.raises(SsoFailed):
        person(ISSUER, {"sub": "1234", "email": "ann@example.org", "email_verified": True} | changed)

"""What an OpenID provider says about a user, and whether to believe it: the checks of OpenID Connect Core 3.1.3.7. No I/O.

Imports joserfc and Authlib (0.3 s): only `provider.py` imports it, at the first sign-on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from jacfn_runtime.identity.errors import SsoFailed

# Asymmetric ones only: an HMAC "signature" could be made by whoever knows the client's secret, or the public key (RFC 8725 2.1).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
KEY_TYPES = ("RSA", "EC")
LEEWAY = 60  # seconds between the provider's clock and ours
MAX_EMAIL = 254  # RFC 5321


@dataclass(frozen=True, slots=True)
class Person:
    """Who the provider vouches for. (issuer, subject) is the identity; the verified address is a name to show."""

    issuer: str
    subject: str
    email: str


class UnknownKey(Exception):
    """The token names a key that the provider's key set did not have when we read it: it may have rotated."""


def id_token_claims(
    id_token: str, keys: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, access_token: str
) -> dict[str, Any]:
    """The claims of an id_token that is for this client, from this provider, for this sign-on. `keys`: its JSON Web Key Set.

    Raises SsoFailed, and UnknownKey when no key of the set has the token's `kid`.
    """
    try:
        usable = KeySet.import_key_set({"keys": [key for key in keys.get("keys", ()) if _can_verify(key)]})
        token = jwt.decode(id_token, usable, algorithms=ALGORITHMS)
        options = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}
        expected = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
        claims = CodeIDToken(token.claims, token.header, options, expected)
        claims.validate(leeway=LEEWAY)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        if type(error).__name__ == "InvalidKeyIdError":
            raise UnknownKey from None
        raise SsoFailed(f"id_token: {type(error).__name__}: {error}") from None
    return dict(claims)


def person(issuer: str, claims: Mapping[str, Any]) -> Person:
    """The person in verified claims. Raises SsoFailed unless the provider has verified the e-mail address."""
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255:  # OpenID Connect Core 2: at most 255 characters
        raise SsoFailed("no usable sub claim")
    if claims.get("email_verified") is not True and claims.get("email_verified") != "true":  # Amazon Cognito sends a text
        raise SsoFailed("the e-mail address is not verified")
    if not isinstance(email, str) or "@" not in email or len(email) > MAX_EMAIL or not email.isprintable():
        raise SsoFailed("no usable e-mail address")
    return Person(issuer, subject, email)


def _can_verify(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in KEY_TYPES and key.get("use", "sig") == "sig"

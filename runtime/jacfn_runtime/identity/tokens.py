"""Tokens that say who is calling: issued by the gateway, checked locally by every function service. No store is asked.

Two kinds, never interchangeable, told apart by the signed header `typ` (RFC 8725 section 3.11): an access token (`at+jwt`,
RFC 9068) opens endpoints, a refresh token buys the next pair once. Both are bound to one app by `iss` and `aud`.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.identity.errors import InvalidToken
from jacfn_runtime.identity.pyjwt import PyJWT, PyJWTError
from jacfn_runtime.identity.secret import signing_secret

if TYPE_CHECKING:
    from jacfn_runtime.settings import Settings

Kind = Literal["access", "refresh"]

TYPES: dict[Kind, str] = {"access": "at+jwt", "refresh": "rt+jwt"}
SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}  # RFC 7518 section 3.2: a key is at least as long as its hash
ID = re.compile(r"[0-9a-f]{32}")
REQUIRED = ["exp", "iat", "iss", "aud"]
LEEWAY = 30  # seconds; clocks of two cluster nodes differ, and a token from the gateway's future must still be taken
MAX_LENGTH = 4096  # characters; ours have about 500, and nothing longer is worth decoding
REFRESH_DAYS = 30  # a refresh token lives this long, or twice as long as the access token if that is more
REMEMBERED = 1024  # verified tokens kept per process: one check costs 40 us, as much as a whole bare falcon request


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token speaks for. `user_id` and `root` are 32 hex digits."""

    user_id: str
    username: str
    root: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One login: all refresh tokens that follow from it are one family, and only its latest `serial` is good."""

    family: str
    serial: str

    @classmethod
    def new(cls) -> Grant:
        return cls(uuid4().hex, uuid4().hex)

    def next(self) -> Grant:
        return Grant(self.family, uuid4().hex)


@dataclass(frozen=True, slots=True)
class _Good:
    """What a token that was found good says, and until when (seconds since 1970)."""

    expires: float
    caller: Caller
    grant: Grant


class Tokens:
    """Issues and verifies the tokens of one app. Safe to share between threads."""

    def __init__(self, secret: str, algorithm: str = "HS256", days: float = 7, app: str = "jaseci") -> None:
        """`days`: the lifetime of an access token. Raises SettingsError for a short secret or an algorithm that is not HMAC."""
        if algorithm not in SECRET_BYTES:
            raise SettingsError(f"JWT_ALGORITHM={algorithm!r} is not one of {', '.join(SECRET_BYTES)}")
        if len(secret.encode()) < SECRET_BYTES[algorithm]:
            raise SettingsError(
                f"JWT_SECRET is {len(secret.encode())} bytes long; tokens signed with it could be forged",
                next_step=f"{algorithm} needs at least {SECRET_BYTES[algorithm]} random bytes: `openssl rand -hex 32`.",
            )
        self._secret = secret.encode()
        self._algorithm = algorithm
        self._app = app
        self.access_seconds = round(days * 86_400)
        self.refresh_seconds = max(REFRESH_DAYS * 86_400, 2 * self.access_seconds)
        self._jwt = PyJWT()
        self._remembered = lru_cache(REMEMBERED)(self._checked)

    @classmethod
    def configured(cls, settings: Settings) -> Tokens:
        """The tokens of this app. Raises SettingsError when there is no secret, and no laptop to make one on."""
        return cls(signing_secret(settings), settings.jwt_algorithm, settings.jwt_days, settings.app)

    def __repr__(self) -> str:
        return f"Tokens(app={self._app!r}, algorithm={self._algorithm!r})"

    def issue(self, caller: Caller, grant: Grant | None = None) -> dict[str, Any]:
        """The answer of a login: `token`, `refresh_token`, `token_type`, `expires_in` (seconds), `username`, `root_id`.

        `grant` is what the user store knows the refresh token by; without one the refresh token is good for nothing.
        """
        grant = grant or Grant.new()
        return {
            "token": self._sign(caller, "access", self.access_seconds, {"jti": uuid4().hex}),
            "refresh_token": self._sign(caller, "refresh", self.refresh_seconds, {"jti": grant.serial, "fam": grant.family}),
            "token_type": "Bearer",
            "expires_in": self.access_seconds,
            "username": caller.username,
            "root_id": caller.root,
        }

    def verify(self, token: str, kind: Kind = "access") -> Caller:
        """Who the token speaks for. Raises InvalidToken, whatever is wrong with it."""
        return self._good(token, kind).caller

    def verify_refresh(self, token: str) -> tuple[Caller, Grant]:
        """Who a refresh token speaks for, and its grant. Raises InvalidToken."""
        good = self._good(token, "refresh")
        return good.caller, good.grant

    def seal(self, purpose: str, data: dict[str, str], seconds: int) -> str:
        """A text that proves that this app wrote `data` for this purpose, lately. Whoever holds it can read it."""
        return self._encode({"data": data}, f"{purpose}+jwt", seconds)

    def unseal(self, purpose: str, sealed: str) -> dict[str, str]:
        """What was sealed. Raises InvalidToken, whatever is wrong with it."""
        data: dict[str, str] = self._decode(sealed, f"{purpose}+jwt", ["data"])["data"]
        return data

    def _sign(self, caller: Caller, kind: Kind, seconds: int, more: dict[str, str]) -> str:
        claims = {"sub": caller.user_id, "root": caller.root, "name": caller.username} | more
        return self._encode(claims, TYPES[kind], seconds)

    def _encode(self, claims: dict[str, Any], typ: str, seconds: int) -> str:
        now = int(time.time())
        claims = claims | {"iss": self._app, "aud": self._app, "iat": now, "exp": now + seconds}
        return self._jwt.encode(claims, self._secret, algorithm=self._algorithm, headers={"typ": typ})

    def _good(self, token: str, kind: Kind) -> _Good:
        good = self._remembered(token, kind)
        if good.expires <= time.time() - LEEWAY:  # the one thing that changes after a token was found good
            raise InvalidToken("it has expired")
        return good

    def _checked(self, token: str, kind: Kind) -> _Good:
        return _read(self._decode(token, TYPES[kind], ["sub", "root", "name", "jti"]))

    def _decode(self, token: str, typ: str, more: list[str]) -> dict[str, Any]:
        if len(token) > MAX_LENGTH:
            raise InvalidToken("it is too long")
        try:
            decoded = self._jwt.decode_complete(
                token,
                self._secret,
                algorithms=[self._algorithm],
                audience=self._app,
                issuer=self._app,
                leeway=LEEWAY,
                options={"require": [*REQUIRED, *more], "strict_aud": True},
            )
        except (PyJWTError, UnicodeEncodeError) as error:
            raise InvalidToken(f"{type(error).__name__}: {error}") from None
        if decoded["header"].get("typ") != typ:
            raise InvalidToken(f"its type is not {typ}")
        claims: dict[str, Any] = decoded["payload"]
        return claims


def _read(claims: dict[str, Any]) -> _Good:
    """The claims as what they mean. The signature is ours, but the secret may be shared with a program that writes others."""
    ids = (claims["sub"], claims["root"], claims["jti"], claims.get("fam", claims["jti"]))
    texts = isinstance(claims["name"], str) and all(isinstance(value, str) and ID.fullmatch(value) for value in ids)
    if not texts or not isinstance(claims["exp"], int | float):
        raise InvalidToken("a claim is not what this app writes")
    user_id, root, serial, family = ids
    return _Good(claims["exp"], Caller(user_id, claims["name"], root), Grant(family, serial))

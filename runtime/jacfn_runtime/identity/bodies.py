"""The request bodies of identity, checked once at the edge: our own spelling and the incumbent's nested one."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from jacfn_runtime.http.body import check_depth, malformed
from jacfn_runtime.program.arguments import bind


class Body(Struct, forbid_unknown_fields=True):
    """What all of them share: a field that nobody declared is refused, not ignored."""

    def __post_init__(self) -> None:
        """Part of what `bind` expects of a shape; there is nothing left to build here."""


class Account(Body):
    """`/register` and `/login`."""

    username: str
    password: str

    @property
    def usernames(self) -> list[str]:
        return [self.username]


class Name(Body):
    """One of the incumbent's identities; both types are usernames to us."""

    type: Literal["username", "email"]
    value: str


class Credential(Body):
    """The incumbent's credential."""

    type: Literal["password"]
    password: str


class NestedRegistration(Body):
    """The incumbent's `/user/register`: a username, an e-mail address, or both."""

    identities: Annotated[list[Name], Meta(min_length=1, max_length=2)]
    credential: Credential

    @property
    def usernames(self) -> list[str]:
        """The username first: it is the one that is shown."""
        return [name.value for name in sorted(self.identities, key=lambda name: name.type, reverse=True)]

    @property
    def password(self) -> str:
        return self.credential.password


class NestedLogin(Body):
    """The incumbent's `/user/login`."""

    identity: Name
    credential: Credential

    @property
    def username(self) -> str:
        return self.identity.value

    @property
    def password(self) -> str:
        return self.credential.password


class Refresh(Body):
    """`/refresh_token`."""

    refresh_token: str


class NestedRefresh(Body):
    """The incumbent's `/user/refresh-token`."""

    token: str

    @property
    def refresh_token(self) -> str:
        return self.token


class NewPassword(Body):
    """`PUT /user/password`."""

    current_password: str
    new_password: str


class Exchange(Body):
    """`/sso/exchange`; the verifier is RFC 7636's."""

    code: str
    code_verifier: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{43,128}\Z")]


def read[Ours: Body, Theirs: Body](raw: bytes, ours: type[Ours], theirs: type[Theirs]) -> Ours | Theirs:
    """The body as one of two shapes: theirs if it has a field that only theirs has.

    Raises what `http/body.py` raises for an endpoint: 400 for what is no JSON, InvalidArguments with every bad field.
    """
    check_depth(raw)
    try:
        loose = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None
    only_theirs = set(theirs.__struct_fields__) - set(ours.__struct_fields__)
    shape: type[Ours | Theirs] = theirs if isinstance(loose, dict) and only_theirs & loose.keys() else ours
    return shape(**bind(shape, {} if loose is None else loose))

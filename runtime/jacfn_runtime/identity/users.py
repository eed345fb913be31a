"""The user store: what it keeps and what a place that keeps it has to do: `sqlite.py` (laptop) and `mongo.py` (cluster).

A user is found by a key: `name:<canonical username>` for an account with a password (two keys if it registered a username and an
e-mail address), `sso:<issuer> <subject>` for a single sign-on identity. Keys are unique, and the two kinds never meet: signing on
as bob@example.org never opens, or takes, the password account of that name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jacfn_runtime.identity import names
from jacfn_runtime.identity.tokens import Caller, Grant

if TYPE_CHECKING:
    from jacfn_runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class User:
    """One user. Ids are 32 hex digits, `created` is in seconds since 1970."""

    id: str
    keys: tuple[str, ...]
    username: str  # as its owner writes it; of a single sign-on identity, the e-mail address at the first sign-on
    root: str
    password: str = field(default="", repr=False)  # encoded argon2 hash; empty: no password opens this account
    epoch: int = 0  # counts password changes: refresh tokens of an earlier epoch are void
    created: float = 0

    @property
    def caller(self) -> Caller:
        return Caller(self.id, self.username, self.root)


@dataclass(frozen=True, slots=True)
class Family:
    """The refresh tokens of one login: only the one with the latest serial is good, and only in the user's epoch."""

    grant: Grant
    user_id: str
    epoch: int
    expires: float  # seconds since 1970; a place may forget it afterwards


def name_key(username: str) -> str:
    return f"name:{names.canonical(username)}"


def sso_key(issuer: str, subject: str) -> str:
    return f"sso:{issuer} {subject}"  # an issuer is a URL: it has no space


class Store(Protocol):
    """What identity asks of the graph's store: which one it is."""

    @property
    def name(self) -> str:
        """`embedded` or `mongodb`. May have to ask a server, so it is read in a thread."""


class Graph(Protocol):
    """What identity needs of the graph."""

    @property
    def store(self) -> Store:
        """The store beneath."""

    async def create_root(self, root_id: str) -> None:
        """Insert-only and idempotent."""


class Users(Protocol):
    """A place that keeps users. Every method raises StoreUnavailable when the place cannot be reached."""

    async def add(self, user: User) -> None:
        """Keep a new user, durably. Raises UserExists when one of its keys is taken; of racing calls exactly one succeeds."""

    async def by_key(self, key: str) -> User | None:
        """The user with this key."""

    async def by_id(self, user_id: str) -> User | None:
        """The user with this id."""

    async def set_password(self, user: User, password: str, *, epoch: int) -> bool:
        """Exchange the hash. False, and nothing done, when the user's hash or epoch is no longer the one in `user`."""

    async def add_family(self, family: Family) -> None:
        """Keep a new family."""

    async def rotate(self, family: Family, serial: str, expires: float) -> bool:
        """Give the family its next serial. False, and nothing done, when grant, user or epoch are not what is kept."""

    async def revoke(self, family_id: str) -> None:
        """Forget a family: no refresh token of that login is good any more."""

    async def close(self) -> None:
        """Give everything back."""


def open_users(settings: Settings, graph: Graph) -> Users:
    """The place that the settings name. Connects at the first call, never here."""
    if settings.mongodb_uri and settings.on_unavailable == "embedded":
        from jacfn_runtime.identity.following import FollowingUsers

        return FollowingUsers(lambda: _place(settings, embedded=graph.store.name == "embedded"))
    return _place(settings, embedded=settings.embedded)


def _place(settings: Settings, *, embedded: bool) -> Users:
    if embedded:
        from jacfn_runtime.identity.sqlite import SqliteUsers

        return SqliteUsers(settings.shelf_db_path)
    from jacfn_runtime.identity.mongo import MongoUsers

    return MongoUsers(settings.mongodb_uri, settings.app)

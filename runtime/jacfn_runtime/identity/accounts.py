"""What can be done with an account: register, log in, sign on, refresh, change the password. Knows no HTTP.

One account is opened by one request at a time (`_turn`), so that a hundred guesses sent at once see each other's failures.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jacfn_runtime.identity import names, passwords, throttle
from jacfn_runtime.identity.errors import InvalidCredentials, InvalidToken, UserExists
from jacfn_runtime.identity.tokens import Caller, Grant, Tokens
from jacfn_runtime.identity.users import Family, Graph, User, Users, name_key, open_users, sso_key
from jacfn_runtime.memory.errors import Conflict

if TYPE_CHECKING:
    from jacfn_runtime.settings import Settings

TURNS = 64  # locks for all accounts: two accounts share one now and then, and nobody notices at 40 ms a login


class Accounts:
    """The accounts of one app. Every method raises StoreUnavailable when the user store or the graph is away."""

    def __init__(self, users: Users, graph: Graph, tokens: Tokens, waits: throttle.Throttle) -> None:
        self.users = users
        self.tokens = tokens
        self._graph = graph
        self._throttle = waits
        self._passwords = passwords.Passwords()
        self._turns = [asyncio.Lock() for _ in range(TURNS)]

    @classmethod
    def configured(cls, settings: Settings, graph: Graph, tokens: Tokens) -> Accounts:
        return cls(open_users(settings, graph), graph, tokens, throttle.Throttle.configured(settings))

    async def register(self, usernames: list[str], password: str) -> dict[str, Any]:
        """A new user with a root of its own, logged in. `usernames`: one, or a username and an e-mail address.

        Raises InvalidArguments, UserExists.
        """
        shown = [names.display(username) for username in usernames]
        passwords.check_rules(password, shown[0])
        keys = tuple(dict.fromkeys(map(name_key, shown)))
        encoded = await self._passwords.hash(password)
        user = User(uuid4().hex, keys, shown[0], uuid4().hex, encoded, created=time.time())
        await self.users.add(user)
        return await self._let_in(user) | {"user_id": user.id}

    async def login(self, username: str, password: str, client: throttle.Subject) -> dict[str, Any]:
        """The tokens of a new login. Raises InvalidCredentials, TooManyAttempts."""
        user = await self._open(name_key(username), password, client)
        if self._passwords.is_outdated(user.password):
            encoded = await self._passwords.hash(password)
            await self.users.set_password(user, encoded, epoch=user.epoch)  # lost against a password change: theirs is newer
        return await self._let_in(user)

    async def sign_on(self, issuer: str, subject: str, username: str) -> tuple[User, Grant]:
        """Who a provider vouches for, and a new grant; at the first time, a new user with a root of its own."""
        key = sso_key(issuer, subject)
        user = await self.users.by_key(key)
        if user is None:
            try:
                user = User(uuid4().hex, (key,), username, uuid4().hex, created=time.time())
                await self.users.add(user)
            except UserExists:  # the same person came in twice at once
                user = await self.users.by_key(key)
        if user is None:
            raise InvalidCredentials("the user vanished while it signed on")
        return user, await self._grant(user)

    async def refresh(self, token: str) -> dict[str, Any]:
        """The next pair for a refresh token, which is void from then on. Raises InvalidToken.

        A token that is used twice was stolen, by the first or by the second who used it: its whole family is revoked (RFC 9700
        section 4.14.2), so both have to log in again.
        """
        caller, grant = self.tokens.verify_refresh(token)
        return await self.redeem(caller.user_id, grant)

    async def redeem(self, user_id: str, grant: Grant) -> dict[str, Any]:
        """The next pair for a grant. Raises InvalidToken when it is not the latest of its family; see `refresh`."""
        user = await self._user(user_id)
        following = grant.next()
        if not await self.users.rotate(Family(grant, user.id, user.epoch, 0), following.serial, self._refresh_expires()):
            await self.users.revoke(grant.family)
            raise InvalidToken("it was used before, or revoked")
        return self.tokens.issue(user.caller, following)

    async def change_password(self, caller: Caller, old: str, new: str, client: throttle.Subject) -> dict[str, Any]:
        """A new password, and a login with it; every refresh token from before is void.

        Raises InvalidArguments for the new one, InvalidCredentials for the old one, TooManyAttempts, Conflict.
        """
        passwords.check_rules(new, caller.username, "body.new_password")
        known = await self._user(caller.user_id)
        user = await self._open(known.keys[0], old, client)
        encoded = await self._passwords.hash(new)
        if not await self.users.set_password(user, encoded, epoch=user.epoch + 1):
            raise Conflict([user.id])
        return await self._let_in(replace(user, password=encoded, epoch=user.epoch + 1))

    async def me(self, caller: Caller) -> dict[str, Any]:
        """Who the caller is, without anything secret. Raises InvalidToken when the user is gone."""
        user = await self._user(caller.user_id)
        return {
            "user_id": user.id,
            "username": user.username,
            "root_id": user.root,
            "identities": [_identity(key) for key in user.keys],
            "created_at": datetime.fromtimestamp(user.created, UTC).isoformat(timespec="seconds"),
        }

    async def close(self) -> None:
        """Give everything back."""
        self._passwords.close()
        await self._throttle.close()
        await self.users.close()

    async def _open(self, key: str, password: str, client: throttle.Subject) -> User:
        """The user that this key and password belong to. The same work and the same waits whether it exists or not."""
        account = throttle.account(key)
        async with self._turns[hash(key) % TURNS]:
            await self._throttle.check(account, client)
            user = await self.users.by_key(key)
            good = await self._passwords.verify(password, user.password if user else None)
            if user is None or not user.password or not good:
                await self._throttle.failed(account, client)
                raise InvalidCredentials("no such user" if user is None else "wrong password")
            await self._throttle.forgive(account)
        return user

    async def _user(self, user_id: str) -> User:
        user = await self.users.by_id(user_id)
        if user is None:
            raise InvalidToken("its user is gone")
        return user

    async def _let_in(self, user: User) -> dict[str, Any]:
        return self.tokens.issue(user.caller, await self._grant(user))

    async def _grant(self, user: User) -> Grant:
        await self._graph.create_root(user.root)  # at each login: a crash between the two stores is healed by the next one
        grant = Grant.new()
        await self.users.add_family(Family(grant, user.id, user.epoch, self._refresh_expires()))
        return grant

    def _refresh_expires(self) -> float:
        return time.time() + self.tokens.refresh_seconds


def _identity(key: str) -> dict[str, str]:
    kind, _, value = key.partition(":")
    return {"type": "username", "value": value} if kind == "name" else {"type": "sso", "value": value.partition(" ")[0]}

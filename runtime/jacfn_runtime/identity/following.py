"""Users beside a graph that chooses its store at the first use (`on_unavailable = "embedded"`, a laptop's setting)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jacfn_runtime.identity.users import Family, User, Users


class FollowingUsers:
    """The place where the graph is as well: users here and their nodes there would be nobody's."""

    def __init__(self, choose: Callable[[], Users]) -> None:
        """`choose` may block; it is called once, in a thread."""
        self._choose = choose
        self._choosing = asyncio.Lock()
        self._chosen: Users | None = None

    async def add(self, user: User) -> None:
        await (await self._place()).add(user)

    async def by_key(self, key: str) -> User | None:
        return await (await self._place()).by_key(key)

    async def by_id(self, user_id: str) -> User | None:
        return await (await self._place()).by_id(user_id)

    async def set_password(self, user: User, password: str, *, epoch: int) -> bool:
        return await (await self._place()).set_password(user, password, epoch=epoch)

    async def add_family(self, family: Family) -> None:
        await (await self._place()).add_family(family)

    async def rotate(self, family: Family, serial: str, expires: float) -> bool:
        return await (await self._place()).rotate(family, serial, expires)

    async def revoke(self, family_id: str) -> None:
        await (await self._place()).revoke(family_id)

    async def close(self) -> None:
        if self._chosen is not None:
            await self._chosen.close()

    async def _place(self) -> Users:
        async with self._choosing:
            if self._chosen is None:
                self._chosen = await asyncio.to_thread(self._choose)
            return self._chosen

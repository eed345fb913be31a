"""The user store in MongoDB, through Beanie: the collections `users` and `refresh_families` of the app's database.

Nothing is imported or connected before the first call, and no call takes longer than TIMEOUT_MS.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jacfn_runtime.identity.errors import UserExists
from jacfn_runtime.identity.users import Family, User
from jacfn_runtime.memory.errors import StoreRefused

if TYPE_CHECKING:
    from types import ModuleType

    from pymongo import AsyncMongoClient

TIMEOUT_MS = 4_000  # for a whole operation, with all its attempts (client-side operation timeout)
SELECTION_MS = 2_000  # for finding a primary: a MongoDB that is away is answered with 503, soon
POOL = 10  # connections; identity is a few small operations per login, and the graph has a pool of its own


class MongoUsers:
    """Users in the database that `uri` names, beside the graph of `app`."""

    def __init__(self, uri: str, app: str) -> None:
        self._uri = uri
        self._app = app
        self._client: AsyncMongoClient[dict[str, Any]] | None = None
        self._preparing = asyncio.Lock()
        self._prepared: ModuleType | None = None

    async def add(self, user: User) -> None:
        from pymongo.errors import DuplicateKeyError

        async with self._documents() as documents:
            try:
                await documents.UserDocument.of(user).insert()
            except DuplicateKeyError:
                raise UserExists from None

    async def by_key(self, key: str) -> User | None:
        async with self._documents() as documents:
            found = await documents.UserDocument.find_one({"keys": key})
        return found.user() if found else None

    async def by_id(self, user_id: str) -> User | None:
        async with self._documents() as documents:
            found = await documents.UserDocument.find_one({"_id": user_id})
        return found.user() if found else None

    async def set_password(self, user: User, password: str, *, epoch: int) -> bool:
        as_read = {"_id": user.id, "password": user.password, "epoch": user.epoch}
        async with self._documents() as documents:
            done = await documents.UserDocument.find_one(as_read).update({"$set": {"password": password, "epoch": epoch}})
        return bool(done.matched_count)

    async def add_family(self, family: Family) -> None:
        async with self._documents() as documents:
            await documents.FamilyDocument.of(family).insert()

    async def rotate(self, family: Family, serial: str, expires: float) -> bool:
        as_read = {"_id": family.grant.family, "serial": family.grant.serial, "user_id": family.user_id, "epoch": family.epoch}
        change = {"$set": {"serial": serial, "expires": datetime.fromtimestamp(expires, UTC)}}
        async with self._documents() as documents:
            done = await documents.FamilyDocument.find_one(as_read).update(change)
        return bool(done.matched_count)

    async def revoke(self, family_id: str) -> None:
        async with self._documents() as documents:
            await documents.FamilyDocument.find_one({"_id": family_id}).delete()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    @asynccontextmanager
    async def _documents(self) -> AsyncIterator[Any]:
        """The Beanie documents, connected; what the driver raises inside leaves as what the graph's store raises."""
        try:
            async with self._preparing:
                self._prepared = self._prepared or await self._prepare()
            yield self._prepared
        except Exception as error:
            from pymongo.errors import PyMongoError

            from jacfn_runtime.memory.mongo_client import meaning

            if isinstance(error, PyMongoError):
                raise meaning(error) from error
            raise

    async def _prepare(self) -> ModuleType:
        """Import Beanie (in a thread, so that /healthz/live is answered meanwhile), connect, make the indexes.

        Raises StoreRefused for a database that belongs to another app.
        """
        documents = await asyncio.to_thread(importlib.import_module, "jacfn_runtime.identity.documents")
        from beanie import init_beanie
        from pymongo.read_preferences import Primary

        from jacfn_runtime.memory.mongo_client import DEFAULT_DATABASE
        from jacfn_runtime.memory.mongo_prepare import STAMP, check

        self._client = self._client or self._connect()
        name = self._client.get_default_database(DEFAULT_DATABASE).name
        database = self._client.get_database(name, read_preference=Primary())  # a secondary lags behind
        stamp = await database.meta.find_one({"_id": STAMP})
        if stamp is not None:
            check(stamp, self._app, database.name)
        await init_beanie(database, document_models=[documents.UserDocument, documents.FamilyDocument])
        return documents

    def _connect(self) -> AsyncMongoClient[dict[str, Any]]:
        from pymongo import AsyncMongoClient
        from pymongo.errors import ConfigurationError, InvalidURI

        try:
            return AsyncMongoClient(
                self._uri,
                appname=f"jacfn-{self._app}-identity"[:128],
                timeoutMS=TIMEOUT_MS,
                serverSelectionTimeoutMS=SELECTION_MS,
                maxPoolSize=POOL,
                w="majority",
                journal=True,
                readConcernLevel="majority",
            )
        except (InvalidURI, ConfigurationError) as error:  # its message quotes parts of the URI: the password may be any part
            raise StoreRefused("MONGODB_URI is not one that the driver understands", evidence=type(error).__name__) from None

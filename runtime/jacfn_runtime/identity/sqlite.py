"""The user store in the laptop's embedded file: tables of their own beside the graph's, in WAL mode.

Each call opens the file, does one transaction in a thread and closes it: 0.3 ms, and no connection crosses a thread.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from jacfn_runtime.identity.errors import UserExists
from jacfn_runtime.identity.users import Family, User
from jacfn_runtime.memory.errors import StoreUnavailable

BUSY_MS = 10_000  # how long a write waits for the graph's writers

SCHEMA = """
CREATE TABLE IF NOT EXISTS identity_users (
    id TEXT PRIMARY KEY, username TEXT NOT NULL, root TEXT NOT NULL, password TEXT NOT NULL, epoch INTEGER NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS identity_keys (
    key TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES identity_users (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identity_keys_user ON identity_keys (user_id);
CREATE TABLE IF NOT EXISTS identity_families (
    id TEXT PRIMARY KEY, serial TEXT NOT NULL, user_id TEXT NOT NULL, epoch INTEGER NOT NULL, expires REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS identity_families_expires ON identity_families (expires);
"""
FIND = "SELECT users.*, (SELECT json_group_array(key) FROM identity_keys WHERE user_id = users.id) FROM identity_users AS users"


class SqliteUsers:
    """Users in the embedded file `path`, which is made when it is not there (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._prepared = False

    async def add(self, user: User) -> None:
        def insert(connection: sqlite3.Connection) -> bool:
            row = (user.id, user.username, user.root, user.password, user.epoch, user.created)
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("INSERT INTO identity_users VALUES (?,?,?,?,?,?)", row)
                connection.executemany("INSERT INTO identity_keys VALUES (?,?)", [(key, user.id) for key in user.keys])
            except sqlite3.IntegrityError:
                return False  # closing the connection rolls back
            connection.execute("COMMIT")
            return True

        if not await self._run(insert):
            raise UserExists

    async def by_key(self, key: str) -> User | None:
        return await self._find(f"{FIND} JOIN identity_keys ON user_id = users.id WHERE key = ?", key)

    async def by_id(self, user_id: str) -> User | None:
        return await self._find(f"{FIND} WHERE id = ?", user_id)

    async def set_password(self, user: User, password: str, *, epoch: int) -> bool:
        change = "UPDATE identity_users SET password = ?, epoch = ? WHERE id = ? AND password = ? AND epoch = ?"
        return await self._write(change, (password, epoch, user.id, user.password, user.epoch)) == 1

    async def add_family(self, family: Family) -> None:
        await self._write("DELETE FROM identity_families WHERE expires < ?", (time.time(),))
        row = (family.grant.family, family.grant.serial, family.user_id, family.epoch, family.expires)
        await self._write("INSERT INTO identity_families (id, serial, user_id, epoch, expires) VALUES (?,?,?,?,?)", row)

    async def rotate(self, family: Family, serial: str, expires: float) -> bool:
        change = "UPDATE identity_families SET serial = ?, expires = ? WHERE id = ? AND serial = ? AND user_id = ? AND epoch = ?"
        row = (serial, expires, family.grant.family, family.grant.serial, family.user_id, family.epoch)
        return await self._write(change, row) == 1

    async def revoke(self, family_id: str) -> None:
        await self._write("DELETE FROM identity_families WHERE id = ?", (family_id,))

    async def close(self) -> None:
        """Nothing is open between calls."""

    async def _find(self, query: str, value: str) -> User | None:
        row = await self._run(lambda connection: connection.execute(query, (value,)).fetchone())
        if row is None:
            return None
        user_id, username, root, password, epoch, created, keys = row
        return User(user_id, tuple(json.loads(keys)), username, root, password, epoch, created)

    async def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        return await self._run(lambda connection: connection.execute(statement, values).rowcount)

    async def _run[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await asyncio.to_thread(self._run_here, work)

    def _run_here[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            with closing(self._connect()) as connection:
                return work(connection)
        except (sqlite3.Error, OSError) as error:
            self._prepared = False  # the file may have been removed: the next call makes it again
            raise StoreUnavailable("The embedded store", f"{self.path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        if not self._prepared:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, timeout=BUSY_MS / 1000, isolation_level=None)  # every statement commits by itself
        connection.execute("PRAGMA synchronous = FULL")  # an account that was acknowledged outlives a power cut
        if not self._prepared:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)
            self._prepared = True
        return connection

"""What the user store keeps in MongoDB, as Beanie documents.

This imports Beanie (0.5 s): `mongo.py` alone imports it, at the first call.
"""

from __future__ import annotations

from datetime import UTC, datetime

from beanie import Document
from pymongo import ASCENDING, IndexModel

from jacfn_runtime.identity.tokens import Grant
from jacfn_runtime.identity.users import Family, User


class UserDocument(Document):
    """A user; its keys are unique by an index, so that of racing registrations exactly one is stored."""

    id: str  # type: ignore[assignment]  # Beanie's default is an ObjectId
    keys: list[str]
    username: str
    root: str
    password: str
    epoch: int
    created: datetime

    class Settings:
        name = "users"
        indexes = [IndexModel([("keys", ASCENDING)], name="users_keys", unique=True)]

    @classmethod
    def of(cls, user: User) -> UserDocument:
        return cls(
            id=user.id,
            keys=list(user.keys),
            username=user.username,
            root=user.root,
            password=user.password,
            epoch=user.epoch,
            created=datetime.fromtimestamp(user.created, UTC),
        )

    def user(self) -> User:
        created = self.created.replace(tzinfo=UTC).timestamp()
        return User(self.id, tuple(self.keys), self.username, self.root, self.password, self.epoch, created)


class FamilyDocument(Document):
    """A family of refresh tokens; MongoDB deletes it after it has expired."""

    id: str  # type: ignore[assignment]
    serial: str
    user_id: str
    epoch: int
    expires: datetime

    class Settings:
        name = "refresh_families"
        indexes = [IndexModel([("expires", ASCENDING)], name="refresh_families_expires", expireAfterSeconds=0)]

    @classmethod
    def of(cls, family: Family) -> FamilyDocument:
        expires = datetime.fromtimestamp(family.expires, UTC)
        return cls(
            id=family.grant.family, serial=family.grant.serial, user_id=family.user_id, epoch=family.epoch, expires=expires
        )

    def family(self) -> Family:
        return Family(Grant(self.id, self.serial), self.user_id, self.epoch, self.expires.replace(tzinfo=UTC).timestamp())

"""Both user stores, each empty, on the real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

import servers
from jacfn_runtime.identity.users import Users, open_users
from jacfn_runtime.settings import Settings


@pytest.fixture(params=["sqlite", "mongodb"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an app whose users live in the embedded file, then in MongoDB."""
    settings = Settings(bundle=tmp_path, jwt_secret="s" * 64, shelf_db_path=tmp_path / "data" / "store.db")
    if request.param == "sqlite":
        return settings
    mongodb: servers.Server = request.getfixturevalue("mongodb")
    uri = mongodb.url.replace("/?", f"/identity_{uuid4().hex}?")
    return Settings(bundle=tmp_path, jwt_secret="s" * 64, mongodb_uri=uri)


@pytest.fixture
async def users(stored: Settings) -> AsyncIterator[Users]:
    place = open_users(stored)
    yield place
    await place.close()

"""The stores that state is tested on: real servers, one database each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from jac_programs import bundled

Stores = dict[str, str]
KINDS = ("sqlite", "mongodb", "mongodb+redis")


@pytest.fixture(scope="session")
def bundle() -> Path:
    return bundled(Path(__file__).parent / "programs" / "load.jac")


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """The environment variables that name the stores."""
    if request.param == "sqlite":
        yield {"SHELF_DB_PATH": str(tmp_path / "graph.db")}
        return
    mongodb = request.getfixturevalue("mongodb")
    found = {"MONGODB_URI": mongodb.url.replace("/?", f"/state_{secrets.token_hex(4)}?")}
    if request.param == "mongodb":
        yield found
        return
    folder = tmp_path / "redis"
    folder.mkdir()
    with servers.redis(folder) as redis:
        yield {**found, "REDIS_URL": redis.url}

"""Fixtures that every suite shares: real servers, one of each per test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

import servers

ROOT = Path(__file__).parent.parent

hypothesis.settings.register_profile("shared", deadline=None)  # no timing assertions: the machine has other work
hypothesis.settings.load_profile("shared")


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """One MongoDB for this test process; every test takes a database name of its own."""
    with servers.mongodb(tmp_path_factory.mktemp("mongodb")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """One Redis for this test process; every test takes a key prefix (an app name) of its own."""
    with servers.redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def shop() -> Path:
    """The program of the jac-scale document: examples/shop/main.jac."""
    return ROOT / "examples" / "shop" / "main.jac"

"""A program with one endpoint for each behaviour, its bundle, and real server processes on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from jacfn_runtime.program.bundle import build_bundle
from services import Service, Start, started


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of program.jac."""
    folder = tmp_path_factory.mktemp("bundle")
    build_bundle(Path(__file__).with_name("program.jac"), folder)
    return folder


@pytest.fixture(scope="session")
def everything(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One server for all endpoints and identity. Tests leave it as they find it."""
    with started(bundle, tmp_path_factory.mktemp("everything"), "all") as service:
        yield service


@pytest.fixture(scope="session")
def token(everything: Service) -> str:
    """A registered user's token."""
    user = {"username": "tester", "password": "a long enough password"}
    answer = everything.http.post("/register", json=user)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["token"])


@pytest.fixture
def start(bundle: Path, tmp_path: Path) -> Start:
    """Starts a service of the test's own: `with start("walker/echo", JACFN_BODY_LIMIT="10") as service: ...`."""

    def start(serve: str, **more: str) -> contextlib.AbstractContextManager[Service]:
        return started(bundle, tmp_path, serve, **more)

    return start

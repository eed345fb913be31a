"""Both user stores, each empty, on the real servers; the app with identity's routes; an OpenID provider."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import falcon.asgi
import pytest
from falcon.testing import ASGIConductor

import servers
from jacfn_runtime.http.front import Front, answer_error
from jacfn_runtime.http.metrics import Metrics
from jacfn_runtime.identity.accounts import Accounts
from jacfn_runtime.identity.routes import add_routes
from jacfn_runtime.identity.users import Users, open_users
from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.settings import Settings

SECRET = "s" * 64


@pytest.fixture(params=["sqlite", "mongodb"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an app whose users live in the embedded file, then in MongoDB."""
    file = tmp_path / "data" / "store.db"
    if request.param == "sqlite":
        return Settings(bundle=tmp_path, jwt_secret=SECRET, shelf_db_path=file)
    mongodb: servers.Server = request.getfixturevalue("mongodb")
    uri = mongodb.url.replace("/?", f"/identity_{uuid4().hex}?")
    return Settings(bundle=tmp_path, jwt_secret=SECRET, mongodb_uri=uri, shelf_db_path=file)


@pytest.fixture
def graph(stored: Settings) -> Iterator[Graph]:
    """The graph beside the users."""
    opened = Graph.open(stored)
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    """Settings of an app whose users live in the embedded file."""
    return Settings(bundle=tmp_path, jwt_secret=SECRET, shelf_db_path=tmp_path / "data" / "store.db")


@pytest.fixture
def cut_off() -> Iterator[None]:
    """For tests whose MongoDB cannot be reached.

    pymongo forgets a socket when it is closed while it connects (pool_shared.py), and a client whose URI it refuses.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
async def users(stored: Settings, graph: Graph) -> AsyncIterator[Users]:
    place = open_users(stored, graph)
    yield place
    await place.close()


class Gateway:
    """An app with identity's routes on it, and what a test needs to look behind them."""

    def __init__(self, conductor: ASGIConductor, accounts: Accounts, graph: Graph) -> None:
        self.http = conductor
        self.accounts = accounts
        self.graph = graph


Serve = Callable[[Settings], contextlib.AbstractAsyncContextManager[Gateway]]


@contextlib.asynccontextmanager
async def _serve(settings: Settings) -> AsyncIterator[Gateway]:
    graph = Graph.open(settings)
    app = falcon.asgi.App(middleware=[Front(Metrics())])
    app.add_error_handler((falcon.HTTPError, Exception), answer_error)
    accounts = add_routes(app, settings, graph)
    async with ASGIConductor(app) as conductor:
        yield Gateway(conductor, accounts, graph)
    await accounts.close()
    await graph.close()


@pytest.fixture
def serve() -> Serve:
    """Serves identity by settings of the test's choice."""
    return _serve


@pytest.fixture
async def gateway(stored: Settings) -> AsyncIterator[Gateway]:
    async with _serve(stored) as served:
        yield served


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """An OpenID provider, strict about PKCE, secrets and redirects: user ann, clients `shop` and `public`."""
    folder = tmp_path_factory.mktemp("provider")
    port = servers.free_port()
    issuer = f"http://127.0.0.1:{port}"
    callback = "http://shop.example/sso/google/callback"
    (folder / "settings.yaml").write_text(f"""
config_version: 1
server: {{host: 127.0.0.1, port: {port}}}
jwt: {{keys_dir: {folder}/keys}}
oauth:
  issuer: {issuer}
  clients:
    - {{client_id: shop, client_secret: shop-secret, redirect_uris: ["{callback}"]}}
    - {{client_id: public, redirect_uris: ["{callback}"], token_endpoint_auth_method: none}}
""")
    (folder / "users.yaml").write_text("config_version: 1\nusers:\n  ann: {password: annannann, email: ann@example.org}\n")
    command = [str(Path(sys.executable).parent / "nanoidp"), "--config", str(folder), "--profile", "oauth21"]
    server = servers.Server([*command, "--host", "127.0.0.1", "--port", str(port)], port, issuer, folder)
    try:
        yield server.start()
    finally:
        server.stop()

"""A function service imports what it needs for its first answer, and nothing of what only others need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import servers
from jacfn_runtime.program.bundle import build_bundle
from services import SECRET

# Each costs a cold start tens of milliseconds; facts/floor.md, facts/jaclang.md 6.
FORBIDDEN = {
    "argon2", "authlib", "beanie", "click", "cryptography", "httpx", "httpx2", "jwt", "kubernetes", "prometheus_client",
    "pydantic", "rich", "structlog", "typing_extensions",
    "http.client", "http.cookiejar", "http.server", "logging.config", "urllib.request", "xml.etree.ElementTree", "uvicorn.main",
    "jaclang.compiler", "jaclang.jac0core.compiler", "jaclang.jac0core.unitree", "jaclang.meta_importer",
    "jacfn_runtime.http.forward", "jacfn_runtime.http.gateway", "jacfn_runtime.http.openapi", "jacfn_runtime.http.prepare",
    "jacfn_runtime.identity.routes", "jacfn_runtime.program.compiler", "jacfn_runtime.local",
}  # fmt: skip
# What each store needs, and a process without that store does not.
STORES = {"pymongo", "bson", "redis", "sqlite3"}

# Serves as `python -m jacfn_runtime` does, and names its modules at the end.
SERVE = """
import sys
from jacfn_runtime.__main__ import main
code = main([])
print("\\n".join(sorted(sys.modules)))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def shop_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the jac-scale document's program."""
    folder = tmp_path_factory.mktemp("shop")
    build_bundle(Path(__file__).parents[3] / "examples" / "shop" / "main.jac", folder)
    return folder


def modules(bundle: Path, folder: Path, serve: str, **env: str) -> set[str]:
    """What a function service has imported after its first request."""
    port = servers.free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": str(port),
        "JACFN_HOST": "127.0.0.1",
        "JACFN_SERVE": serve,
        "JACFN_BUNDLE": str(bundle),
        "SHELF_DB_PATH": str(folder / "store.db"),
        "JWT_SECRET": SECRET,
        **env,
    }
    process = subprocess.Popen([sys.executable, "-c", SERVE], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        servers.wait_for_port(port, process)
        answer = httpx.post(f"http://127.0.0.1:{port}/", json={}, timeout=30)
        process.terminate()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert answer.status_code in (200, 401), answer.text + err.decode()
    assert process.returncode == 0, err.decode()
    return set(out.decode().split())


def among(imported: set[str], forbidden: set[str]) -> set[str]:
    return {name for name in imported if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)}


@pytest.mark.parametrize("serve", ["walker/get_items", "function/calculate_total"])
def test_nothing_forbidden_is_imported(tmp_path: Path, shop_bundle: Path, serve: str) -> None:
    imported = modules(shop_bundle, tmp_path, serve)
    assert among(imported, FORBIDDEN) == set(), json.dumps(sorted(imported))


def test_the_embedded_store_brings_no_driver(tmp_path: Path, shop_bundle: Path) -> None:
    assert among(modules(shop_bundle, tmp_path, "walker/get_items"), STORES - {"sqlite3"}) == set()


def test_a_public_endpoint_that_saw_no_token_has_no_token_library(tmp_path: Path, shop_bundle: Path) -> None:
    imported = modules(shop_bundle, tmp_path, "walker/get_items")
    assert among(imported, {"jacfn_pyjwt", "jacfn_runtime.identity.tokens"}) == set()


def test_both_stores_bring_their_drivers_and_nothing_forbidden(
    tmp_path: Path, shop_bundle: Path, mongodb: servers.Server, redis: servers.Server
) -> None:
    stores = {"MONGODB_URI": mongodb.url.replace("/?", "/budget?"), "REDIS_URL": redis.url}
    imported = modules(shop_bundle, tmp_path, "walker/get_items", **stores)
    assert among(imported, FORBIDDEN | {"pymongo.asynchronous.mongo_client", "sqlite3", "redis.asyncio"}) == set()


def test_the_driver_is_imported_for_who_uses_the_store_and_after_listening(
    tmp_path: Path, shop_bundle: Path, mongodb: servers.Server
) -> None:
    imported = modules(shop_bundle, tmp_path, "function/calculate_total", MONGODB_URI=mongodb.url.replace("/?", "/budget?"))
    assert among(imported, STORES) == set()

"""/docs and /openapi.json: the catalog for people and for programs. Swagger UI comes from this package, never from a CDN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
import msgspec

FILES = Path(__file__).parent / "swagger"
POLICY = (  # everything comes from this server and goes to it; tried with this version of Swagger UI in Chromium
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class OpenApi:
    """GET /openapi.json. `make` builds the document at the first question."""

    def __init__(self, make: Callable[[], dict[str, Any]], version: str) -> None:
        self._make = make
        self._etag = f'"{version}"'
        self._document = b""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The document, or 304 for one who has it."""
        resp.set_header("ETag", self._etag)
        if req.get_header("If-None-Match") == self._etag:
            resp.status = falcon.HTTP_304
            return
        if not self._document:
            self._document = msgspec.json.encode(self._make())
        resp.data = self._document

    on_head = on_get


class Page:
    """GET /docs: the page that loads Swagger UI from /docs/..."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The page."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", POLICY)
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.data = (FILES / "index.html").read_bytes()

    on_head = on_get


class Home:
    """GET /: people who open the app's URL want the docs."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """A relative redirect: the outside name of this server is not known here."""
        resp.status = falcon.HTTP_307
        resp.set_header("Location", "docs")

    on_head = on_get


def add_routes(app: Any, make: Callable[[], dict[str, Any]], version: str) -> None:
    """Mount /openapi.json, /docs and the files that the page needs."""
    app.add_route("/openapi.json", OpenApi(make, version))
    app.add_route("/docs", Page())
    app.add_static_route("/docs", FILES)

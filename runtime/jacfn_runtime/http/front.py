"""What every request passes on its way in, every answer on its way out, and every error: id, headers, count, envelope."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import falcon
import falcon.asgi

from jacfn_runtime.http import body
from jacfn_runtime.http.envelope import failure
from jacfn_runtime.http.errors import ApiError, translate
from jacfn_runtime.http.log import log, log_failure
from jacfn_runtime.http.metrics import Metrics

_SANE_ID = re.compile(r"[A-Za-z0-9._:=+/-]{1,128}")  # of any tracing system; nothing that could break a log line or a header
ELSEWHERE = "other"  # the label of whatever is no endpoint: docs, health, and paths of the caller's choice, which are endless


QUIET_SECONDS = 1.0
MOST_SAID = 100  # different texts remembered; a text may have a caller's choice in it
_SAID: dict[str, float] = {}
_PROCESS = os.urandom(8).hex()
_REQUEST = itertools.count(int.from_bytes(os.urandom(4)))


def new_id() -> str:
    """An id that no other request of any process has: this process's part and a number. It names a request and guards nothing."""
    return f"{_PROCESS}{next(_REQUEST):016x}"


class Front:
    """The app's one middleware. `closing` is what has to be closed when the server has ended."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.closing: list[Callable[[], Awaitable[object]]] = []

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """ASGI's lifespan is over."""
        for close in self.closing:
            await close()

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Give the request its id: the caller's own, if it is a sane one."""
        sent = req.get_header("X-Request-Id")
        req.context.request_id = sent if sent and _SANE_ID.fullmatch(sent) else new_id()
        req.context.began = time.perf_counter()

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, resource: Any, req_succeeded: bool
    ) -> None:
        """Headers that every answer has, and the count."""
        resp.set_header("X-Request-Id", req.context.request_id)
        resp.set_header("X-Content-Type-Options", "nosniff")
        if resp.get_header("Cache-Control") is None:
            # A file with an ETag may be kept by a browser, which asks each time whether it is still the same.
            resp.set_header("Cache-Control", "no-store" if resp.get_header("ETag") is None else "no-cache")
        self._metrics.count(label(resource), resp.status_code, time.perf_counter() - req.context.began)
        if not req_succeeded:
            await body.drain(req)


def label(resource: Any) -> str:
    """The endpoint's id, or what stands for everything that is no endpoint."""
    return getattr(resource, "label", ELSEWHERE)


async def answer_error(req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: dict[str, Any]) -> None:
    """Falcon's error handler: the envelope for the caller, the reason for the log."""
    request_id = req.context.request_id
    known = translate(error)
    if known is None:
        log_failure(error, request_id, req.path)
        known = ApiError(500, f"The program failed; its log has the reason under request {request_id}")
    elif known.status >= 500 and not said_lately(f"{known.what} {known.reason}"):
        log("error", known.what, request_id=request_id, endpoint=req.path, status=known.status, reason=known.reason)
    write(resp, known, request_id)


def said_lately(text: str) -> bool:
    """Whether the log has this from the last second: a store that is away fails every request, and /metrics counts them all."""
    now = time.monotonic()
    if now - _SAID.get(text, -QUIET_SECONDS) < QUIET_SECONDS:
        return True
    if len(_SAID) >= MOST_SAID:
        _SAID.clear()
    _SAID[text] = now
    return False


def write(resp: falcon.asgi.Response, error: ApiError, request_id: str) -> None:
    """Put an error into a response."""
    resp.status = error.status
    resp.text = None
    resp.content_type = falcon.MEDIA_JSON
    resp.data = failure(error.code, error.what, request_id, error.details)
    for name, value in error.headers.items():
        resp.set_header(name, value)

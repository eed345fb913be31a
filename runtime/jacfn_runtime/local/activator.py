"""The activator: an ASGI application that finds the service a request is for, wakes it if it sleeps, and forwards the request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

from jacfn_runtime.http.envelope import failure
from jacfn_runtime.http.errors import CODES
from jacfn_runtime.http.forward import Broken, Silent, Unreachable
from jacfn_runtime.http.front import new_id
from jacfn_runtime.local.events import Called, Report
from jacfn_runtime.local.forward import ClientGone, Forwarder, Receive, Send
from jacfn_runtime.local.hosts import direct, service_of
from jacfn_runtime.local.process import StartFailed
from jacfn_runtime.local.service import Overloaded, Service

RETRY_AFTER = {
    Overloaded: 1,
    Unreachable: 1,
    StartFailed: 5,
}  # seconds; a program that crashes at its start needs its author first


class Activator:
    """Serves HTTP for all services of an app. `by_host` maps host names, without port, to service names."""

    def __init__(self, services: Mapping[str, Service], by_host: Mapping[str, str], forwarder: Forwarder, report: Report) -> None:
        self._services = services
        self._by_host = by_host
        self._forwarder = forwarder
        self._report = report

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One ASGI connection. WebSockets are refused: jacfn has none."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        if not scope["raw_path"].startswith(b"/"):  # `OPTIONS *`
            await _refuse(send, 400, "The request names no path")
            return
        clock = asyncio.get_running_loop().time
        began, cold = clock(), False
        asked = scope["raw_path"]
        service, scope = self._find(scope)
        try:
            async with service.turn() as turn:
                cold = turn.cold
                status = await self._forwarder.forward(scope, receive, send, turn.port)
        except ClientGone:
            return
        except (Overloaded, StartFailed, Unreachable) as error:
            status = await _refuse(send, 503, f"{service.name} cannot answer: {error.what}", RETRY_AFTER[type(error)])
        except Broken as error:
            status = await _refuse(send, 502, f"{service.name} failed: {error.what}")
        except Silent as error:
            status = await _refuse(send, 504, f"{service.name} failed: {error.what}")
        path = asked.decode("ascii", "replace")  # percent-encoded, so that nothing of it acts on a terminal
        self._report(Called(service.name, scope["method"], path, status, clock() - began, cold))

    def _find(self, scope: MutableMapping[str, Any]) -> tuple[Service, MutableMapping[str, Any]]:
        """The service that a request is for, and the request as its process should see it."""
        name, raw_path = direct(scope["raw_path"])
        if name in self._services:
            return self._services[name], {**scope, "raw_path": raw_path}
        return self._services[service_of(scope["path"], _host(scope), self._services, self._by_host)], scope


def _host(scope: Mapping[str, Any]) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


async def _refuse(send: Send, status: int, message: str, retry_after: int = 0) -> int:
    """The envelope of ARCHITECTURE 4, so that a client sees one form of error whoever says it."""
    request_id = new_id()
    headers = [
        (b"content-type", b"application/json"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
    ]
    if retry_after:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": failure(CODES[status], message, request_id)})
    return status

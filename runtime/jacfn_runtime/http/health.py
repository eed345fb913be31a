"""Whether the process lives, whether its stores do, and what it has counted. None of it runs user code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import falcon
import falcon.asgi

from jacfn_runtime.http.envelope import encode
from jacfn_runtime.http.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from jacfn_runtime.memory.graph import Graph
    from jacfn_runtime.settings import Settings

RETRY_SECONDS = "2"
AFTER_ANSWER_SECONDS = 0.001  # the answer is on its way by then


class Live:
    """GET /healthz/live: what is served here. Never touches a store, so that no store's death kills or hides a pod.

    `then` runs once, after the first answer: that is a probe of the platform, which takes a while to let the first request in.
    """

    def __init__(self, settings: Settings, bundle: str, then: Callable[[], None] | None = None) -> None:
        self._then = then
        self._answer = encode({"status": "alive", "app": settings.app, "serves": list(settings.serve), "bundle": bundle})

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200."""
        resp.data = self._answer
        if self._then:
            asyncio.get_running_loop().call_later(AFTER_ANSWER_SECONDS, self._then)
            self._then = None

    on_head = on_get


class Ready:
    """GET /healthz/ready: the stores, for monitors. No probe of a manifest asks it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 when every store answers, else 503. Only who asks directly learns why: reasons name hosts of the inside."""
        stores = await self._graph.health()
        well = all(state == "ok" for state in stores.values())
        if came_through_proxy(req):
            stores = {name: "ok" if state == "ok" else "unavailable" for name, state in stores.items()}
        if not well:
            resp.status = falcon.HTTP_503
            resp.set_header("Retry-After", RETRY_SECONDS)
        resp.data = encode({"status": "ready" if well else "unavailable", "stores": stores})

    on_head = on_get


class Counters:
    """GET /metrics, for who scrapes the pod itself: through an ingress it is 404, as all the world could read it there."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Prometheus' text format."""
        if came_through_proxy(req):
            raise falcon.HTTPNotFound
        resp.content_type = CONTENT_TYPE
        resp.data = self._metrics.render()

    on_head = on_get


def came_through_proxy(req: falcon.asgi.Request) -> bool:
    """Whether an ingress, a gateway or queue-proxy sent this on: all of them say so."""
    return any(req.get_header(name) is not None for name in ("X-Forwarded-For", "Forwarded", "K-Proxy-Request"))

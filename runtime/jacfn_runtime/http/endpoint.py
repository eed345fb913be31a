"""One endpoint as a Falcon resource: who calls, what with, run it as a unit of work, put the outcome into the envelope."""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import TYPE_CHECKING

import falcon.asgi

from jacfn_runtime.http import body
from jacfn_runtime.http.caller import Callers
from jacfn_runtime.http.envelope import success
from jacfn_runtime.http.errors import CUT_OFF, ApiError, unavailable
from jacfn_runtime.memory.graph import Graph, Work
from jacfn_runtime.program.arguments import arguments_type
from jacfn_runtime.program.catalog import Endpoint

if TYPE_CHECKING:
    from jacfn_runtime.program.load import Program
    from jacfn_runtime.settings import Settings


AT_ONCE = 1000  # requests; more would only wait longer and longer for a thread: whoever asks for more is better off elsewhere
BUSY_SECONDS = 1
FIRST_NEEDED = ("jacfn_runtime.memory.adapter.attempt", "jacfn_runtime.memory.adapter.hooks")


def warm_up() -> None:
    """Import what the first request would wait for, in a thread of its own: 10 ms."""
    threading.Thread(target=lambda: [importlib.import_module(name) for name in FIRST_NEEDED], name="warm-up", daemon=True).start()


class Places:
    """How many requests this process works on at once, over all its endpoints."""

    def __init__(self, limit: int = AT_ONCE) -> None:
        self._left = limit

    def __enter__(self) -> None:
        if self._left <= 0:
            raise unavailable("Too many requests at once", BUSY_SECONDS)
        self._left -= 1

    def __exit__(self, *_: object) -> None:
        self._left += 1


class EndpointResource:
    """Answers POST. `label` names it in metrics and log lines."""

    def __init__(
        self, endpoint: Endpoint, program: Program, graph: Graph, callers: Callers, places: Places, settings: Settings
    ) -> None:
        self.label = endpoint.id
        self._endpoint = endpoint
        self._target = program.target(endpoint.id)
        self._arguments = body.Arguments(arguments_type(self._target, endpoint))
        self._graph = graph
        self._callers = callers
        self._places = places
        self._limit = settings.body_limit
        self._isolation = settings.isolation.get(endpoint.id, "serializable")

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node: str | None = None) -> None:
        """Run the endpoint; `node` is where a walker starts, as the URL spells it.

        Who calls is settled before the body is looked at: nobody learns an endpoint's arguments by guessing at them.
        """
        root = self._callers.root(req, public=self._endpoint.public)
        sent = await body.read(req, self._limit)
        if sent:
            body.check_media_type(req)
        arguments = self._arguments.decode(sent)
        work = Work(self._endpoint.kind, self._target, arguments, root, node, self._isolation)
        try:
            with self._places:
                outcome = await self._graph.run(work)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the server has to end, and waited as long as it may
                raise ApiError(500, CUT_OFF) from None
            raise RuntimeError("the program raised CancelledError") from error
        resp.data = success(outcome.result, outcome.reports, req.context.request_id)

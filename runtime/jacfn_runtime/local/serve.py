"""Runs the local target: one activator, one gateway process, and one service per endpoint, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
import uvloop

from jacfn_runtime.http.protocol import Protocol
from jacfn_runtime.local.activator import Activator
from jacfn_runtime.local.events import Listening, Logged, Report
from jacfn_runtime.local.forward import Forwarder
from jacfn_runtime.local.hosts import GATEWAY, direct_url
from jacfn_runtime.local.process import Process
from jacfn_runtime.local.service import Service

MODULE = "jacfn_runtime"
BACKLOG = 2048  # uvicorn's own
DRAIN_SECONDS = 10  # for requests in flight when it is told to stop; a laptop's person does not wait for Knative's 300


@dataclass(frozen=True, slots=True)
class Target:
    """What the local target serves. Windows are seconds without a request before a process is stopped."""

    endpoints: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    """For every process; JACFN_SERVE, JACFN_ROUTES, JACFN_HOST and PORT are set here."""
    by_host: Mapping[str, str]
    """Host name -> endpoint id."""
    folder: Path
    window: float
    windows: Mapping[str, float] = field(default_factory=dict)
    """Endpoint id -> its own window."""
    module: str = MODULE


def serve(target: Target, listener: socket.socket, report: Report) -> None:
    """Serve on this bound socket until SIGINT or SIGTERM; then let requests finish and leave no process behind.

    Raises StartFailed if the gateway does not come up.
    """
    uvloop.run(_serve(target, listener, report))


async def _serve(target: Target, listener: socket.socket, report: Report) -> None:
    services = _services(target, f"http://127.0.0.1:{listener.getsockname()[1]}", report)
    forwarder = Forwarder()
    application = Activator(services, target.by_host, forwarder, report)
    server = _Server(_configured(application))
    try:
        await services[GATEWAY].wake()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        listener.listen(BACKLOG)
        report(Listening())
        await server.serve(sockets=[listener])
    finally:
        await asyncio.gather(forwarder.close(), *(service.close() for service in services.values()))


def _configured(application: Activator) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=Protocol,
        log_config=None,
        log_level="critical",
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,  # what the client says of itself is passed on as it is
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _services(target: Target, url: str, report: Report) -> dict[str, Service]:
    def service(name: str, window: float, minimum: int, **env: str) -> Service:
        async def launch() -> Process:
            return await Process.start(
                target.module, {**target.env, "JACFN_SERVE": name, **env}, target.folder, lambda line: report(Logged(name, line))
            )

        return Service(name, launch, window, report, minimum)

    routes = json.dumps({name: direct_url(url, name) for name in target.endpoints})
    endpoints = {name: service(name, target.windows.get(name, target.window), 0) for name in target.endpoints}
    return {**endpoints, GATEWAY: service(GATEWAY, target.window, 1, JACFN_ROUTES=routes)}


class _Server(uvicorn.Server):
    """uvicorn raises a caught signal again when it has drained, which would end this process before its children are stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Stop accepting and drain; asked twice, drop what is left."""
        self.force_exit = self.should_exit
        self.should_exit = True

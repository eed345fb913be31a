"""The life of a serving process: load, listen when it can serve, drain on SIGTERM. No store need be there for any of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.http import lean

lean.import_server()

import uvicorn.config  # noqa: E402
import uvicorn.server  # noqa: E402
import uvloop  # noqa: E402

from jacfn_runtime.http.app import App, make_app  # noqa: E402
from jacfn_runtime.http.log import log, take_over  # noqa: E402
from jacfn_runtime.http.metrics import Metrics  # noqa: E402
from jacfn_runtime.http.protocol import Protocol  # noqa: E402

if TYPE_CHECKING:
    from jacfn_runtime.memory.graph import Graph
    from jacfn_runtime.program.load import Program
    from jacfn_runtime.program.manifest import Manifest
    from jacfn_runtime.settings import Settings

KEEP_ALIVE_SECONDS = 620  # longer than queue-proxy or a load balancer reuses an idle connection, or it gets EOF: 502 (B.6)
LAST_SECONDS = 1.0  # after the grace period: for requests that were cut off to say so, and for stores to be closed
INTERRUPTED = 130  # what shells expect after Ctrl+C


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises SettingsError and ProgramError for what cannot be served."""
    take_over()
    metrics = Metrics()
    with bound(settings) as listener:
        program, graph = _opened(settings, metrics)
        app = make_app(settings, program, graph, metrics)
        server = Server(configured(app, settings), metrics)
        gc.freeze()  # what was imported lives as long as the process: no collection need look at it
        gc.enable()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_ended(server, listener, graph))
    return INTERRUPTED if signal.SIGINT in server.received else 0


def _opened(settings: Settings, metrics: Metrics) -> tuple[Program | Manifest, Graph]:
    if settings.is_gateway:
        from jacfn_runtime.program.manifest import read_manifest

        return read_manifest(settings.bundle), _graph(settings)
    from jacfn_runtime.program.load import load

    def told(reason: str) -> None:
        metrics.fell_back()
        log("warning", reason)

    program, graph = load(settings.bundle, settings.loader, told), _graph(settings)
    metrics.loaded(program.loader, lambda: graph.replays)
    return program, graph


def _graph(settings: Settings) -> Graph:
    from jacfn_runtime.memory.graph import Graph  # after the program: a bundle has the code of what dataclasses write

    if settings.serves_identity:  # which wants the other half of the driver too, and at once
        return Graph.open(settings)
    if all(name.startswith("function/") for name in settings.serve):  # it may never ask for the graph
        return Graph.open(settings, lean.import_driver)
    # A walker does, at once: importing the driver beside its first request takes longer than before it.
    if settings.mongodb_uri:
        lean.import_driver()
    return Graph.open(settings)


async def _until_ended(server: Server, listener: socket.socket, graph: Graph) -> None:
    await server.serve([listener])
    if server.server_state.tasks:  # they were cut off, and say so
        await asyncio.wait(server.server_state.tasks, timeout=LAST_SECONDS)
    try:
        await asyncio.wait_for(graph.close(), LAST_SECONDS)
    except TimeoutError:  # a walker's thread cannot be stopped, and whatever ends in order would wait for it
        sys.stdout.flush()
        os._exit(1)


def configured(app: App, settings: Settings) -> uvicorn.config.Config:
    """uvicorn with nothing that this process does not use: no logging set-up, no access log, no proxy headers, no WebSockets."""
    return uvicorn.config.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="on" if settings.serves_identity else "off",  # nobody else has anything to close
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.grace_seconds,
    )


class Server(uvicorn.server.Server):
    """Ends in order at SIGTERM and SIGINT. uvicorn would raise the signal again, which means nothing to PID 1."""

    def __init__(self, config: uvicorn.config.Config, metrics: Metrics) -> None:
        super().__init__(config)
        self.received: list[int] = []
        self._metrics = metrics

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._metrics.listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals from here on, to the end of the process."""
        for signum in uvicorn.server.HANDLED_SIGNALS:
            signal.signal(signum, self.handle_exit)
        yield

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to end. Once a second: the Date header."""
        if counter % 10 == 0:
            self.server_state.default_headers = [(b"date", http_date(time.gmtime()))]
        return self.should_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what runs, then end; at a second Ctrl+C, end."""
        self.received.append(sig)
        super().handle_exit(sig, frame)


def http_date(moment: time.struct_time) -> bytes:
    """RFC 9110 section 5.6.7, in English whatever the locale."""
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.tm_wday]
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[moment.tm_mon * 3 - 3 : moment.tm_mon * 3]
    return f"{day}, {moment.tm_mday:02} {month} {time.strftime('%Y %H:%M:%S', moment)} GMT".encode()


@contextlib.contextmanager
def bound(settings: Settings) -> Iterator[socket.socket]:
    """A socket on the port, which does not listen yet. Raises SettingsError if the port cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"Port {settings.port} of {settings.host} cannot be had",
                evidence=error.strerror or str(error),
                next_step="Stop who has it, or choose another one with PORT (`jac start --port`).",
            ) from error
        yield listener

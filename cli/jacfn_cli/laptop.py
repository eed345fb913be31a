"""`jac start --scale --target local`: every endpoint a process of its own, zero when idle, and what each call took."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path

from jacfn_cli.describe import function_sections
from jacfn_cli.endpoints import endpoint_table
from jacfn_cli.here import PLACE, address, prepare
from jacfn_cli.ports import listen
from jacfn_cli.printer import Printer
from jacfn_cli.sections import seconds
from jacfn_cli.settings import Settings
from jacfn_runtime.local.events import Called, Crashed, Event, Listening, Logged, Slept, Woke
from jacfn_runtime.program.catalog import Catalog

WINDOW = "10s"  # Knative's 60 would hide from a developer that endpoints sleep


def serve_laptop(entry: Path, settings: Settings, printer: Printer) -> None:
    """Serve until SIGINT or SIGTERM, then say what was measured."""
    settings.need(*PLACE)
    listener = listen(settings.server.host, settings.port)
    try:
        catalog, env = prepare(entry, settings, printer)
        from jacfn_runtime.local.hosts import hosts
        from jacfn_runtime.local.serve import Target, serve

        by_endpoint = hosts(_app(settings), [endpoint.id for endpoint in catalog.endpoints])
        target = Target(
            endpoints=tuple(by_endpoint),
            env=env,
            by_host={host: endpoint for endpoint, host in by_endpoint.items()},
            folder=Path.cwd(),
            window=seconds(settings.knative.window or WINDOW),
            windows={
                name: seconds(section.window)
                for name, section in function_sections(settings, catalog).items()
                if section.window is not None
            },
        )
        url = address(settings)
        urls = {endpoint: f"http://{host}:{settings.port}" for endpoint, host in by_endpoint.items()}
        printer.table(*endpoint_table(catalog, urls))
        said = Narrator(printer, f"\nAPI   {url}\nDocs  {url}/docs\nEndpoints sleep until they are called. Ctrl+C stops it.")
        serve(target, listener, said)
    finally:
        listener.close()
    said.summary(catalog)


class Narrator:
    """Tells events as they come, and at the end what each endpoint took."""

    def __init__(self, printer: Printer, ready: str) -> None:
        self._printer = printer
        self._ready = ready
        self._cold: dict[str, list[float]] = defaultdict(list)
        self._warm: dict[str, list[float]] = defaultdict(list)

    def __call__(self, event: Event) -> None:
        match event:
            case Listening():
                self._printer.note(self._ready)
            case Woke(service, took):
                self._printer.note(f"{service}  0 -> 1  listens after {took * 1000:.0f} ms")
            case Slept(service):
                self._printer.note(f"{service}  1 -> 0")
            case Called(service, method, path, status, took, cold):
                (self._cold if cold else self._warm)[service].append(took)
                self._printer.note(f"{method} {path}  {status}  {'cold' if cold else 'warm'} {took * 1000:.0f} ms")
            case Logged(service, line):
                self._printer.note(f"{service} | {line}")
            case Crashed(service, what, tail):
                self._printer.error(f"{service} crashed: {what}", "\n".join(tail))

    def summary(self, catalog: Catalog) -> None:
        """A table of the calls that were made, on stdout; nothing if there were none."""
        rows = [
            [endpoint.id, *_figures(self._cold[endpoint.id]), *_figures(self._warm[endpoint.id])]
            for endpoint in catalog.endpoints
            if self._cold[endpoint.id] or self._warm[endpoint.id]
        ]
        if rows:
            self._printer.table(["ENDPOINT", "COLD CALLS", "COLD MEDIAN", "WARM CALLS", "WARM MEDIAN"], rows)


def _figures(times: list[float]) -> tuple[str, str]:
    return str(len(times)), f"{statistics.median(times) * 1000:.0f} ms" if times else "-"


def _app(settings: Settings) -> str:
    """The name below which the endpoints have their hosts: the default name is everybody's, the project's says more."""
    key = "plugins.scale.kubernetes.app_name"
    return settings.kubernetes.app_name if key in settings.origins else settings.project_name

"""Puts the app together: which routes this process has, by JACFN_SERVE."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import falcon
import falcon.asgi

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.http import docs, health, lean
from jacfn_runtime.http.caller import Callers
from jacfn_runtime.http.front import Front, answer_error
from jacfn_runtime.http.metrics import Metrics
from jacfn_runtime.program.catalog import Catalog, Endpoint

if TYPE_CHECKING:
    from jacfn_runtime.memory.graph import Graph
    from jacfn_runtime.program.load import Program
    from jacfn_runtime.program.manifest import Manifest
    from jacfn_runtime.settings import Settings

App = falcon.asgi.App[Any, Any]


def make_app(settings: Settings, program: Program | Manifest, graph: Graph, metrics: Metrics | None = None) -> App:
    """The ASGI app of this process. A gateway needs no more of the program than its manifest.

    Raises SettingsError when JACFN_SERVE names what the program does not have, or when there is no secret for tokens.
    """
    metrics = metrics or Metrics()
    front = Front(metrics)
    with lean.own_media_types():
        app = falcon.asgi.App(middleware=[front])
    app.req_options.strip_url_path_trailing_slash = True
    for kind in (falcon.HTTPError, Exception):  # falcon has a handler of its own for the first
        app.add_error_handler(kind, answer_error)
    endpoints = served(settings, program.catalog)
    warm_up: Callable[[], None] | None = None
    if settings.is_gateway:
        _add_forwarded(app, settings, endpoints, front)
    else:
        from jacfn_runtime.http import endpoint

        warm_up = endpoint.warm_up
        _add_endpoints(app, settings, cast("Program", program), graph, endpoints)
    app.add_route("/healthz/live", health.Live(settings, program.hash, warm_up))
    app.add_route("/healthz/ready", health.Ready(graph))
    app.add_route("/metrics", health.Counters(metrics))
    docs.add_routes(app, lambda: _document(settings, program, endpoints), program.hash)
    if settings.serves_identity:
        from jacfn_runtime.identity.routes import add_routes

        front.closing.append(add_routes(app, settings, graph).close)
        app.add_route("/", docs.Home())
    return app


def served(settings: Settings, catalog: Catalog) -> tuple[Endpoint, ...]:
    """The endpoints that this process answers for. Raises SettingsError for one that the program does not have."""
    if settings.serves_identity:
        return catalog.endpoints
    known = {endpoint.id: endpoint for endpoint in catalog.endpoints}
    if missing := [name for name in settings.serve if name not in known]:
        raise SettingsError(
            f"JACFN_SERVE names {', '.join(missing)}, and {catalog.entry} has no such endpoint",
            evidence=f"it has {', '.join(sorted(known)) or 'none'}",
        )
    return tuple(known[name] for name in settings.serve)


def _add_endpoints(app: App, settings: Settings, program: Program, graph: Graph, endpoints: tuple[Endpoint, ...]) -> None:
    from jacfn_runtime.http.endpoint import EndpointResource, Places

    callers, places = Callers(settings), Places()
    if not all(endpoint.public for endpoint in endpoints):
        callers.prepare()
    for endpoint in endpoints:
        resource = EndpointResource(endpoint, program, graph, callers, places, settings)
        _mount(app, endpoint, resource)
        if len(endpoints) == 1 and not settings.serves_identity:
            app.add_route("/", resource)


def _add_forwarded(app: App, settings: Settings, endpoints: tuple[Endpoint, ...], front: Front) -> None:
    from jacfn_runtime.http.forward import Forwarder
    from jacfn_runtime.http.gateway import ForwardedEndpoint

    forwarder = Forwarder()
    front.closing.append(forwarder.close)
    for endpoint in endpoints:
        base_url = settings.routes.get(endpoint.id, "")
        _mount(app, endpoint, ForwardedEndpoint(endpoint.id, base_url, forwarder, settings.body_limit))


def _mount(app: App, endpoint: Endpoint, resource: object) -> None:
    app.add_route(f"/{endpoint.id}", resource)
    if endpoint.kind == "walker":
        app.add_route(f"/{endpoint.id}/{{node}}", resource)


def _document(settings: Settings, program: Program | Manifest, endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    from jacfn_runtime.http import openapi, openapi_identity

    more = openapi_identity.PATHS if settings.serves_identity else {}
    return openapi.document(settings.app, program.hash[:12], program.catalog, endpoints, more)

"""A catalog as a table for a person. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from jacfn_runtime.program.catalog import Catalog, Endpoint

ACCESS = {"": "login", "pub": "public", "protect": "login", "priv": "login"}


def endpoint_table(catalog: Catalog, urls: Mapping[str, str] | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the request, who may send it, its parameters, its source line; with `urls` (by endpoint id) its URL."""
    header = ["ENDPOINT", "ACCESS", "PARAMETERS", "SOURCE"]
    rows = [
        [f"POST /{endpoint.id}", ACCESS[endpoint.access], _parameters(endpoint), f"{endpoint.file}:{endpoint.line}"]
        for endpoint in catalog.endpoints
    ]
    if urls is None:
        return header, rows
    return [*header, "URL"], [[*row, urls[e.id]] for row, e in zip(rows, catalog.endpoints, strict=True)]


def _parameters(endpoint: Endpoint) -> str:
    shown = (f"{p.name}: {p.type}" + (f" = {p.default}" if p.default is not None else "") for p in endpoint.parameters)
    return ", ".join(shown) or "-"

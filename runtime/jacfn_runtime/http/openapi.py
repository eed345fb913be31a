"""OpenAPI 3.1 from the catalog. Pure. Both speak JSON Schema 2020-12, so that the catalog's schemas go in as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jacfn_runtime.program.catalog import Catalog, Endpoint

SCHEME = "bearer"
NODE = {
    "name": "node",
    "in": "path",
    "required": True,
    "description": "The node where the walker starts",
    "schema": {"type": "string"},
}
TEXT = {"type": "string"}
ERRORS = (  # one response for all of them: a page that repeats it ten times for each endpoint is read by nobody
    "An error: 400 no JSON, 401 token missing or not valid, 403 not allowed on this data, 404 no such node, "
    "409 another request changed the same data, 413 body too large, 415 not JSON, 422 arguments do not fit (see `details`), "
    "500 the program failed, 503 not now (see Retry-After)"
)


def document(
    app: str, version: str, catalog: Catalog, endpoints: Iterable[Endpoint], more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The document for these endpoints of the catalog; `more` are path items of other routes, identity's for one."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths[f"/{endpoint.id}"] = {"post": _operation(endpoint, catalog)}
        if endpoint.kind == "walker":
            at_node = _operation(endpoint, catalog)
            at_node["operationId"] += "_at_node"
            paths[f"/{endpoint.id}/{{node}}"] = {"parameters": [NODE], "post": at_node}
    return {
        "openapi": "3.1.0",
        "info": {"title": app, "version": version, "description": f"Walkers and functions of `{catalog.entry}`."},
        "paths": paths | dict(more or {}),
        "components": {
            "schemas": dict(catalog.definitions)
            | {"jacfn.Answer": envelope(_OUTCOME, None), "jacfn.Error": envelope(None, _ERROR)},
            "responses": {"Error": _response(ERRORS, "jacfn.Error")},
            "securitySchemes": {
                SCHEME: {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `token` that /login answers",
                }
            },
        },
    }


def _operation(endpoint: Endpoint, catalog: Catalog) -> dict[str, Any]:
    first_line = endpoint.doc.strip().partition("\n")[0]
    return {
        "operationId": endpoint.id.replace("/", "_"),
        "tags": [f"{endpoint.kind}s"],
        "summary": first_line,
        "description": f"{endpoint.doc}\n\n`{endpoint.file}:{endpoint.line}`".strip(),
        "security": [{}, {SCHEME: []}] if endpoint.public else [{SCHEME: []}],
        "requestBody": {
            "required": any(parameter.required for parameter in endpoint.parameters),
            "content": {"application/json": {"schema": endpoint.schema}},
        },
        "responses": {"200": _response("It ran", "jacfn.Answer"), "default": ERROR},
    }


def _response(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "headers": {"X-Request-Id": {"schema": TEXT}}, "content": content}


ERROR = {"$ref": "#/components/responses/Error"}
_OUTCOME: dict[str, Any] = {
    "type": "object",
    "required": ["result", "reports"],
    "properties": {
        "result": {"description": "What the function returned, or the walker as it ended"},
        "reports": {"type": "array"},
    },
}
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": TEXT,
        "message": TEXT,
        "details": {
            "type": "array",
            "items": {"type": "object", "required": ["path", "message"], "properties": {"path": TEXT, "message": TEXT}},
        },
    },
}


def envelope(data: Mapping[str, Any] | None, error: Mapping[str, Any] | None) -> dict[str, Any]:
    null = {"type": "null"}
    return {
        "type": "object",
        "required": ["ok", "type", "data", "error", "meta"],
        "properties": {
            "ok": {"const": error is None},
            "type": {"const": "response" if error is None else "error"},
            "data": data or null,
            "error": error or null,
            "meta": {"type": "object", "required": ["request_id"], "properties": {"request_id": TEXT}},
        },
    }

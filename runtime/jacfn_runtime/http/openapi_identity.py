"""The path items of identity, for the OpenAPI document of who serves it. Plain data, shaped as identity/bodies.py."""

from __future__ import annotations

from typing import Any

from jacfn_runtime.http.openapi import ERROR, SCHEME, TEXT, envelope

LOGIN = {
    "type": "object",
    "required": ["token", "refresh_token", "token_type", "expires_in", "username", "root_id"],
    "properties": {
        "token": TEXT,
        "refresh_token": TEXT,
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "Seconds"},
        "username": TEXT,
        "root_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    },
}
PASSWORD = {"type": "string", "format": "password"}
NAMES = {"type": "object", "additionalProperties": False, "required": ["type", "value"]} | {
    "properties": {"type": {"enum": ["username", "email"]}, "value": TEXT}
}
CREDENTIAL = {"type": "object", "additionalProperties": False, "required": ["type", "password"]} | {
    "properties": {"type": {"const": "password"}, "password": PASSWORD}
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}


ACCOUNT = _object(username=TEXT, password=PASSWORD)


def _operation(name: str, summary: str, *, body: Any = None, status: str = "200", token: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": envelope(LOGIN, None)}}
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": ["identity"],
        "summary": summary,
        "security": [{SCHEME: []}] if token else [],
        "responses": {status: {"description": "Done", "content": content}, "default": ERROR},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _sso(name: str, summary: str, status: str) -> dict[str, Any]:
    platform = {"name": "platform", "in": "path", "required": True, "schema": TEXT}
    operation = {"operationId": name, "tags": ["identity"], "summary": summary, "security": []}
    return {"parameters": [platform], "get": operation | {"responses": {status: {"description": "Done"}, "default": ERROR}}}


_ME = _operation("user_me", "Who the token speaks for", token=True)
_ME["responses"]["200"] = {"description": "Done"}

PATHS: dict[str, Any] = {
    "/register": {"post": _operation("register", "Create a user, logged in", body=ACCOUNT, status="201")},
    "/login": {"post": _operation("login", "A token for a username and a password", body=ACCOUNT)},
    "/refresh_token": {
        "post": _operation("refresh_token", "The next tokens for a refresh token", body=_object(refresh_token=TEXT))
    },
    "/user/register": {
        "post": _operation(
            "user_register",
            "/register, as jac-scale spells it",
            body={
                "anyOf": [ACCOUNT, _object(identities={"type": "array", "minItems": 1, "items": NAMES}, credential=CREDENTIAL)]
            },
            status="201",
        )
    },
    "/user/login": {
        "post": _operation(
            "user_login",
            "/login, as jac-scale spells it",
            body={"anyOf": [ACCOUNT, _object(identity=NAMES, credential=CREDENTIAL)]},
        )
    },
    "/user/refresh-token": {
        "post": _operation(
            "user_refresh_token",
            "/refresh_token, as jac-scale spells it",
            body={"anyOf": [_object(refresh_token=TEXT), _object(token=TEXT)]},
        )
    },
    "/user/me": {"get": _ME},
    "/user/password": {
        "put": _operation(
            "user_password",
            "A new password for who knows the old one",
            body=_object(current_password=PASSWORD, new_password=PASSWORD),
            token=True,
        )
    },
    "/sso/{platform}/login": _sso("sso_login", "Sends the browser to the provider", "302"),
    "/sso/{platform}/callback": _sso("sso_callback", "Where the provider sends the browser back to", "200"),
    "/sso/exchange": {
        "post": _operation(
            "sso_exchange", "Tokens for the code that a client got at its redirect", body=_object(code=TEXT, code_verifier=TEXT)
        )
    },
}

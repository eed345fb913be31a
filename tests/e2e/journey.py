"""The journey: one list of requests that every home must answer alike, what differs by nature (ids, times) masked."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

COMPARED_HEADERS = ("content-type", "www-authenticate", "allow", "cache-control", "x-content-type-options")


@dataclass(frozen=True)
class Step:
    """One request. `{name}` in path and body is filled from what earlier answers left in the notes."""

    name: str
    method: str
    path: str
    body: Any = None
    user: str | None = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    note: Callable[[dict[str, Any]], dict[str, str]] | None = None


def _item_id(answer: dict[str, Any]) -> dict[str, str]:
    report = answer["data"]["reports"][0]
    node = report[0] if isinstance(report, list) else report
    return {"item": node["_jac_id"]}


def _token(user: str) -> Callable[[dict[str, Any]], dict[str, str]]:
    return lambda answer: {f"token-{user}": answer["data"]["token"], f"refresh-{user}": answer["data"]["refresh_token"]}


PASSWORD = {"ann": "correct horse battery", "bob": "staple tractor umbrella"}
ADD = {"name": "Widget", "price": 9.99}

JOURNEY: tuple[Step, ...] = (
    Step("the docs page", "GET", "/docs"),
    Step("the API description", "GET", "/openapi.json"),
    Step("a guest lists nothing", "POST", "/walker/get_items", {}),
    Step("an empty body equals {}", "POST", "/walker/get_items"),
    Step("create without a token", "POST", "/walker/create_item", ADD),
    Step("a protected function without a token", "POST", "/function/admin_action", {}),
    Step("a function without a token", "POST", "/function/calculate_total", {"items": [1.0]}),
    Step("register ann", "POST", "/register", {"username": "ann", "password": PASSWORD["ann"]}),
    Step("register ann again", "POST", "/register", {"username": "ann", "password": PASSWORD["ann"]}),
    Step("register bob", "POST", "/register", {"username": "bob", "password": PASSWORD["bob"]}),
    Step("a wrong password", "POST", "/login", {"username": "ann", "password": "wrong horse battery"}),
    Step("login ann", "POST", "/login", {"username": "ann", "password": PASSWORD["ann"]}, note=_token("ann")),
    Step("login bob", "POST", "/login", {"username": "bob", "password": PASSWORD["bob"]}, note=_token("bob")),
    Step("ann creates", "POST", "/walker/create_item", ADD, user="ann", note=_item_id),
    Step("ann creates another", "POST", "/walker/create_item", {"name": "Nut ü 漢", "price": 1}, user="ann"),
    Step("ann lists two", "POST", "/walker/get_items", {}, user="ann"),
    Step("bob lists nothing", "POST", "/walker/get_items", {}, user="bob"),
    Step("a guest still lists nothing", "POST", "/walker/get_items", {}),
    Step("ann starts on her own item", "POST", "/walker/get_items/{item}", {}, user="ann"),
    Step("bob on ann's item", "POST", "/walker/get_items/{item}", {}, user="bob"),
    Step("a guest on ann's item", "POST", "/walker/get_items/{item}", {}),
    Step("a node that never was", "POST", "/walker/get_items/0123456789abcdef0123456789abcdef", {}, user="bob"),
    Step("an id that is none", "POST", "/walker/get_items/not-an-id", {}, user="bob"),
    Step("the protected function", "POST", "/function/admin_action", {}, user="ann"),
    Step("the spec's sum", "POST", "/function/calculate_total", {"items": [10.0, 20.0, 30.0]}, user="ann"),
    Step("an empty sum", "POST", "/function/calculate_total", {"items": []}, user="ann"),
    Step("a missing field", "POST", "/walker/create_item", {"name": "x"}, user="ann"),
    Step("a wrong type", "POST", "/walker/create_item", {"name": "x", "price": "cheap"}, user="ann"),
    Step("an unknown field", "POST", "/walker/create_item", ADD | {"colour": "red"}, user="ann"),
    Step("a wrong type in a list", "POST", "/function/calculate_total", {"items": [1.0, "two"]}, user="ann"),
    Step("not JSON", "POST", "/walker/create_item", content=b"{name:", user="ann"),
    Step("not an object", "POST", "/walker/create_item", [1, 2], user="ann"),
    Step(
        "a form",
        "POST",
        "/walker/create_item",
        content=b"a=b",
        headers={"content-type": "application/x-www-form-urlencoded"},
        user="ann",
    ),
    Step("a forged token", "POST", "/walker/create_item", ADD, headers={"authorization": "Bearer abc.def.ghi"}),
    Step("GET on a walker", "GET", "/walker/create_item"),
    Step("no such walker", "POST", "/walker/nobody", {}),
    Step("no such page", "GET", "/nothing/here"),
    Step("refresh", "POST", "/refresh_token", {"refresh_token": "{refresh-ann}"}, note=_token("ann")),
    Step("the new token works", "POST", "/walker/get_items", {}, user="ann"),
)


@dataclass(frozen=True)
class Answer:
    """What a home said: the status, the headers that matter, and the body with ids, times and tokens masked."""

    status: int
    headers: dict[str, str]
    body: str

    def __str__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:500]}"


MASKS = (
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+"), "<token>"),
    (re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r'("request_id":)"[^"]*"'), r'\1"<request>"'),
    (re.compile(r'("refresh_token":)"[^"]*"'), r'\1"<token>"'),
)


def masked(text: str) -> str:
    """The text without what differs from run to run by nature."""
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return text


def travel(
    send: Callable[[str, str, dict[str, str], bytes], httpx.Response], steps: tuple[Step, ...] = JOURNEY
) -> dict[str, Answer]:
    """Take every step with `send(method, path, headers, body)`; the answers by the steps' names."""
    notes: dict[str, str] = {}
    answers: dict[str, Answer] = {}
    for step in steps:
        path, headers, content = step.path, dict(step.headers), step.content or b""
        body = json.dumps(step.body) if step.body is not None else ""
        for name, value in notes.items():
            path, body = path.replace("{" + name + "}", value), body.replace("{" + name + "}", value)
        if step.body is not None:
            content = body.encode()
        if content:
            headers.setdefault("content-type", "application/json")
        if step.user:
            headers["authorization"] = f"Bearer {notes['token-' + step.user]}"
        if step.name == "refresh":
            time.sleep(1.1)  # a token's times are whole seconds: the new one must differ from the old one
        response = send(step.method, path, headers, content)
        kept = {name: response.headers[name] for name in COMPARED_HEADERS if name in response.headers}
        answers[step.name] = Answer(response.status_code, kept, masked(response.text))
        if step.note:
            assert response.status_code < 300, f"{step.name}: {answers[step.name]}"
            notes |= step.note(response.json())
    return answers

"""The gateway answers what the function services answer, with its own routes beside them."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import servers
from services import Service, Start, started


@pytest.fixture(scope="module")
def gateway(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway before one function service; two endpoints have no route, or one that leads nowhere."""
    folder = tmp_path_factory.mktemp("gateway")
    serve = "walker/echo,walker/write_note,walker/read_note,function/fail,function/secret"
    with started(bundle, folder, serve) as behind:
        routes = dict.fromkeys(serve.split(","), f"http://127.0.0.1:{behind.port}")
        routes["function/total"] = f"http://127.0.0.1:{servers.free_port()}"
        with started(bundle, folder, "gateway", JACFN_ROUTES=json.dumps(routes)) as service:
            yield service


@pytest.fixture(scope="module")
def mine(gateway: Service) -> dict[str, str]:
    """The headers of a user who registered at the gateway."""
    answer = gateway.http.post("/register", json={"username": "somebody", "password": "a long enough password"})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['data']['token']}"}


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_endpoint_answers_through_the_gateway(gateway: Service) -> None:
    answer = gateway.http.post("/walker/echo", json={"text": "through"})
    assert answer.status_code == 200
    assert answer.json()["data"]["reports"] == ["through", []]


def test_a_token_of_the_gateway_opens_the_service(gateway: Service, mine: dict[str, str]) -> None:
    assert error(gateway.http.post("/function/secret")) == (401, "UNAUTHORIZED")
    assert gateway.http.post("/function/secret", headers=mine).json()["data"]["result"] == "kept"


def test_a_node_in_the_url_goes_along(gateway: Service, mine: dict[str, str]) -> None:
    note = gateway.http.post("/walker/write_note", json={"text": "milk"}, headers=mine).json()["data"]["reports"][0]
    answer = gateway.http.post(f"/walker/read_note/{note['_jac_id']}", headers=mine)
    assert answer.json()["data"]["reports"] == ["milk"]


def test_errors_come_through_as_they_are(gateway: Service) -> None:
    refused = gateway.http.post("/walker/echo", json={"text": 1})
    assert error(refused) == (422, "INVALID_ARGUMENTS")
    assert refused.json()["error"]["details"][0]["path"] == "body.text"
    challenged = gateway.http.post("/function/secret")
    assert challenged.headers["www-authenticate"].startswith("Bearer")


def test_one_request_id_names_the_request_on_both_sides(gateway: Service) -> None:
    made = gateway.http.post("/function/fail", json={"text": "x"})
    assert made.headers["x-request-id"] == made.json()["meta"]["request_id"]
    kept = gateway.http.post("/function/fail", json={"text": "x"}, headers={"X-Request-Id": "mine"})
    assert kept.headers["x-request-id"] == kept.json()["meta"]["request_id"] == "mine"


def test_headers_are_there_once(gateway: Service) -> None:
    answer = gateway.http.post("/walker/echo")
    assert len(answer.headers.multi_items()) == len(dict(answer.headers.multi_items()))


@pytest.mark.parametrize("path", ["/function/total", "/function/sleep"])
def test_a_service_that_is_not_there_is_503_with_retry_after(gateway: Service, path: str) -> None:
    answer = gateway.http.post(path, json={"items": [1]})
    assert error(answer) == (503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


@pytest.mark.parametrize("path", ["/walker/nope", "/function/echo", "/walker/echo/a/b", "/anything"])
def test_what_the_program_does_not_have_is_404(gateway: Service, path: str) -> None:
    assert error(gateway.http.post(path)) == (404, "NOT_FOUND")


def test_another_method_is_405(gateway: Service) -> None:
    assert error(gateway.http.get("/walker/echo")) == (405, "METHOD_NOT_ALLOWED")


def test_the_body_limit_holds_here_already(bundle: Path, start: Start) -> None:
    with start("gateway", JACFN_BODY_LIMIT="10", JACFN_ROUTES="{}") as service:
        assert error(service.http.post("/walker/echo", content=b"x" * 11)) == (413, "TOO_LARGE")


def test_live_says_gateway_and_the_bare_url_leads_to_the_docs(gateway: Service) -> None:
    assert gateway.http.get("/healthz/live").json()["serves"] == ["gateway"]
    assert gateway.http.get("/").headers["location"] == "docs"
    assert "/walker/echo" in gateway.http.get("/openapi.json").json()["paths"]


@contextlib.contextmanager
def ingress(said: bytes) -> Iterator[str]:
    """JACFN_ROUTES to a server that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield json.dumps({"walker/echo": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        thread.join()


@pytest.mark.parametrize(("status", "expected"), [(404, 503), (502, 502), (503, 503), (504, 504), (500, 502)])
def test_an_error_that_something_on_the_way_wrote_becomes_an_envelope(start: Start, status: int, expected: int) -> None:
    said = b"HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nin a pod!" % status
    with ingress(said) as routes, start("gateway", JACFN_ROUTES=routes) as service:
        refused = service.http.post("/walker/echo")
        assert refused.status_code == expected
        assert refused.json()["ok"] is False
        assert "in a pod!" not in refused.text
        assert "in a pod!" in service.log


def test_a_cookie_that_something_on_the_way_set_stays_there(start: Start) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: pod=1\r\nVary: a\r\nVary: b\r\n"
    with ingress(head + b"Content-Length: 2\r\n\r\n{}") as routes, start("gateway", JACFN_ROUTES=routes) as service:
        answer = service.http.post("/walker/echo")
        assert (answer.status_code, answer.text, answer.headers["vary"]) == (200, "{}", "a, b")
        assert "set-cookie" not in answer.headers

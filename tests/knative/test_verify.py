"""One request through a URL: who answers there, and whether it is what was deployed. Against real HTTP servers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from jacfn_knative.cluster import verify
from servers import free_port


class Answer(BaseHTTPRequestHandler):
    """Answers with the server's `body` and `status`, and remembers the last Host header."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.host = self.headers["Host"]
        server.path = self.path
        self.send_response(server.statuses.pop(0) if len(server.statuses) > 1 else server.statuses[0])
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Any]:
    found: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    found.statuses, found.body = [200], json.dumps({"app": "shop", "bundle": "abc", "serves": ["walker/x"]}).encode()
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def ask(url: str, ingress: str = "", **expected: str) -> verify.Checked:
    wanted = {"app": "shop", "bundle": "abc", "serves": "walker/x"} | expected
    return verify.check(url, wanted["app"], wanted["bundle"], wanted["serves"], ingress, patience=0)


def url(server: Any) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_what_was_deployed_answers(server: Any) -> None:
    assert ask(url(server)) == verify.Checked(True)
    assert server.path == "/healthz/live"  # runs no user code


@pytest.mark.parametrize("wrong", [{"app": "other"}, {"bundle": "def"}, {"serves": "walker/y"}])
def test_another_app_bundle_or_endpoint_is_told(server: Any, wrong: dict[str, str]) -> None:
    checked = ask(url(server), **wrong)
    assert checked.ok is False and "it answers as shop" in checked.note


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"app": 1}'])
def test_something_else_that_answers_is_told(server: Any, body: bytes) -> None:
    server.body = body
    checked = ask(url(server))
    assert checked.ok is False and "something else answers" in checked.note


def test_an_error_status_is_told_and_a_passing_one_is_waited_for(server: Any) -> None:
    server.statuses = [404]
    assert "HTTP 404" in ask(url(server)).note
    server.statuses = [404, 503, 200]
    assert verify.check(url(server), "shop", "abc", "walker/x", patience=10).ok


def test_a_host_that_does_not_resolve_is_asked_through_the_ingress_by_its_host(server: Any) -> None:
    for ingress in (f"127.0.0.1:{server.server_port}", url(server)):
        assert ask("http://x.shop.invalid", ingress).ok
        assert server.host == "x.shop.invalid"


def test_a_host_that_does_not_resolve_says_nothing_about_the_service() -> None:
    checked = ask("http://x.shop.invalid")
    assert checked.ok is None and "ingress_address" in checked.note


def test_nobody_there_is_a_failure_only_if_the_way_was_given() -> None:
    port = free_port()
    assert ask(f"http://127.0.0.1:{port}").ok is None
    assert ask("http://x.shop.invalid", f"127.0.0.1:{port}").ok is False


def test_a_port_is_reachable_if_somebody_listens(server: Any) -> None:
    assert verify.reachable("127.0.0.1", server.server_port)
    assert not verify.reachable("127.0.0.1", free_port())

"""What the activator answers for a process that does not. The process is a bare port here."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

import servers
from jacfn_runtime.local import forward
from jacfn_runtime.local.activator import Activator
from jacfn_runtime.local.process import Process
from jacfn_runtime.local.service import Service


class Port:
    """Takes a process's place."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def listening(self) -> None:
        pass

    async def ended(self) -> int:
        return await asyncio.Future()

    async def stop(self) -> None:
        pass


async def answered(port: int) -> tuple[int, dict[bytes, bytes], dict[str, Any]]:
    """Status, headers and body of the answer to `POST /walker/x`."""

    async def launch() -> Process:
        return cast(Process, Port(port))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    sent: list[Any] = []
    service = Service("walker/x", launch, 60, lambda event: None)
    forwarder = forward.Forwarder()
    scope = {"type": "http", "method": "POST", "path": "/walker/x", "raw_path": b"/walker/x", "query_string": b"", "headers": []}
    await Activator({"walker/x": service}, {}, forwarder, lambda event: None)(scope, receive, send)
    await forwarder.close()
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(sent[1]["body"])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_process_that_cannot_be_reached_did_nothing_503() -> None:
    status, headers, body = asyncio.run(answered(servers.free_port()))
    assert (status, body["error"]["code"], headers[b"retry-after"]) == (503, "UNAVAILABLE", b"1")


def test_a_process_that_does_not_answer_in_time_may_have_done_it_504(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "REQUEST_SECONDS", 0.1)
    status, headers, body = asyncio.run(answered(silent))
    assert (status, body["error"]["code"], b"retry-after" in headers) == (504, "GATEWAY_TIMEOUT", False)
    assert body["meta"] == {"request_id": headers[b"x-request-id"].decode()}

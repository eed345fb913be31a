"""What goes along, what comes back, and what happens when nobody is there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import servers
from jacfn_runtime.http.forward import (
    FORWARDED,
    HOP_BY_HOP,
    Answer,
    Broken,
    Forwarder,
    Incoming,
    Silent,
    Unreachable,
    outgoing_headers,
)


@pytest.fixture
async def forwarder() -> AsyncIterator[Forwarder]:
    forwarder = Forwarder(answer_seconds=20)
    yield forwarder
    await forwarder.close()


class Peer:
    """A server that answers each request with the same bytes, with an empty answer by hanging up, and keeps what it got."""

    def __init__(self, answer: bytes, port: int = 0) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._answer = answer
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Peer:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.close()
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
                self.requests.append(head + body)
                if not self._answer:
                    break
                writer.write(self._answer)
                await writer.drain()
        writer.close()
        self._open.discard(writer)


async def asked(forwarder: Forwarder, answer: bytes, request: Incoming, host: str | None = None) -> tuple[Peer, Answer]:
    async with Peer(answer) as peer:
        return peer, await forwarder.send(f"{peer.url}/prefix", request, host)


OK = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\n"
    b"X-Other: 1\r\nSet-Cookie: a=b\r\n\r\nhi"
)
REDIRECT = b"HTTP/1.1 307 X\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n"


async def test_path_query_body_and_host_arrive_as_they_were(forwarder: Forwarder) -> None:
    request = Incoming("POST", "/walker/a%20b/%C3%A9?q=1&r=%2F", {"host": "outside"}, b"\x00body")
    peer, _ = await asked(forwarder, OK, request, host="a.shop.localhost")
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/walker/a%20b/%C3%A9?q=1&r=%2F HTTP/1.1\r\n")
    assert b"host: a.shop.localhost" in head.lower()
    assert body == b"\x00body"


async def test_the_answer_comes_back_without_hop_by_hop_headers(forwarder: Forwarder) -> None:
    _, answer = await asked(forwarder, OK, Incoming("POST", "/", {}))
    assert answer.status == 200
    assert answer.body == b"hi"
    assert set(answer.headers) == {("content-type", "text/plain"), ("x-other", "1"), ("set-cookie", "a=b")}


async def test_one_callers_cookie_is_never_sent_with_anothers_request(forwarder: Forwarder) -> None:
    async with Peer(OK) as peer:
        for _ in range(2):
            await forwarder.send(peer.url, Incoming("POST", "/", {"cookie": "mine=1"}))
    assert peer.connections == 1  # the connection is kept
    assert not [request for request in peer.requests if b"cookie" in request.lower()]


async def test_a_compressed_answer_stays_compressed(forwarder: Forwarder) -> None:
    packed = b"\x1f\x8bnot really gzip"
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    _, answer = await asked(forwarder, raw, Incoming("POST", "/", {"accept-encoding": "gzip"}))
    assert answer.body == packed


async def test_a_redirect_is_an_answer_like_any_other(forwarder: Forwarder) -> None:
    _, answer = await asked(forwarder, REDIRECT, Incoming("POST", "/", {}))
    assert answer.status == 307


async def test_a_request_that_may_have_arrived_is_never_sent_again(forwarder: Forwarder) -> None:
    async with Peer(b"") as peer:
        with pytest.raises(Broken) as caught:
            await forwarder.send(peer.url, Incoming("POST", "/", {}, b"{}"))
    assert caught.value.delivered
    assert len(peer.requests) == 1


async def test_an_answer_that_does_not_come_is_told_apart_from_nobody_there() -> None:
    forwarder = Forwarder(answer_seconds=0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Silent) as caught:
        await forwarder.send(f"http://127.0.0.1:{silent.getsockname()[1]}", Incoming("POST", "/", {}))
    await forwarder.close()
    assert caught.value.delivered


async def test_a_server_that_appears_a_moment_later_gets_the_request(forwarder: Forwarder) -> None:
    port = servers.free_port()
    sending = asyncio.create_task(forwarder.send(f"http://127.0.0.1:{port}", Incoming("POST", "/", {})))
    await asyncio.sleep(0.05)
    async with Peer(OK, port) as peer:
        assert (await sending).status == 200
    assert len(peer.requests) == 1


async def test_nobody_there_is_unreachable(forwarder: Forwarder) -> None:
    with pytest.raises(Unreachable) as caught:
        await forwarder.send(f"http://127.0.0.1:{servers.free_port()}", Incoming("POST", "/", {}))
    assert not caught.value.delivered


names = st.sampled_from(
    [*FORWARDED, *HOP_BY_HOP, "cookie", "k-original-host", "host", "x-forwarded-for", "x-forwarded-host", "x-real-ip"]
)


@given(
    st.dictionaries(names, st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)),
    st.sampled_from(["", "9.9.9.9"]),
)
def test_only_headers_of_the_list_go_along(came: dict[str, str], client: str) -> None:
    headers = outgoing_headers(Incoming("POST", "/", came, client=client))
    ours = {"accept-encoding", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    assert set(headers) <= set(FORWARDED) | ours
    assert all(headers[name] == came[name] for name in FORWARDED if name in came)
    if client:
        assert headers["x-forwarded-for"].endswith(client)

"""What is no HTTP gets an answer and no harm is done."""

from __future__ import annotations

import json
import re
import socket

import pytest

from services import Service

CHUNKED = b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def exchange(service: Service, sent: bytes) -> bytes:
    """Everything that the server answers to these bytes, up to the end of the connection or a second of silence."""
    received = b""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.settimeout(1)
        connection.sendall(sent)
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionResetError):
            pass
    return received


def body(answer: bytes) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return parsed


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the start of a TLS handshake
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nNo Colon\r\n\r\n",
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_what_is_no_http_is_answered_400_and_hung_up_on(everything: Service, sent: bytes) -> None:
    answer = exchange(everything, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer
    if answer.count(b"HTTP/1.1") == 1:
        assert body(answer)["error"] == {"code": "BAD_REQUEST", "message": "This is not a valid HTTP request"}
    assert everything.http.get("/healthz/live").status_code == 200


def test_an_endless_header_is_cut_off(everything: Service) -> None:
    sent = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"a" * 4_000_000
    try:
        answer = exchange(everything, sent)
    except (BrokenPipeError, ConnectionResetError):  # hung up while we were still sending
        answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert everything.http.get("/healthz/live").status_code == 200


def test_an_endless_trailer_is_cut_off(everything: Service) -> None:
    """As one line and as many: httptools keeps the first, uvicorn the second."""
    for trailer in (b"X-Long: " + b"a" * 4_000_000, b"X-Short: a\r\n" * 400_000):
        with socket.create_connection(("127.0.0.1", everything.port)) as connection:
            connection.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n")
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                for _ in range(20):  # more than the buffers of both sides hold
                    connection.sendall(trailer)
    assert everything.http.get("/healthz/live").status_code == 200


def test_a_trailer_is_no_header(everything: Service) -> None:
    sent = CHUNKED + b"2\r\n{}\r\n0\r\nAuthorization: Bearer nonsense\r\nX-Request-Id: trailed\r\n\r\n"
    answer = exchange(everything, sent)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"trailed" not in answer


def test_large_bodies_in_many_small_chunks_arrive(everything: Service) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (b'{"text":"', *[b"a" * 10] * 20_000, b'"}'))
    assert exchange(everything, CHUNKED + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_a_body_that_breaks_off_runs_nothing(everything: Service) -> None:
    def runs() -> list[str]:
        return re.findall(r'endpoint="walker/echo",status="200"} (.*)', everything.http.get("/metrics").text)

    everything.http.post("/walker/echo")
    before = runs()
    for head in (b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", CHUNKED):
        for sent in (b"", b" ", b"5\r\n "):
            assert b"200 OK" not in exchange(everything, head + sent)
    assert before and runs() == before


def test_two_requests_in_one_packet_get_two_answers(everything: Service) -> None:
    one = b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    assert exchange(everything, one * 2).count(b"HTTP/1.1 200 OK") == 2


def test_an_upgrade_that_is_not_offered_is_answered_as_plain_http(everything: Service) -> None:
    sent = (
        b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"
    )
    assert b"200 OK" in exchange(everything, sent).splitlines()[0]


def test_expect_100_continue_is_answered(everything: Service) -> None:
    sent = b"POST /walker/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
    answer = exchange(everything, sent)
    assert answer.startswith(b"HTTP/1.1 100 Continue") or answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 200 OK" in answer

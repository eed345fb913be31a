"""The life of a process: it listens when it can serve, finishes what runs when told to end, and says why it cannot start."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import servers
from services import SECRET, Start


def run(arguments: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m jacfn_runtime` that is expected to end by itself."""
    command = [sys.executable, "-m", "jacfn_runtime", *arguments]
    return subprocess.run(command, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=60)


def test_the_first_connection_that_is_made_is_answered(start: Start) -> None:
    with start("walker/echo") as service:  # returns with the first connection
        assert service.http.post("/").status_code == 200


def test_sigterm_lets_running_requests_finish_and_ends_with_0(start: Start) -> None:
    with start("function/sleep") as service, ThreadPoolExecutor() as pool:
        running = [pool.submit(service.http.post, "/", json={"seconds": 1.5}) for _ in range(3)]
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        answers = [future.result() for future in running]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert service.process.wait(10) == 0


def test_after_sigterm_nobody_new_is_let_in(start: Start) -> None:
    with start("function/sleep") as service:
        running = threading.Thread(target=lambda: service.http.post("/", json={"seconds": 1.5}))
        running.start()
        time.sleep(0.4)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        with pytest.raises(httpx.ConnectError):
            httpx.post(f"http://127.0.0.1:{service.port}/", json={"seconds": 0})
        running.join()


def test_an_idle_connection_does_not_hold_up_the_end(start: Start) -> None:
    with start("walker/echo") as service, socket.create_connection(("127.0.0.1", service.port)):
        service.http.post("/")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(5) == 0


def test_what_runs_longer_than_the_grace_period_is_cut_off_and_told_so(start: Start) -> None:
    with start("function/sleep", JACFN_GRACE_SECONDS="1") as service, ThreadPoolExecutor() as pool:
        running = pool.submit(service.http.post, "/", json={"seconds": 20})
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        answer = running.result()
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "EXECUTION_ERROR")
        assert "may or may not" in answer.json()["error"]["message"]
        assert service.process.wait(5) == 1


@pytest.mark.parametrize(("path", "expected"), [("/function/total", b"503"), ("/function/secret", b"401")])
def test_who_has_not_sent_the_whole_request_by_then_gets_an_answer_too(start: Start, path: str, expected: bytes) -> None:
    with (
        start("function/total,function/secret", JACFN_GRACE_SECONDS="1") as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as half,
    ):
        half.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{" % path.encode())
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: half.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 " + expected)
        assert b'"ok":false' in answer
        assert service.process.wait(5) == 0
        assert "Traceback" not in service.log


def test_ctrl_c_ends_in_order_as_a_shell_expects(start: Start) -> None:
    with start("walker/echo") as service:
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(5) == 130
        assert "Traceback" not in service.log


def test_a_connection_that_was_idle_for_longer_than_a_servers_default_is_still_good(start: Start) -> None:
    with start("walker/echo") as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
        for pause in (5.5, 0):  # uvicorn's own default closes after 5
            connection.request("POST", "/")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            assert connection.sock is not None  # it was not closed, and is used again
            time.sleep(pause)
        connection.close()


def test_a_port_that_is_taken_is_named_and_ends_with_2(bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = run([], JACFN_BUNDLE=str(bundle), PORT=port, JACFN_HOST="127.0.0.1")
    assert ended.returncode == 2
    assert f"Port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "JACFN_BUNDLE is not set"),
        ({"JACFN_BUNDLE": "/nonexistent"}, "There is no bundle in /nonexistent"),
        ({"JACFN_BUNDLE": "B", "JACFN_SERVE": "walker/nope"}, "has no such endpoint"),
        ({"JACFN_BUNDLE": "B", "JACFN_SERVE": "all,walker/echo"}, "JACFN_SERVE"),
        ({"JACFN_BUNDLE": "B", "PORT": "http"}, "PORT"),
        ({"JACFN_BUNDLE": "B", "JWT_SECRET": "short"}, "JWT_SECRET"),
        ({"JACFN_BUNDLE": "B", "JACFN_BODY_LIMIT": "0"}, "JACFN_BODY_LIMIT"),
        ({"JACFN_BUNDLE": "B", "MONGODB_URI": "mongodb://127.0.0.1:1/x", "JACFN_SERVE": "function/secret"}, "JWT_SECRET"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(bundle: Path, env: dict[str, str], said: str) -> None:
    named = {name: str(bundle) if value == "B" else value for name, value in env.items()}
    ended = run([], **{"PORT": str(servers.free_port()), "JACFN_HOST": "127.0.0.1", **named})
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_store_that_is_away_keeps_nobody_from_starting(start: Start) -> None:
    away = f"mongodb://127.0.0.1:{servers.free_port()}/away?replicaSet=rs"
    with start("walker/list_notes", MONGODB_URI=away, JWT_SECRET=SECRET) as service:
        assert service.http.get("/healthz/live").status_code == 200
        answer = service.http.post("/")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
        assert service.http.get("/healthz/ready").status_code == 503
        assert service.http.get("/healthz/live").status_code == 200


def test_an_unknown_argument_shows_the_usage() -> None:
    ended = run(["nonsense"])
    assert (ended.returncode, "usage" in ended.stderr) == (2, True)

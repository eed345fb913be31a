"""The local target: routing, waking, sleeping, crashing, ending. Its services here are stubs; examples/ has real ones."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import servers

RUN = Path(__file__).with_name("run_target.py")


class Running:
    """A target under test: its process, its events as they come, and requests to it."""

    def __init__(self, endpoints: tuple[str, ...], window: float, env: dict[str, str], folder: Path) -> None:
        port = servers.free_port()
        asked = json.dumps({"port": port, "endpoints": endpoints, "window": window})
        self.url = f"http://127.0.0.1:{port}"
        self.events: list[dict[str, Any]] = []
        self._client = httpx.Client(timeout=30, trust_env=False, verify=False)
        self.process = subprocess.Popen(
            [sys.executable, str(RUN), asked], env={**os.environ, **env}, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def request(self, path: str, method: str = "POST", **more: Any) -> httpx.Response:
        return self._client.request(method, f"{self.url}{path}", **more)

    def seen(self, event: str, service: str = "", count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        """The events of this kind, as soon as there are `count` of them."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._reader.is_alive():
            found = [e for e in self.events if e["event"] == event and service in ("", e.get("service"))]
            if len(found) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"no {event} of {service or 'anybody'} in {self.events}")

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        code = self.process.wait(20)
        self._client.close()
        self._reader.join(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a target with these endpoints; ends it with the test, however the test ends."""
    started: list[Running] = []

    def start(*endpoints: str, window: float = 60, **env: str) -> Running:
        running = Running(endpoints, window, env, tmp_path)
        started.append(running)
        running.seen("Listening")
        return running

    yield start
    for running in started:
        running.end()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One target for tests that need nothing special; each of them has an endpoint of its own."""
    endpoints = (
        "walker/make",
        "function/sum",
        "walker/whole",
        "walker/first",
        "walker/held",
        "walker/fragile",
        "walker/broken",
        "walker/parent",
    )
    started = Running(endpoints, 60, {"STUB_FAILS": "walker/broken"}, tmp_path_factory.mktemp("target"))
    started.seen("Listening")
    yield started
    started.end()


Start = Callable[..., Running]


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and ") Z " not in state.read_text()


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_request_reaches_its_endpoint_by_path_or_by_host_and_everything_else_the_gateway(running: Running) -> None:
    assert running.request("/walker/make").json()["serves"] == "walker/make"
    assert running.request("/walker/make/0123").json()["serves"] == "walker/make"
    assert running.request("/function/sum").json()["serves"] == "function/sum"
    assert running.request("/", headers={"Host": "make.shop.localhost:8000"}).json()["serves"] == "walker/make"
    assert running.request("/login").json()["serves"] == "gateway"
    assert running.request("/walker/none").json()["serves"] == "gateway"
    forwarded = running.request("/.jacfn/walker/make/x//y").json()
    assert (forwarded["serves"], forwarded["path"]) == ("walker/make", "/x//y")
    assert running.request("/.jacfn/walker/none/x").json()["serves"] == "gateway"


def test_a_request_for_no_path_is_refused(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])), timeout=10) as asked:
        asked.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert asked.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_request_passes_whole_with_method_query_host_body_and_the_clients_address(running: Running) -> None:
    said = running.request("/walker/whole?a=%20b", "PUT", content=b"x" * 300_000, headers={"X-Forwarded-For": "10.0.0.9"}).json()
    assert said["method"] == "PUT"
    assert said["path"] == "/walker/whole?a=%20b"
    assert said["host"] == running.url.removeprefix("http://")
    assert said["size"] == 300_000
    assert said["for"] == ["10.0.0.9", "127.0.0.1"]


def test_an_endpoint_has_no_process_before_its_first_request_and_one_after(running: Running) -> None:
    assert not [event for event in running.events if event.get("service") == "walker/first"]
    first, second = running.request("/walker/first").json(), running.request("/walker/first").json()
    assert first["pid"] == second["pid"]
    cold, warm = running.seen("Called", "walker/first", count=2)
    assert (cold["cold"], warm["cold"]) == (True, False)
    assert cold["seconds"] > warm["seconds"] > 0
    assert len(running.seen("Woke", "walker/first")) == 1


def test_an_idle_endpoint_sleeps_wakes_again_and_the_gateway_never_sleeps(target: Start) -> None:
    running = target("walker/make", window=0.2)
    first = running.request("/walker/make").json()["pid"]
    running.seen("Slept", "walker/make")
    assert gone(first)
    assert running.request("/walker/make").json()["pid"] != first
    running.seen("Slept", "walker/make", count=2)
    assert running.request("/docs").json()["serves"] == "gateway"
    assert [event["service"] for event in running.seen("Woke", "gateway")] == ["gateway"]


def test_requests_that_come_during_a_wake_are_held_and_share_one_process(running: Running) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = [answer.json()["pid"] for answer in pool.map(lambda _: running.request("/walker/held"), range(20))]
    assert len(set(answers)) == 1


def test_a_process_with_a_request_in_flight_is_not_idle(target: Start) -> None:
    running = target("walker/make", window=0.05)
    assert running.request("/walker/make/slow").status_code == 200


def test_a_crash_is_reported_with_its_last_lines_and_answered_502_and_the_next_request_wakes_anew(running: Running) -> None:
    answer = running.request("/walker/fragile/crash")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "BAD_GATEWAY")
    assert answer.json()["meta"] == {"request_id": answer.headers["x-request-id"]}
    (crash,) = running.seen("Crashed", "walker/fragile")
    assert (crash["what"], crash["tail"]) == ("it ended with 3", ["about to crash"])
    assert running.request("/walker/fragile").status_code == 200


def test_a_process_takes_with_it_what_it_started(running: Running) -> None:
    """A worker that outlived its process would hold its output open: nobody would see the crash, and nothing wake anew."""
    assert running.request("/walker/parent/leave").status_code == 502
    (crash,) = running.seen("Crashed", "walker/parent")
    assert gone(int(crash["tail"][-1]))
    assert running.request("/walker/parent").status_code == 200


def test_an_answer_has_one_date_and_does_not_say_what_serves_it(running: Running) -> None:
    for path in ("/walker/make", "/walker/broken"):
        headers = running.request(path).headers
        assert len(headers.get_list("date")) == 1
        assert "uvicorn" not in headers.get_list("server")


def test_a_header_is_bounded_here_too(running: Running) -> None:
    port = int(running.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as asked:
        asked.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(20):
                asked.sendall(b"a" * 1_000_000)


def test_what_a_client_sends_in_a_path_does_not_reach_the_terminal(running: Running) -> None:
    before = len([event for event in running.events if event.get("service") == "walker/whole" and event["event"] == "Called"])
    running.request("/walker/whole/%1b%5b2J")
    called = running.seen("Called", "walker/whole", before + 1)  # it is told after the answer
    assert "/walker/whole/%1b%5b2J" in [event["path"] for event in called]


def test_an_endpoint_that_crashes_at_its_start_answers_503_with_retry_after_at_once(running: Running) -> None:
    answer = running.request("/walker/broken")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"]["message"] == "walker/broken cannot answer: it ended with 7 at its start"
    assert running.seen("Crashed", "walker/broken")[0]["tail"] == ["first line", "No module named nothing"]


def test_a_gateway_that_crashes_at_its_start_ends_the_target_with_the_reason(tmp_path: Path) -> None:
    asked = json.dumps({"port": servers.free_port(), "endpoints": [], "window": 1})
    env = {**os.environ, "STUB_FAILS": "gateway"}
    ended = subprocess.run([sys.executable, str(RUN), asked], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "it ended with 7 at its start\nfirst line\nNo module named nothing" in ended.stderr


def test_sigterm_lets_requests_finish_and_leaves_no_process(target: Start) -> None:
    running = target("walker/make")
    pids = [running.request(path).json()["pid"] for path in ("/walker/make", "/docs")]
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.request, "/walker/make/slow")
        time.sleep(0.1)
        assert running.end() == 0
        assert slow.result().status_code == 200
    assert not any(alive(pid) for pid in pids)


def test_no_process_outlives_an_activator_that_was_killed(target: Start) -> None:
    running = target("walker/make")
    pids = [running.request(path).json()["pid"] for path in ("/walker/make", "/docs")]
    running.process.send_signal(signal.SIGKILL)
    assert all(gone(pid) for pid in pids)

"""A function service starts sealed: it compiles nothing, writes nowhere but /tmp, and connects to its stores only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import servers
from jacfn_runtime.program.bundle import build_bundle

# Runs the real entry point under an audit hook (PEP 578) that notes what a sealed process must not do.
WATCHED = """
import json, os, runpy, sys
log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
busy = []
def note(*what):
    os.write(log, (json.dumps([str(part) for part in what]) + "\\n").encode())
def hook(event, args):
    if busy:
        return
    busy.append(1)
    try:
        if event == "compile" and isinstance(args[1], (str, bytes)) and str(args[1]).strip("b'").endswith((".py", ".jac")):
            note("compile", args[1])
        elif event == "open" and isinstance(args[0], str) and isinstance(args[2], int) and args[2] & WRITES:
            note("write", args[0])
        elif event == "socket.connect":
            note("connect", args[1])
        elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
            note("process", args[0])
    finally:
        busy.pop()
sys.addaudithook(hook)
sys.argv = ["jacfn_runtime"]
runpy.run_module("jacfn_runtime", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def notes(shop: Path, tmp_path: Path, mongodb: servers.Server, redis: servers.Server) -> list[list[str]]:
    """What a function service with both stores did from its start to its first answer."""
    build_bundle(shop, tmp_path / "bundle")
    port = servers.free_port()
    env = {
        "PATH": os.environ["PATH"],
        "AUDIT_LOG": str(tmp_path / "audit.log"),
        "PORT": str(port),
        "JACFN_SERVE": "walker/get_items",
        "JACFN_BUNDLE": str(tmp_path / "bundle"),
        "MONGODB_URI": mongodb.url.replace("/?", "/hygiene?"),
        "REDIS_URL": redis.url,
        "JWT_SECRET": "0123456789abcdef0123456789abcdef",
        "HOME": "/nonexistent",
    }
    # An image has its bytecode; a checkout that never ran has none yet: a first start, not watched, leaves it.
    answer_once([sys.executable, "-m", "jacfn_runtime"], env, port, tmp_path / "first.log")
    answer_once([sys.executable, "-c", WATCHED], env, port, tmp_path / "watched.log")
    allowed = {str(mongodb.port), str(redis.port)}
    lines: list[Any] = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    return [line for line in lines if not (line[0] == "connect" and any(port in line[1] for port in allowed))]


def answer_once(command: list[str], env: dict[str, str], port: int, log: Path) -> None:
    """Start a function service, have one request answered with 200, and end it."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, cwd="/", stdout=output, stderr=output)
    try:
        servers.wait_for_port(port, process)
        answer = httpx.post(f"http://127.0.0.1:{port}/walker/get_items", json={}, timeout=30)
        assert answer.status_code == 200, log.read_text()
    finally:
        process.terminate()
        process.wait(30)


def test_a_function_service_compiles_nothing_writes_nothing_and_talks_to_its_stores_only(notes: list[list[str]]) -> None:
    assert [line for line in notes if not (line[0] == "write" and line[1].startswith(("/tmp", "/dev/null")))] == []

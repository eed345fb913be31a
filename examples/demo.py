"""`make demo`: examples/shop on this machine as functions that sleep, wake and remember.

It deploys a copy of the shop with the local target (one process per endpoint, zero when idle, an embedded store), uses it as a
customer would, waits until every endpoint has gone 0 -> 1 -> 0, wakes one again to see that its data is still there, and ends
with exit 0. Any step that does not do what it should ends it with exit 1.
"""
# ruff: noqa: S310, T201  it prints, and the only address that it opens is its own

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

SHOP = Path(__file__).parent / "shop"
JAC = Path(sys.executable).with_name("jac")
ENDPOINTS = ("walker/create_item", "walker/get_items", "function/calculate_total", "function/admin_action")
WINDOW = "2s"  # idle time before an endpoint sleeps; short, because people watch
LIMIT = 110  # seconds for everything


class Shop:
    """The running program: what it says, and requests to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self._said: list[str] = []
        # Settings of the person who runs this are not the demo's: it is about the embedded default.
        env = {
            k: v
            for k, v in os.environ.items()
            if not re.match(r"JACFN_|K8s_|APP_NAME|MONGODB_|REDIS_|SHELF_|JWT_|JAC_PROFILE", k)
        }
        self.process = subprocess.Popen(
            [JAC, "start", "main.jac", "--scale", "--target", "local", "--port", str(port)],
            cwd=folder,
            env={**env, "JACFN_WINDOW": WINDOW, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            print(f"    {line}", end="", flush=True)
            self._said.append(line)

    def wait_for(self, text: str, seconds: float) -> None:
        """Return when a line with this text has been said."""
        deadline = time.monotonic() + seconds
        while not any(text in line for line in list(self._said)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The shop did not say {text!r} within {seconds} s.")
            time.sleep(0.02)

    def forget(self) -> None:
        """Wait for new lines only."""
        self._said.clear()

    def post(self, path: str, body: object, token: str = "") -> tuple[int, dict]:
        """The status and the JSON of the answer."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def say(text: str) -> None:
    print(f"\n==> {text}", flush=True)


def expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        sys.exit(f"{what}: expected {wanted!r}, found {found!r}")
    print(f"    {what}: {found}", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def names(answer: dict) -> list[str]:
    """The names of the items in an answer of get_items."""
    found = re.findall(r'"name": "([^"]*)"', json.dumps(answer["data"]["reports"]))
    return sorted(found)


def visit(shop: Shop) -> None:
    """What a customer does."""
    say("register and log in")
    customer = {"username": "ada", "password": secrets.token_urlsafe(16)}
    status, _ = shop.post("/register", customer)
    expect("POST /register", status, 201)
    status, answer = shop.post("/login", customer)
    expect("POST /login", status, 200)
    token = answer["data"]["token"]

    say("call every endpoint: the first call of each wakes its process")
    for name, price in (("Widget", 9.99), ("Gadget", 24.5)):
        expect(f"create_item {name}", shop.post("/walker/create_item", {"name": name, "price": price}, token)[0], 200)
    expect("create_item without a token", shop.post("/walker/create_item", {"name": "Widget", "price": 9.99})[0], 401)
    expect("get_items", names(shop.post("/walker/get_items", {}, token)[1]), ["Gadget", "Widget"])
    expect("get_items of somebody else", names(shop.post("/walker/get_items", {})[1]), [])
    total = shop.post("/function/calculate_total", {"items": [10.0, 20.0, 30.0]}, token)[1]
    expect("calculate_total", total["data"]["result"], 60.0)
    expect("admin_action", shop.post("/function/admin_action", {}, token)[1]["data"]["result"], "admin only")

    say(f"wait {WINDOW} without a call: every process ends")
    for endpoint in ENDPOINTS:
        shop.wait_for(f"{endpoint}  1 -> 0", 20)

    say("call again: it wakes, and the items are still there")
    shop.forget()
    expect("get_items", names(shop.post("/walker/get_items", {}, token)[1]), ["Gadget", "Widget"])
    shop.wait_for("walker/get_items  1 -> 0", 20)


def main() -> None:
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"The demo takes longer than {LIMIT} s."))
    signal.alarm(LIMIT)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jacfn-demo-") as folder:
        copy = Path(shutil.copytree(SHOP, Path(folder) / "shop", ignore=shutil.ignore_patterns(".jac")))
        say("jac start main.jac --scale --target local")
        shop = Shop(copy, free_port())
        try:
            shop.wait_for("Ctrl+C", 60)
            visit(shop)
            say("stop: what was measured")
        finally:
            shop.process.terminate()
            code = shop.process.wait(20)
        expect("exit code", code, 0)
    say(f"done in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

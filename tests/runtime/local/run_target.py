"""Runs a local target whose services are stubs, and prints its events as JSON lines. Argument: what `Target` needs, as JSON."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path

from jacfn_runtime.local.events import Event
from jacfn_runtime.local.process import StartFailed
from jacfn_runtime.local.serve import Target, serve


def report(event: Event) -> None:
    print(json.dumps({"event": type(event).__name__, **asdict(event)}), flush=True)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    listener = socket.socket()
    listener.bind(("127.0.0.1", asked["port"]))
    target = Target(
        endpoints=tuple(asked["endpoints"]),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        by_host={"make.shop.localhost": "walker/make"},
        folder=Path.cwd(),
        window=asked["window"],
        module="stub_service",
    )
    try:
        serve(target, listener, report)
    except StartFailed as error:
        sys.exit(f"{error.what}\n{error.evidence}")

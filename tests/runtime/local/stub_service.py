"""A process that keeps the environment contract and needs no Jac: it answers what it was asked, or dies when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.endswith("/crash"):
            print("about to crash", flush=True)
            os._exit(3)
        if self.path.endswith("/leave"):
            print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
            os._exit(3)
        if self.path.endswith("/slow"):
            time.sleep(0.3)
        said = {
            "serves": os.environ["JACFN_SERVE"],
            "pid": os.getpid(),
            "method": self.command,
            "path": self.path,
            "host": self.headers["host"],
            "for": self.headers.get_all("x-forwarded-for"),
            "size": len(body),
        }
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    if os.environ["JACFN_SERVE"] == os.environ.get("STUB_FAILS"):
        print("first line\nNo module named nothing", file=sys.stderr)
        sys.exit(7)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer((os.environ["JACFN_HOST"], int(os.environ["PORT"])), Handler).serve_forever()

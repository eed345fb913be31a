"""The part of a Kubernetes API server that a plan and a destroy ask: lists, rights, dry runs, deletes. Objects are in memory.

For what the command line says and asks; a real cluster is what tests/e2e uses.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

GROUPS: dict[str, Any] = {
    "/version": {"gitVersion": "v1.36.3"},
    "/apis/serving.knative.dev": {"versions": [{"version": "v1"}]},
    "/apis/autoscaling": {"versions": [{"version": "v2"}]},
    "/apis/metrics.k8s.io": {"versions": [{"version": "v1beta1"}]},
    "/api/v1/nodes": {"items": [{"status": {"nodeInfo": {"operatingSystem": "linux", "architecture": "amd64"}}}]},
}


class ApiServer(BaseHTTPRequestHandler):
    """`objects` maps a list's path to its items; `writes` has every request that would have changed something."""

    objects: ClassVar[dict[str, list[dict[str, Any]]]] = {}
    writes: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in GROUPS:
            return self._answer(200, GROUPS[path])
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            return self._answer(200, {"metadata": {"name": path.rpartition("/")[2], "labels": {}}})
        parts = path.strip("/").split("/")
        if len(parts) == (5 if parts[0] == "api" else 6):  # (apis, group | api), version, namespaces, name, kinds
            return self._answer(200, {"items": self.objects.get(path, [])})
        folder, _, name = path.rpartition("/")
        found = [item for item in self.objects.get(folder, []) if item["metadata"]["name"] == name]
        return self._answer(200, found[0]) if found else self._answer(404, {"message": "not found"})

    def do_POST(self) -> None:
        body = self._body()
        if "selfsubjectaccessreviews" in self.path:
            return self._answer(201, {"status": {"allowed": True}})
        self.writes.append(f"POST {self.path}")
        return self._answer(201, body)

    def do_PATCH(self) -> None:
        body = self._body()
        if "dryRun=All" not in self.path:
            self.writes.append(f"PATCH {self.path}")
        self._answer(200, body)

    def do_DELETE(self) -> None:
        self._body()
        path = self.path.partition("?")[0]
        self.writes.append(f"DELETE {path}")
        folder, _, name = path.rpartition("/")
        self.objects[folder] = [item for item in self.objects.get(folder, []) if item["metadata"]["name"] != name]
        self._answer(200, {})

    def _body(self) -> Any:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        return json.loads(data) if data else {}

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def api_server(folder: Path, objects: dict[str, list[dict[str, Any]]]) -> Iterator[type[ApiServer]]:
    """Serve these objects on loopback; `folder / "kubeconfig"` leads there, as context `desk`."""
    handler = type("Handler", (ApiServer,), {"objects": objects, "writes": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    (folder / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "desk",
                "contexts": [{"name": "desk", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)

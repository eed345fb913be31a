"""One request through every URL of a deploy: it runs no user code and says which endpoints of which bundle answer there."""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# After `Ready` an ingress may still be programming its routes, and the old revision's pods answer until traffic has moved.
PATIENCE_SECONDS = 60.0
REQUEST_SECONDS = 60.0  # a request may have to wake a pod, and fifty that wake at once take half a minute on two cores
PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Checked:
    """What one URL said. `ok` None: it could not be asked from here, which says nothing about the service."""

    ok: bool | None
    note: str = ""


def check(url: str, app: str, bundle: str, serves: str, ingress: str = "", patience: float = PATIENCE_SECONDS) -> Checked:
    """Ask `/healthz/live` behind a URL until it answers as this app, this bundle and this endpoint (`gateway`, `all`).

    The host is resolved as everybody would; where it cannot be, the request goes to `ingress` (`host:port`) with the URL's host
    in its Host header.
    """
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    way: tuple[str, int] | None = (host, port) if _resolves(host) else _address(ingress)
    if way is None:
        return Checked(None, f"{host} does not resolve here: set ingress_address to ask the cluster's ingress directly")
    secure = parts.scheme == "https" and way[0] == host
    deadline = time.monotonic() + patience
    while True:
        wrong, answered = _ask(way, secure, str(parts.netloc), app, bundle, serves)
        if not wrong:
            return Checked(True)
        if time.monotonic() > deadline:
            return Checked(False if answered or ingress else None, wrong)
        time.sleep(PAUSE_SECONDS)


def _ask(way: tuple[str, int], secure: bool, host: str, app: str, bundle: str, serves: str) -> tuple[str, bool]:
    """What is wrong with one answer ("" for nothing), and whether there was one at all."""
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(*way, timeout=REQUEST_SECONDS)
    try:
        connection.request("GET", "/healthz/live", headers={"Host": host, "User-Agent": "jacfn-deploy"})
        response = connection.getresponse()
        body = response.read(65536)
    except (OSError, http.client.HTTPException) as error:
        return f"{way[0]}:{way[1]}: {error}", False
    finally:
        connection.close()
    if response.status != 200:
        return f"HTTP {response.status}: {body[:200].decode(errors='replace').strip()}", True
    try:
        said: dict[str, Any] = json.loads(body)
        found = (said["app"], said["bundle"], serves in said["serves"])
    except (ValueError, KeyError, TypeError):
        return f"something else answers there: {body[:200].decode(errors='replace')!r}", True
    if found == (app, bundle, True):
        return "", True
    return f"it answers as {found[0]}, bundle {str(found[1])[:12]}, {said['serves']}", True


def reachable(host: str, port: int) -> bool:
    """Whether anybody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _address(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    parts = urlsplit(text if "//" in text else f"//{text}")
    return str(parts.hostname), parts.port or 80

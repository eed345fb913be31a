"""Which service a request is for: by path, else by host name. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote_to_bytes

GATEWAY = "gateway"
DIRECT = "/.jacfn/"
"""Below it lies each endpoint under its id, and never the gateway: what the gateway forwards cannot come back to it."""


def hosts(app: str, endpoints: Iterable[str]) -> dict[str, str]:
    """Endpoint id -> `create-item.shop.localhost`, injective; browsers and curl resolve `*.localhost` to this machine.

    Names that differ only in case, underscores or kind get six digits of a hash of their id.
    """
    labels = {endpoint: _label(endpoint.partition("/")[2]) for endpoint in endpoints}
    shared = Counter(labels.values())
    return {
        endpoint: f"{label if shared[label] == 1 else f'{label}-{_mark(endpoint)}'}.{_label(app)}.localhost"
        for endpoint, label in labels.items()
    }


def service_of(path: str, host: str, endpoints: Iterable[str], by_host: Mapping[str, str]) -> str:
    """The endpoint id that a request is for, or the gateway. `by_host` maps host names, without port, to endpoint ids."""
    parts = path.split("/", 3)
    if len(parts) > 2 and (endpoint := f"{parts[1]}/{parts[2]}") in endpoints:
        return endpoint
    return by_host.get(host.partition(":")[0].lower(), GATEWAY)


def direct_url(base: str, endpoint: str) -> str:
    """Where the gateway reaches an endpoint."""
    return f"{base}{DIRECT}{quote(endpoint)}"


def direct(raw_path: bytes) -> tuple[str, bytes]:
    """The endpoint id of a path below DIRECT and the path that its process is asked for; an empty id for other paths."""
    if not raw_path.startswith(DIRECT.encode()):
        return "", raw_path
    kind, name, rest = ([*raw_path.removeprefix(DIRECT.encode()).split(b"/", 2), b"", b""])[:3]
    return unquote_to_bytes(kind + b"/" + name).decode("utf-8", "replace"), b"/" + rest


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50] or "x"  # 63 less the mark, with room


def _mark(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()[:6]

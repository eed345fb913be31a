"""Which service a request is for: by path, else by host name. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

GATEWAY = "gateway"


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


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50] or "x"  # 63 less the mark, with room


def _mark(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()[:6]

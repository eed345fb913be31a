"""Sends a request on to another server and brings its answer back: gateway to function services, activator to processes.

What goes along is a list of what may, not of what may not: Knative acts on headers such as K-Original-Host, and a hop's own
headers are nobody else's business. Nothing is sent twice unless it surely did not arrive: walkers write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacfn_runtime.errors import JacfnError

if TYPE_CHECKING:
    import httpx

FORWARDED = (
    "authorization",
    "content-type",
    "accept",
    "user-agent",
    "idempotency-key",
    "x-request-id",
    "traceparent",
    "tracestate",
)
HOP_BY_HOP = {  # RFC 9110 section 7.6.1, and what this server writes afresh
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "date",
    "server",
}
ANSWER_SECONDS = (
    600.0  # Knative's longest timeoutSeconds by default (facts/knative.md B.3): who sleeps is awake by then, or never
)
CONNECT_SECONDS = 5.0  # the activator accepts at once, also for a service that sleeps
IDLE_SECONDS = 30.0  # shorter than any peer keeps an idle connection: queue-proxy, activator and ours wait longer
PAUSE_SECONDS = 0.2  # before the second and last try of a connection that was not made
CONNECTIONS = 1000  # at once, over all services; a request beyond that waits CONNECT_SECONDS for one


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came in. `target` is path and query, percent-encoded as on the wire; header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    client: str = ""
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came back, without hop-by-hop headers; the body is still encoded as its Content-Encoding says."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first header of this (lower-case) name, or an empty string."""
        return next((value for key, value in self.headers if key == name), "")


class ForwardError(JacfnError):
    """A request could not be sent on; `delivered` tells whether it may have arrived."""

    delivered = False


class Unreachable(ForwardError):
    """No connection: the request did not arrive, and may be sent again."""


class Broken(ForwardError):
    """The connection broke before an answer was complete: the request may have been carried out."""

    delivered = True


class Silent(ForwardError):
    """No answer in time: the request may have been carried out."""

    delivered = True


class Forwarder:
    """Keeps connections to the servers behind it. One per process; used on one event loop."""

    def __init__(self, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._timeout = {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS, "read": answer_seconds, "write": answer_seconds}
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def send(self, base_url: str, request: Incoming, host: str | None = None) -> Answer:
        """The answer of the server at `base_url` (scheme, host, port and perhaps a prefix) to `request`, whatever its status.

        `host` is sent as Host instead of the URL's own. Raises Unreachable, Broken or Silent.
        """
        import httpx

        url = httpx.URL(base_url)
        url = url.copy_with(raw_path=url.raw_path.rstrip(b"/") + request.target.encode("latin-1"))
        headers = outgoing_headers(request, host)
        try:
            return await self._once(request, url, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            await asyncio.sleep(PAUSE_SECONDS)
        try:
            return await self._once(request, url, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{base_url} cannot be reached", evidence=_reason(error)) from error

    async def _once(self, request: Incoming, url: httpx.URL, headers: Mapping[str, str]) -> Answer:
        import httpx

        outgoing = httpx.Request(
            request.method, url, headers=headers, content=request.body, extensions={"timeout": self._timeout}
        )
        try:
            response = await self._connected().handle_async_request(outgoing)
            try:
                body = b"".join([chunk async for chunk in response.aiter_raw()])
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except httpx.PoolTimeout as error:
            raise Unreachable("Too many requests are on their way already", evidence=_reason(error)) from error
        except httpx.TimeoutException as error:
            raise Silent(f"{url.host} did not answer in time", evidence=_reason(error)) from error
        except httpx.HTTPError as error:
            raise Broken(f"The connection to {url.host} broke", evidence=_reason(error)) from error
        kept = tuple((name, value) for name, value in response.headers.multi_items() if name not in HOP_BY_HOP)
        return Answer(response.status_code, kept, body)

    def _connected(self) -> httpx.AsyncHTTPTransport:
        """The connections. Not a client: that would keep one caller's cookies and send them with the next one's request."""
        import httpx

        if self._transport is None:
            limits = httpx.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS
            )
            # trust_env would let the environment's SSL_CERT_FILE and proxies decide about the cluster's own traffic.
            self._transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        return self._transport

    async def close(self) -> None:
        """Close all connections."""
        if self._transport is not None:
            await self._transport.aclose()


def outgoing_headers(request: Incoming, host: str | None = None) -> dict[str, str]:
    """The headers that go along: those of FORWARDED that came in, and where the request comes from. Pure."""
    came = request.headers
    headers = {name: came[name] for name in FORWARDED if name in came}
    headers["accept-encoding"] = came.get("accept-encoding", "identity")  # httpx would ask for what the caller cannot read
    chain = [part for part in (came.get("x-forwarded-for", ""), request.client) if part]
    if chain:
        headers["x-forwarded-for"] = ", ".join(chain)
    headers["x-forwarded-proto"] = came.get("x-forwarded-proto", request.scheme)
    origin = came.get("x-forwarded-host", came.get("host", ""))
    if origin:
        headers["x-forwarded-host"] = origin
    if host:
        headers["host"] = host
    return headers


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")

"""One request passed on to a process on loopback, and its answer passed back, piece by piece. What queue-proxy does in a pod."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from jacfn_runtime.errors import JacfnError
from jacfn_runtime.http.forward import Broken, Silent, Unreachable

if TYPE_CHECKING:
    import httpx

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = (  # RFC 9110 section 7.6.1, and what this server writes afresh
    *(b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"proxy-connection", b"transfer-encoding"),
    b"date",
)
REQUEST_SECONDS = 300.0  # Knative's default timeoutSeconds
CONNECT_SECONDS = 5.0  # the process listens already
IDLE_SECONDS = 1.0  # shorter than any window, so that no connection of a stopped process is used again


class ClientGone(JacfnError):
    """The client left while its request was still arriving."""


class Forwarder:
    """Keeps connections to all processes. One for the life of the activator."""

    def __init__(self) -> None:
        import httpx

        # Not a client, which would keep one caller's cookies and follow redirects; no proxy of the environment for loopback.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS)
        self._transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def forward(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, port: int) -> int:
        """Pass an ASGI request to the process on this port and its answer to `send`. The status of the answer.

        Raises Unreachable, Broken or Silent if no answer begins, ClientGone if the client leaves.
        """
        import httpx

        try:
            response = await self._transport.handle_async_request(_request(scope, receive, port))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable("it cannot be reached", evidence=str(error)) from error
        except httpx.TimeoutException as error:
            raise Silent(f"it did not answer within {REQUEST_SECONDS:.0f} s", evidence=str(error)) from error
        except httpx.TransportError as error:
            raise Broken("it broke off before it answered", evidence=str(error)) from error
        try:
            headers = _passed_on(response.headers.raw)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()
        return response.status_code

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


def _request(scope: MutableMapping[str, Any], receive: Receive, port: int) -> httpx.Request:
    import httpx

    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    return httpx.Request(
        scope["method"],
        httpx.URL(f"http://127.0.0.1:{port}").copy_with(raw_path=scope["raw_path"] + query),
        headers=_passed_on(scope["headers"]) + _forwarded(scope),
        content=_body(receive) if _has_body(scope["headers"]) else None,
        extensions={"timeout": {"connect": CONNECT_SECONDS, "read": REQUEST_SECONDS, "write": REQUEST_SECONDS, "pool": None}},
    )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("The client left")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _forwarded(scope: MutableMapping[str, Any]) -> Headers:
    """What a platform says about the client; a client's own claims are kept before it, as Knative does (facts/knative-1.15 8)."""
    client_host = (scope.get("client") or ("127.0.0.1", 0))[0]
    return [(b"x-forwarded-for", client_host.encode()), (b"x-forwarded-proto", b"http")]

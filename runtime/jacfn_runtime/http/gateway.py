"""The gateway's side of an endpoint: the request goes on to its function service, the answer comes back as it is.

Tokens and arguments are checked there, not here: one place decides, whichever way a request comes.
"""

from __future__ import annotations

import asyncio

import falcon.asgi

from jacfn_runtime.http import body
from jacfn_runtime.http.errors import CUT_OFF, ApiError, unavailable
from jacfn_runtime.http.forward import Answer, Broken, Forwarder, Incoming, Silent, Unreachable

RETRY_SECONDS = 2
SHOWN = 200  # bytes of an answer that is not ours, for the log


class ForwardedEndpoint:
    """Answers POST with what the function service answers. `label` names it in metrics and log lines."""

    def __init__(self, endpoint_id: str, base_url: str, forwarder: Forwarder, limit: int) -> None:
        self.label = endpoint_id
        self._base_url = base_url
        self._forwarder = forwarder
        self._limit = limit

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, node: str = "") -> None:
        """Forward it. Raises ApiError 503 if it did not arrive, 502 or 504 if nobody knows whether it did."""
        sent = await body.read(req, self._limit)
        if not self._base_url:
            raise unavailable(f"{self.label} has no service", RETRY_SECONDS, "JACFN_ROUTES does not name it")
        answer = await self._sent(incoming(req, sent))
        if answer.status >= 400 and not answer.header("content-type").startswith(falcon.MEDIA_JSON):
            raise self._not_ours(answer)
        resp.status = answer.status
        resp.data = answer.body
        for name, value in answer.headers:
            if name == "vary":
                resp.append_header(name, value)
            elif name != "set-cookie":  # no program sets one: it is an ingress's, and for this gateway
                resp.set_header(name, value)

    async def _sent(self, request: Incoming) -> Answer:
        try:
            return await self._forwarder.send(self._base_url, request)
        except Unreachable as error:
            raise unavailable(f"{self.label} cannot be reached", RETRY_SECONDS, str(error)) from error
        except Silent as error:
            raise ApiError(504, f"{self.label} did not answer in time", reason=str(error)) from error
        except asyncio.CancelledError:
            raise ApiError(500, CUT_OFF) from None
        except Broken as error:
            raise ApiError(502, f"The connection to {self.label} broke", reason=str(error)) from error

    def _not_ours(self, answer: Answer) -> ApiError:
        """An error that the service did not write itself: something on the way to it did, in its own words."""
        reason = f"{answer.status}: {answer.body[:SHOWN].decode('utf-8', 'replace')}"
        if answer.status == 504:
            return ApiError(504, f"{self.label} did not answer in time", reason=reason)
        if answer.status in (500, 502):  # a server that failed on its own may have begun
            return ApiError(502, f"The connection to {self.label} broke", reason=reason)
        return unavailable(f"{self.label} is not there now", RETRY_SECONDS, reason)


def incoming(req: falcon.asgi.Request, sent: bytes) -> Incoming:
    """The request in the forwarder's words, with the request id that it has here."""
    query = req.scope["query_string"].decode("latin-1")
    target = req.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    headers = {**req.headers_lower, "x-request-id": req.context.request_id}
    return Incoming(req.method, target, headers, sent, req.remote_addr or "", req.scheme)

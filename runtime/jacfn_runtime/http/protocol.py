"""uvicorn's HTTP protocol, with a bound on the header and the trailer, and our envelope for what is no HTTP.

httptools collects header lines for as long as they keep coming, after the last chunk of a body too; proxies in front bound that,
but a port of a laptop has none.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from jacfn_runtime.http.envelope import failure
from jacfn_runtime.http.errors import CODES
from jacfn_runtime.http.front import new_id

HEADER_LIMIT = 64 * 1024  # bytes of request line and headers, as Python's http.server has it; cookies and tokens take a few KiB


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_header = True
        self._around_body = 0  # bytes since the last that began a header, ended one or belonged to a body

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._around_body += len(data)
        super().data_received(data)
        if self._around_body > HEADER_LIMIT and not self.transport.is_closing():
            if self._in_header:
                self._refuse(431, f"The header is larger than {HEADER_LIMIT} bytes")
            else:  # an endless trailer, or its like: the request has begun, and may have its answer already
                self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_header = True
        self._around_body = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The header is whole. What uvicorn adds to its list from here on is the trailer, which says nothing about the caller."""
        self._in_header = False
        self._around_body = 0
        super().on_headers_complete()
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._around_body = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP."""
        self._refuse(400, "This is not a valid HTTP request")

    def _refuse(self, status: int, what: str) -> None:
        request_id = new_id()
        body = failure(CODES[status], what, request_id)
        lines = [
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"x-content-type-options: nosniff\r\n",
            f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n".encode(),
            b"connection: close\r\n\r\n",
            body,
        ]
        self.transport.write(b"".join(lines))
        self.transport.close()

"""A small HTTP client for load: one kept connection each, JSON in and out, nothing that takes the machine from the servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What the clients of one load met, together."""

    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def conflicts(self) -> float:
        """The share of answers that were 409."""
        return self.statuses[409] / max(1, self.statuses.total())

    @property
    def server_errors(self) -> int:
        """How many answers said that a server failed."""
        return sum(count for status, count in self.statuses.items() if status >= 500)


class Client:
    """Sends to one server; a connection that ends is opened again."""

    def __init__(self, port: int, tally: Tally) -> None:
        self.port = port
        self._tally = tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, **body: Any) -> tuple[int, list[Any]]:
        """Status and reports. Raises OSError or asyncio.IncompleteReadError when the server goes away in the middle."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        try:
            content = json.dumps(body).encode()
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
            answer = json.loads(await reader.readexactly(length))
        except BaseException:
            await self.close()
            raise
        status = int(lines[0].split()[1])
        self._tally.statuses[status] += 1
        return status, (answer["data"] or {}).get("reports", []) if status == 200 else []

    async def until_acknowledged(self, path: str, **body: Any) -> list[Any]:
        """The reports of the first answer that is not 409. Raises AssertionError for any other status than 200."""
        while True:
            status, reports = await self.post(path, **body)
            if status == 200:
                return reports
            assert status == 409, f"{path} answered {status}"
            await asyncio.sleep(0.05)  # what Retry-After would say is a second; a test has less patience

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

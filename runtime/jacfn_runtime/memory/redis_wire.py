"""The Redis protocol (RESP2), as much of it as running scripts takes.

redis-py is what one would expect here, and the gateway uses it. Importing it costs 385 ms of CPU where falcon and uvicorn
together cost 130 (redis 8.1, measured beside each other), and a function service has to be awake in about the time that those
two need.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from jacfn_runtime.memory.errors import StoreRefused

IDLE_CONNECTIONS = 8  # kept open for the next request

Reply = Any  # bytes, int, None, RedisError, or a list of these


class RedisUnreachable(Exception):
    """No answer within the time, or no connection."""


class RedisError(Exception):
    """Redis answered, with an error."""


class Script:
    """A Lua script and the name that Redis knows it by."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode()).hexdigest()  # noqa: S324  Redis names scripts so; nothing is guarded by it


class Wire:
    """Connections to one Redis. Thread-safe; connects when it is first used."""

    def __init__(self, url: str, seconds: float) -> None:
        """`seconds`: how long to wait for a connection, and for each answer. Raises StoreRefused if the URL is none."""
        parts = urlsplit(url)
        try:
            self._address = (parts.hostname or "", parts.port or 6379)
            self._database = int(parts.path.strip("/") or 0)
        except ValueError:
            self._address = ("", 0)
        if parts.scheme not in ("redis", "rediss") or not self._address[0]:
            raise StoreRefused(  # without the URL: it may hold a password
                "REDIS_URL is not an address of a Redis",
                next_step="Use redis://[user:password@]host[:port][/database], or rediss:// for TLS.",
            )
        self._tls = parts.scheme == "rediss"
        self._login = [unquote(each) for each in (parts.username, parts.password) if each]
        self._seconds = seconds
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self.round_trips = 0

    def run(self, calls: Sequence[tuple[Script, Sequence[str | bytes | int]]]) -> list[Reply]:
        """Run scripts, one behind the other, in one round trip: each with its one key and its arguments.

        Errors of single scripts are among the replies. Raises RedisUnreachable. A script may run twice if the connection breaks.
        """
        commands = [("EVALSHA", script.sha, 1, *arguments) for script, arguments in calls]
        replies = self._exchange(commands)
        missing = [n for n, reply in enumerate(replies) if isinstance(reply, RedisError) and str(reply).startswith("NOSCRIPT")]
        if missing:  # a Redis that was started since it learned them
            again = [("EVAL", calls[n][0].source, 1, *calls[n][1]) for n in missing]
            for n, reply in zip(missing, self._exchange(again), strict=True):
                replies[n] = reply
        return replies

    def ping(self) -> None:
        """Raises RedisUnreachable or RedisError unless Redis answers."""
        (reply,) = self._exchange([("PING",)])
        if isinstance(reply, RedisError):
            raise reply

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, commands: Sequence[Sequence[str | bytes | int]]) -> list[Reply]:
        self.round_trips += 1
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            with contextlib.suppress(EOFError, ConnectionError):  # it was closed while it lay idle: a restart, a limit
                return self._over(connection, commands)
            self.close()  # then so were the others
        try:
            return self._over(self._connect(), commands)
        except (OSError, EOFError) as error:
            raise RedisUnreachable(f"{type(error).__name__}: {error}") from error

    def _over(self, connection: _Connection, commands: Sequence[Sequence[str | bytes | int]]) -> list[Reply]:
        try:
            replies = connection.exchange(commands)
        except TimeoutError as error:
            connection.close()
            raise RedisUnreachable(f"no answer within {self._seconds} s") from error
        except BaseException:
            connection.close()  # half an answer may still be on its way
            raise
        with self._lock:
            if len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return replies
        connection.close()
        return replies

    def _connect(self) -> _Connection:
        try:
            raw = socket.create_connection(self._address, timeout=self._seconds)
        except TimeoutError as error:
            raise RedisUnreachable(f"no connection within {self._seconds} s") from error
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            import ssl

            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=self._address[0])
        connection = _Connection(raw)
        hello: list[Sequence[str | int]] = [("AUTH", *self._login)] if self._login else []
        if self._database:
            hello.append(("SELECT", self._database))
        if hello:
            for reply in self._greet(connection, hello):
                if isinstance(reply, RedisError):
                    connection.close()
                    raise RedisUnreachable(str(reply))
        return connection

    def _greet(self, connection: _Connection, hello: Sequence[Sequence[str | int]]) -> list[Reply]:
        try:
            return connection.exchange(hello)
        except BaseException:
            connection.close()
            raise


class _Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._answers = raw.makefile("rb", buffering=65536)

    def exchange(self, commands: Sequence[Sequence[str | bytes | int]]) -> list[Reply]:
        """Send all, then read as many replies. Raises OSError or EOFError; then the connection is good for nothing."""
        self._raw.sendall(b"".join(part for command in commands for part in _encoded(command)))
        return [self._reply() for _ in commands]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._answers.close()
        with contextlib.suppress(OSError):
            self._raw.close()

    def _reply(self) -> Reply:
        line = self._answers.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._exactly(length)
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        if kind == b"-":
            return RedisError(rest.decode(errors="replace"))
        return bytes(rest)

    def _exactly(self, length: int) -> bytes:
        data: bytes = self._answers.read(length + 2)
        if len(data) < length + 2:
            raise EOFError("Redis closed the connection")
        return data[:-2]


def _encoded(command: Sequence[str | bytes | int]) -> Iterator[bytes]:
    yield b"*%d\r\n" % len(command)
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode()
        yield b"$%d\r\n%b\r\n" % (len(data), data)

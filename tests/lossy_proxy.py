"""A TCP proxy that can lose answers: what a network does at the worst moment, between a real driver and a real server."""

from __future__ import annotations

import contextlib
import socket
import threading


class LossyProxy:
    """Forwards to 127.0.0.1:`port`. After `lose(word)`, the next request that holds this word is delivered, its answer never."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._word: bytes | None = None
        self._before = False
        self._lost = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, word: bytes, *, before: bool = False) -> None:
        """`before`: the request is lost as well."""
        self._lost.clear()
        self._before = before
        self._word = word

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                drop = threading.Event()
                threading.Thread(target=self._requests, args=(client, server, drop), daemon=True).start()
                threading.Thread(target=self._answers, args=(client, server, drop), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, drop: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                if self._word is not None and self._word in data:
                    self._word = None
                    self._lost.set()
                    if self._before:
                        break
                    drop.set()
                server.sendall(data)
        _end(client, server) if not drop.is_set() else None

    def _answers(self, client: socket.socket, server: socket.socket, drop: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                if drop.is_set():
                    break
                client.sendall(data)
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()

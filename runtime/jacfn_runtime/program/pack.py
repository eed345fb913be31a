"""`code.bin`: many modules' code in one file, with an index, so that each is loaded when it is imported and none before.

    8 bytes   magic
    4 bytes   length of the index, big-endian
    index     marshalled dict: module name -> (offset, size, is_package, file); size 0: a namespace package
    blobs     one marshalled code object each

Imports nothing but the interpreter's own modules: it runs before anything else of a function service does.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from types import CodeType
from typing import NamedTuple

MAGIC = b"JACFN\x00\x00\x01"
_HEADER = len(MAGIC) + 4


class Packed(NamedTuple):
    """One module on its way into `code.bin`; `file` is relative to the bundle's folder."""

    code: CodeType | None
    is_package: bool
    file: str


class Entry(NamedTuple):
    """One line of the index."""

    offset: int
    size: int
    is_package: bool
    file: str


class Pack:
    """An opened `code.bin`. Raises ValueError if the data is none."""

    def __init__(self, data: bytes) -> None:
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError("not a code.bin of this format")
        length = int.from_bytes(data[len(MAGIC) : _HEADER], "big")
        self._data = memoryview(data)
        self._blobs = _HEADER + length
        self.index: dict[str, tuple[int, int, bool, str]] = marshal.loads(self._data[_HEADER : self._blobs])  # noqa: S302  our own file

    def __contains__(self, name: str) -> bool:
        return name in self.index

    def entry(self, name: str) -> Entry:
        """The index line of a module. Raises KeyError."""
        return Entry(*self.index[name])

    def code(self, name: str) -> CodeType | None:
        """The module's code; None for a namespace package. Raises KeyError."""
        offset, size, _, _ = self.index[name]
        if not size:
            return None
        start = self._blobs + offset
        code: CodeType = marshal.loads(self._data[start : start + size])  # noqa: S302  our own file
        return code


def write(modules: Mapping[str, Packed]) -> bytes:
    """The bytes of a `code.bin`: the same modules give the same bytes."""
    index: dict[str, tuple[int, int, bool, str]] = {}
    blobs: list[bytes] = []
    offset = 0
    for name in sorted(modules):
        code, is_package, file = modules[name]
        blob = b"" if code is None else canonical(code)
        index[name] = (offset, len(blob), is_package, file)
        blobs.append(blob)
        offset += len(blob)
    head = marshal.dumps(index, 2)
    return b"".join([MAGIC, len(head).to_bytes(4, "big"), head, *blobs])


def canonical(code: CodeType) -> bytes:
    """A code object as bytes that depend on nothing else.

    Newer marshal formats share an object that occurs twice, judged by its reference count, and that depends on what else the
    process has loaded. Format 2 shares nothing.
    """
    return marshal.dumps(code, 2)

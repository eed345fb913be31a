"""`code.bin`: many modules' code in one file, with an index, so that each is loaded when it is imported and none before.

    8 bytes   magic
    4 bytes   length of the index, big-endian
    index     marshalled dict: module name -> (offset, size, is_package, file); size 0: a namespace package
    blobs     one marshalled code object each; that of SNIPPETS: a dict of source -> code

Imports nothing but the interpreter's own modules: it runs before anything else of a function service does.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any, NamedTuple, cast

SNIPPETS = ""
"""The index's name of code that is no module: what `dataclasses` would compile while the program is loaded."""
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
        if data[: len(MAGIC)] != MAGIC or len(data) < _HEADER:
            raise ValueError("not a code.bin of this format")
        length = int.from_bytes(data[len(MAGIC) : _HEADER], "big")
        self._data = memoryview(data)
        self._blobs = _HEADER + length
        self.index: dict[str, tuple[int, int, bool, str]] = marshal.loads(self._data[_HEADER : self._blobs])  # noqa: S302  our own file
        if len(data) != self._blobs + sum(size for _, size, _, _ in self.index.values()):
            raise ValueError("cut short, or put together from different files")

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
        return cast(CodeType, self._load(offset, size))

    def snippets(self) -> dict[str, CodeType]:
        """Source -> code of what is compiled at run time otherwise."""
        offset, size, _, _ = self.index[SNIPPETS]
        return cast("dict[str, CodeType]", self._load(offset, size))

    def _load(self, offset: int, size: int) -> Any:
        start = self._blobs + offset
        return marshal.loads(self._data[start : start + size])  # noqa: S302  our own file


def write(modules: Mapping[str, Packed], snippets: Iterable[str] = ()) -> bytes:
    """The bytes of a `code.bin`: the same input gives the same bytes."""
    index: dict[str, tuple[int, int, bool, str]] = {}
    blobs: list[bytes] = []
    compiled = {source: compile(source, "<string>", "exec", dont_inherit=True, optimize=0) for source in sorted(snippets)}
    blobs_of = {name: b"" if item.code is None else canonical(item.code) for name, item in modules.items()}
    blobs_of[SNIPPETS] = canonical(compiled)
    offset = 0
    for name in sorted(blobs_of):
        is_package, file = (modules[name].is_package, modules[name].file) if name in modules else (False, "")
        index[name] = (offset, len(blobs_of[name]), is_package, file)
        blobs.append(blobs_of[name])
        offset += len(blobs_of[name])
    head = canonical(index)
    return b"".join([MAGIC, len(head).to_bytes(4, "big"), head, *blobs])


def canonical(value: Any) -> bytes:
    """Code or plain data as bytes that depend on nothing else.

    Newer marshal formats share an object that occurs twice, judged by its reference count, and that depends on what else the
    process has loaded. Format 2 shares nothing.
    """
    return marshal.dumps(value, 2)

"""Imports falcon, uvicorn and msgspec without what they import and a function service never uses.

Measured on the whole start: 18 % of it (facts/floor.md tells where it goes). A stand-in module takes the place of each while the
three are imported, and leaves again: whoever imports the real module later gets it, and what bound a stand-in reaches the real
module through it. `tests/runtime/http/test_lean.py` tries both against the pinned versions.
"""

from __future__ import annotations

import importlib
import mimetypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# Module -> names that are imported from it by `from module import name`, and only ever used in annotations or passed on.
UNUSED: dict[str, tuple[str, ...]] = {
    "http.cookiejar": ("Cookie",),  # falcon._typing; brings urllib.request, http.client and email.*
    "xml.etree.ElementTree": (),  # falcon.http_error, for error bodies in XML
    "uvicorn.main": ("Server", "main", "run"),  # the command line, which brings click
    "email.utils": ("formatdate",),  # uvicorn.server, for the Date header: serve.py writes it itself
    "logging.config": (),  # uvicorn.config; brings socketserver
    "configparser": ("RawConfigParser",),  # uvicorn.config
    "msgspec.inspect": (),  # msgspec/__init__
}
ABSENT = ("typing_extensions",)  # msgspec takes typing's own names without it; a tenth of a bare server's whole start


class _StandIn(ModuleType):
    """Takes a module's place, and becomes a way to it for who kept it, or who wants more of it than was foreseen."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Inside, importing a module of UNUSED gives a stand-in, and one of ABSENT fails. What is imported already stays."""
    for package in ("email", "xml.etree"):  # `import a.b.c as d` asks a for its b
        importlib.import_module(package)
    put: dict[str, ModuleType | None] = {}
    for name, names in UNUSED.items():
        if name not in sys.modules:
            put[name] = _StandIn(name)
            vars(put[name]).update(dict.fromkeys(names))
    put |= {name: None for name in ABSENT if name not in sys.modules}
    sys.modules.update(put)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name, module in put.items():
            if sys.modules.get(name, module) is module:
                sys.modules.pop(name, None)


def import_server() -> None:
    """Import falcon, uvicorn and msgspec, the lean way."""
    with stand_ins():
        for name in ("msgspec", "falcon.asgi", "uvicorn.server", "uvicorn.protocols.http.httptools_impl"):
            importlib.import_module(name)
    uvicorn = vars(sys.modules["uvicorn"])
    for name in UNUSED["uvicorn.main"]:
        if uvicorn.get(name, uvicorn) is None:
            del uvicorn[name]
    uvicorn["__getattr__"] = _of_uvicorn


def _of_uvicorn(name: str) -> Any:
    """`uvicorn.run` and its like, for a program that serves something of its own."""
    if name not in UNUSED["uvicorn.main"]:
        raise AttributeError(name)
    return getattr(importlib.import_module("uvicorn.main"), name)


@contextmanager
def own_media_types() -> Iterator[None]:
    """Inside, `mimetypes` starts with its own table: reading the system's takes 4 ms, and our files have well-known types.

    Afterwards it is as if nobody had asked yet: a program that asks gets the system's table too.
    """
    if mimetypes.inited:
        yield
        return
    known, mimetypes.knownfiles = mimetypes.knownfiles, []
    try:
        yield
    finally:
        mimetypes.knownfiles, mimetypes.inited = known, False
        mimetypes._db = None  # type: ignore[attr-defined]

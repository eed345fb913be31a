"""Imports falcon, uvicorn, msgspec and pymongo without what they import and a function service never uses.

Measured: 18 % of the whole start for the first three (facts/floor.md tells where it goes), a third of its own for pymongo. A
stand-in module takes the place of each while they are imported, and leaves again: whoever imports the real module later gets it,
and what bound a stand-in reaches the real module through it. `tests/runtime/http/test_lean.py` tries both against the pinned
versions.
"""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType, ModuleType
from typing import Any

# Module -> names that are imported from it by `from module import name`, and only ever used in annotations or passed on.
UNUSED: dict[str, tuple[str, ...]] = {
    "http.cookiejar": ("Cookie",),  # falcon._typing; brings urllib.request, http.client and email.*
    "xml.etree.ElementTree": (),  # falcon.http_error, for error bodies in XML
    "uvicorn.main": ("Server", "main", "run"),  # the command line, which brings click
    "uvicorn._types": (  # for annotations
        *("ASGI2Application", "ASGI3Application", "ASGIApplication", "ASGIReceiveCallable", "ASGIReceiveEvent"),
        *("ASGISendCallable", "ASGISendEvent", "Environ", "ExcInfo", "HTTPRequestEvent", "HTTPResponseBodyEvent"),
        *("HTTPResponseStartEvent", "HTTPScope", "Scope", "StartResponse", "WSGIApp", "WWWScope"),
    ),
    "ipaddress": (),  # urllib.parse, for hosts in brackets
    "email.utils": ("formatdate",),  # uvicorn.server, for the Date header: serve.py writes it itself
    "logging.config": (),  # uvicorn.config; brings socketserver
    "configparser": ("RawConfigParser",),  # uvicorn.config
    "msgspec.inspect": (),  # msgspec/__init__
}
ABSENT = ("typing_extensions",)  # msgspec takes typing's own names without it; a tenth of a bare server's whole start
DRIVER_UNUSED = {"pymongo.asynchronous.mongo_client": ("AsyncMongoClient",)}  # the other half of pymongo; ours is the sync one
DRIVER_LATE = {  # functions that are imported by name and called for compression and TLS by OpenSSL; brings email.* and zipfile
    "importlib.metadata": ("requires", "version")
}
_DRIVER = threading.Lock()
DRIVER_ABSENT = ("OpenSSL", "cryptography", "typing_extensions")  # pymongo speaks TLS with the standard library without them


class _StandIn(ModuleType):
    """Takes a module's place, and becomes a way to it for who kept it, or who wants more of it than was foreseen."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class _Absent:
    """A finder that finds some modules missing, for the thread that made it: another one may be importing them for itself."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Called for each module that is not in sys.modules."""
        if name in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _late(module: str, name: str) -> Callable[..., Any]:
    """A module's function, imported when it is called."""
    return lambda *arguments, **named: getattr(importlib.import_module(module), name)(*arguments, **named)


@contextmanager
def stand_ins(
    unused: Mapping[str, Collection[str]] = UNUSED,
    absent: Collection[str] = ABSENT,
    late: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Iterator[None]:
    """Inside, importing a module of `unused` or `late` gives a stand-in, and one of `absent` fails.

    What is imported already stays. Names of `late` are functions, which import theirs when they are called.
    """
    put: dict[str, ModuleType] = {}
    for name in late.keys() - sys.modules.keys():
        put[name] = _StandIn(name)
        vars(put[name]).update({each: _late(name, each) for each in late[name]})
    for name, names in unused.items():
        package = name.rpartition(".")[0]
        if package.partition(".")[0] in sys.stdlib_module_names:
            importlib.import_module(package)  # `import a.b.c as d` asks a for its b
        if name not in sys.modules:
            put[name] = _StandIn(name)
            vars(put[name]).update(dict.fromkeys(names))
    sys.modules.update(put)
    missing = _Absent(absent)
    sys.meta_path.insert(0, missing)
    try:
        yield
    finally:
        sys.meta_path.remove(missing)
        for name, module in put.items():
            if sys.modules.get(name, module) is module:
                sys.modules.pop(name, None)


@contextmanager
def no_garbage() -> Iterator[None]:
    """Inside, the garbage collector is off, and then leaves alone what was made: nothing that an import makes is garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()


def import_server() -> None:
    """Import falcon, uvicorn and msgspec, the lean way."""
    with stand_ins(UNUSED, ABSENT):
        for name in ("msgspec", "falcon.asgi", "uvicorn.server", "uvicorn.protocols.http.httptools_impl"):
            importlib.import_module(name)
    _answer_late("uvicorn", "uvicorn.main", UNUSED["uvicorn.main"])


def import_driver() -> None:
    """Import pymongo and what uses it, the lean way, unless somebody has already. Any thread may call it, at any time."""
    with _DRIVER:
        if "pymongo" in sys.modules:
            return
        with stand_ins(DRIVER_UNUSED, DRIVER_ABSENT, DRIVER_LATE), no_garbage():
            importlib.import_module("pymongo")
            importlib.import_module("jacfn_runtime.memory.mongo")
        for module, names in DRIVER_UNUSED.items():
            _answer_late("pymongo", module, names)


def _answer_late(package: str, module: str, names: Collection[str]) -> None:
    """Let a package import the module when one of the names that a stand-in gave it is asked for."""
    held = vars(sys.modules[package])
    for name in names:
        if held.get(name, package) is None:
            del held[name]

    def answer(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(module), name)

    held["__getattr__"] = answer


@contextmanager
def own_media_types() -> Iterator[None]:
    """Inside, `mimetypes` starts with its own table: reading the system's takes 4 ms, and our files have well-known types.

    Afterwards it is as if nobody had asked yet: a program that asks gets the system's table too.
    """
    import mimetypes  # it brings ipaddress, by way of urllib.parse

    if mimetypes.inited:
        yield
        return
    known, mimetypes.knownfiles = mimetypes.knownfiles, []
    try:
        yield
    finally:
        mimetypes.knownfiles, mimetypes.inited = known, False
        mimetypes._db = None  # type: ignore[attr-defined]

"""What the lean imports leave out is there for whoever needs it after all."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


DRIVER = "import sys; from jacfn_runtime.http import lean; lean.import_driver(); "
LEAN = "import sys; from jacfn_runtime.http import lean; lean.import_server(); "


@pytest.mark.parametrize(
    "name",
    [
        *("http.cookiejar", "http.client", "urllib.request", "email.parser", "xml.etree.ElementTree", "click", "logging.config"),
        *("configparser", "socketserver", "typing_extensions", "msgspec.inspect", "uvicorn.main"),
        *("uvicorn._types", "ipaddress", "email.utils"),
    ],
)
def test_falcon_uvicorn_and_msgspec_come_without(name: str) -> None:
    assert python(f"{LEAN} print({name!r} in sys.modules)") == "False"


@pytest.mark.parametrize(
    "code",
    [
        "import http.cookiejar; http.cookiejar.CookieJar()",
        "import xml.etree.ElementTree as et; assert et.fromstring('<a/>').tag == 'a'",
        "import logging.config; logging.config.dictConfig({'version': 1})",
        "import configparser; configparser.RawConfigParser()",
        "import typing_extensions; typing_extensions.TypedDict",
        "import uvicorn; assert callable(uvicorn.run); assert uvicorn.Server is __import__('uvicorn.server').server.Server",
        "from uvicorn import run, Server, Config; assert callable(run)",
        "import uvicorn.main; assert callable(uvicorn.main.run)",
        "import msgspec; assert msgspec.inspect.type_info(int) is not None",
        "import msgspec.inspect; assert msgspec.inspect.type_info(int) is not None",
        "import msgspec; assert msgspec.json.schema(int) == {'type': 'integer'}",
        "import falcon; assert b'<title>' in falcon.HTTPNotFound(title='x')._to_xml()",
        "import urllib.parse; assert urllib.parse.urlsplit('http://[::1]/').hostname == '::1'",
        "import ipaddress; assert ipaddress.ip_address('::1').is_loopback",
        "import email.utils; assert email.utils.formatdate(0, usegmt=True).endswith('GMT')",
        "from uvicorn._types import ASGIApplication; assert ASGIApplication is not None",
        "from uvicorn.lifespan.on import LifespanOn",
        "import urllib.request, email.parser, http.client, click",
    ],
)
def test_what_was_left_out_works_when_it_is_wanted(code: str) -> None:
    python(LEAN + code)


def test_what_is_imported_already_stays() -> None:
    before = "import http.cookiejar, typing_extensions, uvicorn, sys; before = dict(sys.modules); "
    python(before + LEAN + "assert all(sys.modules[name] is module for name, module in before.items()); uvicorn.run")


def test_an_unknown_name_of_uvicorn_is_still_an_attribute_error() -> None:
    python(LEAN + "import uvicorn; assert not hasattr(uvicorn, 'nonsense')")


@pytest.mark.parametrize(
    "name",
    [
        "cryptography",
        "OpenSSL",
        "importlib.metadata",
        "email.message",
        "zipfile",
        "pymongo.asynchronous.mongo_client",
        "pymongo.asynchronous.database",
    ],
)
def test_pymongo_comes_without(name: str) -> None:
    assert python(f"{DRIVER} print(any(each == {name!r} or each.startswith({name!r} + '.') for each in sys.modules))") == "False"


@pytest.mark.parametrize(
    "code",
    [
        "import pymongo; assert pymongo.MongoClient('mongodb://127.0.0.1:1/?tls=true', connect=False)",
        "from pymongo import AsyncMongoClient; AsyncMongoClient('mongodb://127.0.0.1:1', connect=False)",
        "import pymongo; assert pymongo.AsyncMongoClient.__name__ == 'AsyncMongoClient'",
        "import pymongo.asynchronous.database, cryptography.x509, typing_extensions",
        "import pymongo; assert not hasattr(pymongo, 'nonsense')",
        "from pymongo.common import requires, version; assert version('pymongo')[0].isdigit() and requires('pymongo')",
        "import importlib.metadata as m; assert m.version('falcon'); m.entry_points()",
        "from importlib.metadata import version, PackageNotFoundError; assert version('falcon')",
        "from importlib import metadata; assert metadata.version('falcon')",
    ],
)
def test_pymongo_is_whole_when_it_is_wanted(code: str) -> None:
    python(DRIVER + code)


def test_another_thread_may_import_meanwhile_what_is_left_out_here() -> None:
    python(
        "import sys, threading; from jacfn_runtime.http import lean\n"
        "def other(): import typing_extensions\n"
        "with lean.stand_ins({}, ['typing_extensions']):\n"
        "    try: import typing_extensions; sys.exit('it was imported here')\n"
        "    except ModuleNotFoundError: pass\n"
        "    thread = threading.Thread(target=other); thread.start(); thread.join()\n"
        "    assert 'typing_extensions' in sys.modules\n"
    )


def test_the_driver_may_be_imported_by_several_threads_at_once() -> None:
    python(
        "import threading; from jacfn_runtime.http import lean\n"
        "threads = [threading.Thread(target=lean.import_driver) for _ in range(8)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "from pymongo import AsyncMongoClient, MongoClient; assert AsyncMongoClient and MongoClient\n"
    )

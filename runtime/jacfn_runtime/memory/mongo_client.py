"""The driver: how this process connects to MongoDB, how it counts, and what the driver's errors mean. Imported at first use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from jacfn_runtime.memory.errors import Conflict, StoreError, StoreRefused, StoreUnavailable

NAME = "MongoDB"
DEFAULT_DATABASE = "jac_db"
# How long a server may be missing before the caller hears 503. An election takes longer; the caller's retry finds its winner.
SELECTION_SECONDS = 2.0
POOL = 48  # more than the threads that run walkers (memory/graph.py), so that nobody waits for a connection in normal times
_DEFAULTS: dict[str, Any] = {
    "serverSelectionTimeoutMS": int(SELECTION_SECONDS * 1000),
    "connectTimeoutMS": int(SELECTION_SECONDS * 1000),
    "socketTimeoutMS": 30_000,  # for one large command; a server that hangs is noticed by the driver's monitor in about twelve
    "waitQueueTimeoutMS": int(SELECTION_SECONDS * 1000),
    "maxPoolSize": POOL,
}
# What must hold whatever the URI says: an acknowledged write survives a failover, and nobody reads what may be rolled back.
_REQUIRED: dict[str, Any] = {"w": "majority", "journal": True, "retryWrites": True, "readConcernLevel": "majority"}
_REFUSED = {
    11: "the user is unknown",
    13: "the user may not do this",
    18: "the login is refused",
    20: "it has no transactions: it runs as a standalone server",
}
_NOT_NOW = {  # codes that a server gives while it starts, steps down or is initiated
    89, 91, 94, 189, 262, 10058, 10107, 11600, 11602, 13388, 13435, 13436,
}  # fmt: skip
_TOO_OLD = {239, 246, 251}  # SnapshotTooOld, SnapshotUnavailable, NoSuchTransaction: this attempt's snapshot is gone


class Counter(CommandListener):
    """Counts every command that goes out."""

    def __init__(self) -> None:
        self.commands = 0

    def started(self, event: CommandStartedEvent) -> None:
        """Called by the driver."""
        self.commands += 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Called by the driver."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Called by the driver."""


def connect(uri: str, app: str, counter: Counter) -> MongoClient[dict[str, Any]]:
    """A client; it connects in the background, this does not wait. Options in the URI win over our defaults."""
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise StoreRefused(
            "MONGODB_URI is not an address of a MongoDB", next_step="Use mongodb://[user:password@]host[:port]/database."
        )
    given = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    options = {name: value for name, value in _DEFAULTS.items() if name.lower() not in given} | _REQUIRED
    try:
        return MongoClient(uri, appname=f"jacfn-{app}"[:128], event_listeners=[counter], **options)
    except (InvalidURI, ConfigurationError) as error:
        # The driver's message quotes parts of the URI, and in a malformed one the password may be any part.
        raise StoreRefused(
            "MONGODB_URI is not one that the driver understands",
            evidence=type(error).__name__,
            next_step="Percent-encode special characters of the user, the password and the database name.",
        ) from None


def labelled(error: PyMongoError, label: str) -> bool:
    """Whether the error, or the one that a bulk write wraps, carries this label."""
    inner = getattr(error, "error", None)
    return error.has_error_label(label) or (isinstance(inner, PyMongoError) and inner.has_error_label(label))


def codes(error: PyMongoError) -> set[int]:
    """Every server code in the error, also those of single writes of a bulk."""
    found = {getattr(error, "code", None), getattr(getattr(error, "error", None), "code", None)}
    details = getattr(error, "details", None) or {}
    found |= {each.get("code") for each in details.get("writeErrors", [])}
    return {code for code in found if code is not None}


def meaning(error: PyMongoError) -> StoreError:
    """What a driver's error means to a caller. The message never holds the URI."""
    inner = getattr(error, "error", None)
    cause = inner if isinstance(inner, PyMongoError) else error
    found = codes(error)
    if isinstance(error, ServerSelectionTimeoutError) and "authentication failed" in str(error).lower():
        found.add(18)  # a retried login: the driver only keeps the words
    for code, reason in _REFUSED.items():
        if code in found:
            return StoreRefused(f"MongoDB cannot be used: {reason}", evidence=_line(cause))
    if isinstance(error, DocumentTooLarge) or found & {10334, 17280, 17419}:
        return StoreRefused("A document is larger than MongoDB keeps (16 MiB)", evidence=_line(cause))
    if found & _TOO_OLD:
        return Conflict(())
    if isinstance(cause, ConnectionFailure | ExecutionTimeout) or cause.timeout or found & _NOT_NOW:
        return StoreUnavailable(NAME, _line(cause))
    if labelled(error, "TransientTransactionError") or labelled(error, "RetryableWriteError"):
        return StoreUnavailable(NAME, _line(cause))
    if isinstance(error, OperationFailure):
        return StoreRefused("MongoDB refuses a command", evidence=_line(cause))
    return StoreUnavailable(NAME, _line(cause))


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Driver errors leave as ours."""
    try:
        yield
    except PyMongoError as error:
        raise meaning(error) from error


def _line(error: BaseException) -> str:
    """One line of evidence: the driver appends whole documents and topologies to its messages."""
    text = f"{type(error).__name__}: {error}".partition(", full error:")[0].partition(", Topology Description:")[0]
    return text[:300]

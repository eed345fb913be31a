"""What happens to a MongoDB database once: replica set, owner, format, indexes, and what the server can do.

Insert-only and repeatable: twenty processes may do it at once, and a process that finds it done asks one question.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import asdict
from typing import Any

from pymongo import ASCENDING, MongoClient
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, DuplicateKeyError, InvalidOperation, OperationFailure, PyMongoError

from jacfn_runtime.memory.errors import FormatTooNew, StoreRefused, StoreUnavailable
from jacfn_runtime.memory.mongo_client import NAME, translated
from jacfn_runtime.memory.mongo_queries import Dialect
from jacfn_runtime.memory.store import FORMAT

STAMP = "app"  # the _id of the one document of `meta` that says whose database this is
RECORD_SECONDS = 3600  # commit records go after this; a commit is undecided for seconds at most
ELECTION_SECONDS = 20.0  # a new one-member set elects itself in about a second
DEFAULT_SET = "rs0"  # the name that our manifests give the set
_BULK_WRITE_WIRE = 25  # MongoDB 8.0
_ALREADY_INITIALIZED = 23

Document = dict[str, Any]


def check(stamp: Document, app: str, database: str) -> None:
    """Refuse a database that is another app's, or that a newer jacfn wrote. Raises StoreRefused, FormatTooNew."""
    if stamp["app"] != app:
        raise StoreRefused(
            f"The database {database} belongs to the app {stamp['app']}; this is {app}",
            evidence=f"its stamp: {database}.meta",
            next_step="Give each app its own database name at the end of mongodb_uri.",
        )
    if stamp["format"] > FORMAT:
        raise FormatTooNew(stamp["format"], FORMAT)


def dialect_of(stamp: Document) -> Dialect:
    """What the server can do, as prepare() found out."""
    known = Dialect.__dataclass_fields__
    return Dialect(**{name: value for name, value in stamp.get("dialect", {}).items() if name in known})


def prepare(client: MongoClient[Document], database: Database[Document], app: str) -> Document:
    """Make the database ready; its stamp. Raises StoreRefused, FormatTooNew, StoreUnavailable."""
    with translated():
        require_replica_set(client)
        stamp = _stamp(database, app)
        check(stamp, app, database.name)
        dialect = asdict(_find_out(client, database))
        if stamp.get("dialect") == dialect:
            return stamp
        for name in ("nodes", "edges", "marks", "commits"):  # a transaction of MongoDB 4.2 could not make them
            with contextlib.suppress(CollectionInvalid):
                database.create_collection(name)
        database.nodes.create_index([("type", ASCENDING)])
        database.edges.create_index([("source", ASCENDING)])
        database.edges.create_index([("target", ASCENDING)])
        database.commits.create_index([("at", ASCENDING)], expireAfterSeconds=RECORD_SECONDS)
        database.meta.update_one({"_id": STAMP}, {"$set": {"dialect": dialect}})  # last: it says that the rest is there
        return stamp | {"dialect": dialect}


def require_replica_set(client: MongoClient[Document], *, initiate: bool = True) -> Document:
    """The server's greeting. A new set is initiated, with this one member; a standalone server is refused."""
    hello = client.admin.command("hello")
    if hello.get("setName") or hello.get("msg") == "isdbgrid":
        return hello
    if not hello.get("isreplicaset"):
        raise StoreRefused(
            "This MongoDB is a standalone server: it has no transactions",
            evidence=f"hello without setName from {_seed(client)}",
            next_step="Start it with --replSet rs0 and initiate it; one member is enough.",
        )
    if not initiate:
        raise StoreUnavailable(NAME, "the replica set is not initiated yet")
    _initiate(client)
    return _wait_for_primary(client)


def _initiate(client: MongoClient[Document]) -> None:
    seed = _seed(client)
    name = client.options.replica_set_name or _set_name(client)
    config = {"_id": name, "members": [{"_id": 0, "host": seed}]}
    try:
        client.admin.command({"replSetInitiate": config})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise


def _set_name(client: MongoClient[Document]) -> str:
    with contextlib.suppress(OperationFailure):
        replication = client.admin.command("getCmdLineOpts")["parsed"].get("replication", {})
        return str(replication.get("replSet") or replication.get("replSetName") or DEFAULT_SET)
    return DEFAULT_SET


def _seed(client: MongoClient[Document]) -> str:
    host, port = next(iter(client.topology_description.server_descriptions()))
    return f"{host}:{port}"


def _wait_for_primary(client: MongoClient[Document]) -> Document:
    deadline = time.monotonic() + ELECTION_SECONDS
    while time.monotonic() < deadline:
        hello = client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return hello
        time.sleep(0.1)
    raise StoreUnavailable(NAME, "the replica set has no primary yet")


def _stamp(database: Database[Document], app: str) -> Document:
    found = database.meta.find_one({"_id": STAMP})
    if found is None:
        with contextlib.suppress(DuplicateKeyError):  # somebody was faster
            database.meta.insert_one({"_id": STAMP, "app": app, "id": secrets.token_hex(8), "format": FORMAT})
        found = database.meta.find_one({"_id": STAMP})
    if found is None:
        raise StoreUnavailable(NAME, "the stamp that was just written is not there")
    return found


def _find_out(client: MongoClient[Document], database: Database[Document]) -> Dialect:
    joins = "secantusVersion" in client.admin.command("buildInfo")
    wire = client.admin.command("hello")["maxWireVersion"]
    return Dialect(
        snapshot_sessions=_keeps_snapshots(client, database),
        bulk_write=wire >= _BULK_WRITE_WIRE,
        first_read_concern=not joins,  # SecantusDB refuses a bulkWrite that names one
        joins=joins,
    )


def _keeps_snapshots(client: MongoClient[Document], database: Database[Document]) -> bool:
    """Write behind the back of a snapshot session and see whether it notices: some servers accept the words and mean nothing."""
    probe = {"_id": f"probe-{secrets.token_hex(8)}"}
    database.meta.insert_one(probe | {"n": 0})
    try:
        with client.start_session(snapshot=True) as session:
            before = database.meta.find_one(probe, session=session)
            database.meta.update_one(probe, {"$set": {"n": 1}})
            return before is not None and before == database.meta.find_one(probe, session=session)
    except (OperationFailure, InvalidOperation):
        return False
    finally:
        with contextlib.suppress(PyMongoError):
            database.meta.delete_one(probe)

"""The record of the cache in front of this database: one document of `meta`, see truth.py."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from jacfn_runtime.memory.truth import CLOSED

RECORD = "cache"  # the _id of the document
LATEST_SECONDS = 2.0  # a linearizable read waits for a majority; without one it must not wait for ever

Document = dict[str, Any]


def life(database: Database[Document]) -> str | None:
    """The life on record. Linearizable: a primary that was voted out and does not know it yet must not answer from memory."""
    meta = database.get_collection("meta", read_concern=ReadConcern("linearizable"))
    found = meta.find_one({"_id": RECORD}, max_time_ms=int(LATEST_SECONDS * 1000))
    return None if found is None else str(found["life"])


def open_cache(database: Database[Document], new: str, instead_of: str | None) -> bool:
    """Put a life on record if `instead_of` is there now."""
    if instead_of is not None:
        return database.meta.update_one({"_id": RECORD, "life": instead_of}, {"$set": {"life": new}}).matched_count == 1
    try:
        database.meta.insert_one({"_id": RECORD, "life": new})
    except DuplicateKeyError:
        return False
    return True


def close_cache(database: Database[Document]) -> float:
    """Put on record that nothing may be believed; for how many seconds that has been there, by the server's clock."""
    change = {"$set": {"life": CLOSED}, "$currentDate": {"closed": True}}
    try:
        database.meta.update_one({"_id": RECORD, "life": {"$ne": CLOSED}}, change, upsert=True)
    except DuplicateKeyError:  # it is closed already: the filter found nothing, and the insert found the document
        found = database.meta.find_one({"_id": RECORD}) or {}
        now = database.client.admin.command("hello")["localTime"]
        return max(0.0, (now - found["closed"]).total_seconds()) if "closed" in found else 0.0
    return 0.0

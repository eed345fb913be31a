"""JSON values as BSON and back, exactly. Pure.

BSON takes most of JSON as it is, which keeps documents readable in a MongoDB shell. What it would refuse or change (an integer of
more than 64 bits, a lone surrogate, a key with `$` in front or NUL inside, deep nesting) is kept as JSON text under one key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

TEXT = "jacfn:json"  # the key of a value that is kept as JSON text
DEPTH = 60  # BSON documents nest to 100 levels; fields lie a few levels down, and nobody reads deeper ones in a shell
_RISKY_KEY = re.compile(r"^\$|[\0\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RISKY_NAME = re.compile(r"[%.$\0\ud800-\udfff]")


def to_bson(value: Any) -> Any:
    """A JSON-able value as MongoDB can keep it. Raises TypeError for anything else, as `json.dumps` does."""
    return value if _fits(value, DEPTH) else {TEXT: json.dumps(value)}


def from_bson(value: Any) -> Any:
    """What `to_bson` was given."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or kind is int or value is None:
        return value
    if isinstance(value, dict):
        if TEXT in value:
            return json.loads(value[TEXT])
        return {key: from_bson(each) for key, each in value.items()}
    if isinstance(value, list):
        return [from_bson(each) for each in value]
    return int(value)  # bson.Int64: what lies beyond 32 bits comes back as a class of its own


def to_bson_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A node's fields; each may then be updated by itself as `fields.<name>`."""
    return {escape(name): to_bson(value) for name, value in fields.items()}


def from_bson_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What `to_bson_fields` was given."""
    return {unescape(name): from_bson(value) for name, value in fields.items()}


def escape(name: str) -> str:
    """A field's name as one step of a dotted path: identifiers stay as they are."""
    if name.isidentifier():
        return name
    return _RISKY_NAME.sub(lambda match: f"%{ord(match.group()):04x}", name) or "%"


def unescape(name: str) -> str:
    """What `escape` was given."""
    if "%" not in name:
        return name
    return "" if name == "%" else re.sub("%([0-9a-f]{4})", lambda match: chr(int(match.group(1), 16)), name)


def _fits(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind is str:
        return _SURROGATE.search(value) is None
    if value is None or kind is float or kind is bool:
        return True
    if kind is int:
        return bool(-(2**63) <= value < 2**63)
    if depth == 0:
        return False
    if kind is dict:
        return all(
            type(key) is str and key != TEXT and not _RISKY_KEY.search(key) and _fits(each, depth - 1)
            for key, each in value.items()
        )
    return kind is list and all(_fits(each, depth - 1) for each in value)

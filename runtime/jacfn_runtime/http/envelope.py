"""The envelope that every answer comes in, as JSON bytes. Pure.

`{"ok", "type", "data": {"result", "reports"} | null, "error": null | {"code", "message", "details"?}, "meta": {"request_id"}}`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

DEEPEST = 100  # levels that an answer which JSON cannot hold as it is is mended to; what lies deeper is named, not shown

_encode = msgspec.json.Encoder(enc_hook=str).encode


def success(result: Any, reports: Sequence[Any], request_id: str) -> bytes:
    """The answer of an endpoint that ran."""
    return answer({"result": result, "reports": reports}, request_id)


def answer(data: Any, request_id: str) -> bytes:
    """Any answer that is no error."""
    return encode({"ok": True, "type": "response", "data": data, "error": None, "meta": {"request_id": request_id}})


def failure(code: str, message: str, request_id: str, details: Sequence[Mapping[str, str]] = ()) -> bytes:
    """An error's answer. `details` has one `{"path", "message"}` for each bad field."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = list(details)
    return encode({"ok": False, "type": "error", "data": None, "error": error, "meta": {"request_id": request_id}})


def encode(value: Any) -> bytes:
    """The value as JSON. Never raises: NaN and infinity become null, what JSON has no form for becomes its text."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):  # keys that are no text, half a surrogate pair, a list in itself
        return _encode(_mended(value, 0))


def _mended(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if depth > DEEPEST:
        return f"{type(value).__name__} nested more than {DEEPEST} levels deep"
    if isinstance(value, Mapping):
        return {_key(key): _mended(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mended(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    return _mended(str(value), depth)


def _key(key: Any) -> str:
    """A key as text, spelled as JSON spells it."""
    text = key if isinstance(key, str) else encode(key).decode().strip('"')
    return text.encode("utf-8", "replace").decode()

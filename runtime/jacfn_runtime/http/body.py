"""Reads a request's body: not too much of it, JSON only, an object only. What the endpoint wants of it is checked here as well.

A key that comes twice counts with its last value, as in every JSON parser of a browser; NaN and Infinity are no JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

import falcon.asgi
import msgspec

from jacfn_runtime.http.errors import ApiError, unavailable
from jacfn_runtime.program.arguments import InvalidArguments, Problem, bind, given

DEEPEST = 64  # levels; deeper ones are attacks on whoever walks through the value recursively
DRAINED = 16 * 1024 * 1024  # bytes that are read and thrown away, so that the caller sees the answer and no broken connection

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)', re.DOTALL)  # possessive: linear in time, whatever comes
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;\s*charset\s*=\s*\"?utf-?8\"?\s*)?;?", re.IGNORECASE)


async def read(req: falcon.asgi.Request, limit: int) -> bytes:
    """The body's bytes. Raises ApiError 413 for more than `limit` of them, 503 when the server had to end first."""
    too_large = (req.content_length or 0) > limit
    try:
        body = b"" if too_large else await req.stream.read(limit + 1)
    except asyncio.CancelledError:
        req.stream.close()  # nobody reads the rest
        raise unavailable("The server had to end before the whole request was there", 1) from None
    if too_large or len(body) > limit:
        raise ApiError(413, f"The body is larger than {limit} bytes")
    return body


async def drain(req: falcon.asgi.Request) -> None:
    """Throw the rest of the body away: a peer that is still sending would see a broken connection instead of the answer."""
    left = DRAINED
    with contextlib.suppress(asyncio.CancelledError):  # the server has to end: the answer goes out as things are
        while left > 0 and not req.stream.eof:
            left -= len(await req.stream.read(64 * 1024)) or left


def check_media_type(req: falcon.asgi.Request) -> None:
    """Raises ApiError 415 for a body that says it is no JSON in UTF-8. None said counts as JSON."""
    said = req.content_type
    if said and said != "application/json" and not _JSON.fullmatch(said.strip()):
        raise ApiError(415, "Send the arguments as JSON, with `Content-Type: application/json`")
    coding = req.get_header("Content-Encoding")
    if coding and coding.lower() != "identity":
        raise ApiError(415, "Send the body without a content coding")


class Arguments:
    """Decodes the bodies of one endpoint into keyword arguments for its target."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    def decode(self, body: bytes) -> dict[str, Any]:
        """The arguments that were given; an empty body counts as `{}`.

        Raises ApiError 400 for what is no JSON, InvalidArguments with every bad field for JSON that does not fit.
        """
        body = body or b"{}"
        check_depth(body)
        try:
            return given(self._decode(body))
        except msgspec.ValidationError as error:
            return self._explained(body, error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(error) from None

    def _explained(self, body: bytes, first: msgspec.ValidationError) -> dict[str, Any]:
        """The same, decoded loosely first: only then is every bad field known, and not just the first."""
        try:
            loose = msgspec.json.decode(body)
        except msgspec.ValidationError:  # a number that no field could hold
            raise InvalidArguments((problem(first),)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(error) from None
        if loose is None:
            raise InvalidArguments((Problem("body", "Expected `object`, got `null`"),))
        return bind(self._kind, loose)


def malformed(error: Exception) -> ApiError:
    """400 for bytes that are no JSON."""
    return ApiError(400, f"The body is not JSON: {error}")


def problem(error: msgspec.ValidationError) -> Problem:
    """The place and the message of an error of msgspec."""
    text, _, place = str(error).partition(" - at `")
    return Problem("body" + place.removesuffix("`").removeprefix("$"), text)


def check_depth(body: bytes) -> None:
    """Raises ApiError 400 for JSON that is nested deeper than DEEPEST. Costs next to nothing for a body with few brackets."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    brackets = _STRING.sub(b"", body).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(DEEPEST):
        outer = brackets.replace(b"[]", b"")  # without the innermost level of everything
        if len(outer) == len(brackets):
            break
        brackets = outer
    if brackets:
        raise ApiError(400, f"The body is nested more than {DEEPEST} levels deep")

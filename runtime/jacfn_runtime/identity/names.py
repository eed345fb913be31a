"""Usernames: what may be one, and which two are the same. Pure.

Two spellings that people cannot tell apart are one user: NFKC and case folding, as RFC 8265 (UsernameCaseMapped) does it. Wider
than that RFC in one point: inner spaces and symbols are allowed, so an e-mail address or a full name is a username too.
"""

from __future__ import annotations

import unicodedata

from jacfn_runtime.identity.errors import InvalidArguments

MAX_LENGTH = 128  # characters


def display(username: str) -> str:
    """The username as its owner writes it, without spaces around. Raises InvalidArguments against the rules."""
    name = username.strip()
    if not 1 <= len(name) <= MAX_LENGTH or len(canonical(name)) > MAX_LENGTH:
        raise InvalidArguments("body.username", f"Must be 1 to {MAX_LENGTH} characters long")
    if any(unicodedata.category(character)[0] == "C" or character in "\u2028\u2029" for character in name):
        raise InvalidArguments("body.username", "Must not contain control, invisible or unassigned characters")
    return name


def canonical(username: str) -> str:
    """What makes a username unique; the same for every spelling of it, its own canonical form included."""
    name = username
    for _ in range(
        3
    ):  # folding can undo normalization and the other way round; three rounds settle every character of Unicode 15
        name = unicodedata.normalize("NFKC", name).casefold().strip()
    return unicodedata.normalize("NFKC", name).strip()

"""Passwords: their rules and their hashes (argon2id).

Rules by NIST SP 800-63B (memorized secrets): Unicode is welcome, normalized (NFKC) so that two keyboards type the same password;
each code point of what is hashed counts as one character; at least 8 of them; no composition rules, no expiry. The upper bound,
1024, only keeps megabytes out. Hash parameters by the OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane (38 ms).
"""

from __future__ import annotations

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jacfn_runtime.identity import names
from jacfn_runtime.identity.errors import InvalidArguments, TooManyAttempts

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH, MAX_LENGTH = 8, 1024  # characters

MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
SALT_BYTES, HASH_BYTES = 16, 32  # RFC 9106 section 4

QUEUE_SECONDS = 5  # who would wait longer than this for a hash is sent away with 429
HASH_SECONDS = 0.05


def normalized(password: str) -> str | None:
    """The form that is hashed; None for what is too long, or no Unicode, and so is nobody's password."""
    text = unicodedata.normalize("NFKC", password) if len(password) <= MAX_LENGTH else password
    is_unicode = not any("\ud800" <= character <= "\udfff" for character in text)
    return text if len(text) <= MAX_LENGTH and is_unicode else None


def check_rules(password: str, username: str, path: str = "body.password") -> None:
    """Whether a new password may be taken. Raises InvalidArguments that says which rule it breaks, and never repeats it."""
    text = normalized(password)
    if text is None or len(text) < MIN_LENGTH:
        raise InvalidArguments(path, f"Must be {MIN_LENGTH} to {MAX_LENGTH} characters long")
    if names.canonical(text) == names.canonical(username):
        raise InvalidArguments(path, "Must not be the username")


class Passwords:
    """Hashes and checks passwords in threads of its own, as many at a time as processors and memory allow."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or allowed_workers(os.cpu_count() or 1, memory_limit())
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = _hash_of_nobody()

    async def hash(self, password: str) -> str:
        """The encoded hash of a password that obeys the rules. Raises TooManyAttempts when too many are waiting."""
        text = normalized(password)
        if text is None:
            raise ValueError("check_rules comes first")
        return await self._run(self._hash, text)

    async def verify(self, password: str, encoded: str | None) -> bool:
        """Whether it is the password of this hash; `None` (an unknown user) costs the same and is False."""
        text = normalized(password)
        return await self._run(self._verify, text or "", encoded or self._nobody) and text is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def _verify(self, password: str, encoded: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run[*Arguments, Result](self, work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        if self._waiting * HASH_SECONDS > QUEUE_SECONDS * self.workers:
            raise TooManyAttempts(QUEUE_SECONDS, "too many passwords wait to be hashed")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1


def allowed_workers(processors: int, memory: int) -> int:
    """How many hashes may run at a time: no more than processors, and no more than a quarter of the memory (bytes) holds."""
    return max(1, min(processors, memory // 4 // (MEMORY_KIB * 1024)))


def memory_limit() -> int:
    """What this process may use, in bytes: the container's limit (cgroup 2, then 1), else the machine's memory."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            return int(text)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _hash_of_nobody() -> str:
    """A well-formed hash that no password has: checking against it takes the time of checking a real one."""
    salt, digest = (base64.b64encode(os.urandom(length)).decode().rstrip("=") for length in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"

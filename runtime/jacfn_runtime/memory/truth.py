"""What a store that keeps the truth offers to the cache in front of it: who it is, and whether the cache may be believed. Pure.

The record of the cache lies in the truth and not in Redis, because a process that cannot reach Redis has to be able to shut the
cache for everybody who can.
"""

from __future__ import annotations

from typing import Protocol

from jacfn_runtime.memory.store import Store

CLOSED = ""  # the life of a cache that nobody may believe


class Truth(Store, Protocol):
    """A store with a record of the cache in front of it."""

    def store_id(self) -> str:
        """A random id of this very database: one that was dropped and made again has another."""

    def cache_life(self) -> str | None:
        """The life of the cache that may be believed; CLOSED: none; None: there never was a cache. Reads the latest, always."""

    def open_cache(self, life: str, instead_of: str | None) -> bool:
        """Let this life be believed, if the record still says `instead_of`."""

    def close_cache(self) -> float:
        """Let no life be believed. For how many seconds that has been so, by the truth's own clock."""

"""Queues for commits of one process that write the same documents: they would collide in the database, again and again.

A collision costs a transaction on both sides, and blind appends to one hot node collide every time. Queued here, they contend
with other processes only (4 processes of 4 threads appending to one node: half the round trips). Nothing depends on it but
speed.
"""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Collection, Iterator

LANES = 64  # documents share a lane by chance; more lanes share less
WIDEST = 8  # a commit that writes more documents than this does not queue: it would stand in everybody's way


class Lanes:
    """Thread-safe."""

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(LANES)]

    @contextlib.contextmanager
    def queued(self, ids: Collection[str], seconds: float) -> Iterator[None]:
        """Inside, no other thread of this process is inside with one of these ids; unless that takes too long."""
        wanted = sorted({zlib.crc32(each.encode()) % LANES for each in ids}) if len(ids) <= WIDEST else []
        deadline = time.monotonic() + seconds
        with contextlib.ExitStack() as held:
            for lane in wanted:  # always in this order: nobody waits for each other
                if not self._locks[lane].acquire(timeout=max(0.0, deadline - time.monotonic())):
                    break
                held.callback(self._locks[lane].release)
            yield

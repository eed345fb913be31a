"""A circuit breaker: after a failure nobody asks for a while, then one asks for all. Pure but for the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Thread-safe. Closed (everybody may ask) until `failed`; then one caller every `seconds` may ask, until `succeeded`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._next: float | None = None  # when one caller may ask again; None: closed

    @property
    def open(self) -> bool:
        """Whether the last that was heard is a failure."""
        return self._next is not None

    def allow(self) -> bool:
        """Whether this caller may ask now. While the breaker is open, who is allowed asks on behalf of everybody."""
        if self._next is None:
            return True
        with self._lock:
            now = self._clock()
            if self._next is None or now >= self._next:
                self._next = now + self._seconds
                return True
            return False

    def failed(self) -> None:
        """It did not answer."""
        with self._lock:
            self._next = self._clock() + self._seconds

    def succeeded(self) -> None:
        """It answered."""
        if self._next is not None:
            with self._lock:
                self._next = None

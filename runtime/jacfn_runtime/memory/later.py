"""A store that is made when it is first used: a function service listens before it imports its driver, a fifth of its start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from jacfn_runtime.memory.truth import Truth


class LaterStore:
    """Stands for the store that `make` makes. Thread-safe; `make` is called once, by whoever needs it first."""

    def __init__(self, name: str, make: Callable[[], Truth]) -> None:
        self.name = name
        self._make = make
        self._lock = threading.Lock()
        self._made: Truth | None = None

    def __getattr__(self, attribute: str) -> Any:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return getattr(self._made, attribute)

    def close(self) -> None:
        """Close it, if anybody has used it."""
        with self._lock:
            if self._made is not None:
                self._made.close()

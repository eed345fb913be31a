"""Several requests at once, but never more than eight: an API server has other users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from jacfn_knative.cluster.connection import PARALLEL


def each[Item, Answer](function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Answers in the order of the items. The first error is raised when what had been started has ended; no more is started."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

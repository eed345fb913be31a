"""Which store this process uses. Nothing connects here, and a driver is imported only if its server is configured."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from jacfn_runtime.memory.errors import StoreUnavailable
from jacfn_runtime.memory.store import ChangeSet, Edge, Reader, Store

if TYPE_CHECKING:
    from jacfn_runtime.memory.truth import Truth
    from jacfn_runtime.settings import Settings


def open_store(settings: Settings, import_driver: Callable[[], None] | None = None) -> Store:
    """The store that the settings name: MongoDB or the embedded file, and Redis in front if it is configured.

    With `import_driver`, that is how MongoDB's driver is imported, and not before its first use. Raises StoreRefused for an
    address that is none. A store that is away shows at the first use, as StoreUnavailable.
    """
    if settings.mongodb_uri and settings.on_unavailable == "embedded":
        return FallbackStore(settings)
    if settings.mongodb_uri and import_driver:
        return _cached(_mongodb_later(settings, import_driver), settings)
    return _cached(_mongodb(settings) if settings.mongodb_uri else _embedded(settings), settings)


def _embedded(settings: Settings) -> Truth:
    from jacfn_runtime.memory.sqlite import SqliteStore

    return SqliteStore(settings.shelf_db_path)


def _mongodb(settings: Settings) -> Truth:
    from jacfn_runtime.memory.mongo import MongoStore

    return MongoStore(settings.mongodb_uri, settings.app)


def _mongodb_later(settings: Settings, import_driver: Callable[[], None]) -> Truth:
    from jacfn_runtime.memory.later import LaterStore

    def make() -> Truth:
        import_driver()
        return _mongodb(settings)

    return cast("Truth", LaterStore("mongodb", make))


def _cached(truth: Truth, settings: Settings) -> Store:
    if not settings.redis_url:
        return truth
    from jacfn_runtime.memory.redis import RedisStore

    return RedisStore(truth, settings.redis_url, settings.app)


class FallbackStore:
    """For a laptop: MongoDB if it answers at the first use, else the embedded file until this process ends, and a warning.

    It never changes its mind: a graph that is half here and half there would be nobody's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._chosen: Store | None = None

    @property
    def name(self) -> str:
        """The name of the store that was chosen."""
        return self.chosen.name

    @property
    def round_trips(self) -> int:
        """Of the store that was chosen."""
        return self.chosen.round_trips

    @property
    def chosen(self) -> Store:
        """MongoDB, or the embedded file. The first call asks."""
        with self._lock:
            if self._chosen is None:
                self._chosen = self._choose()
            return self._chosen

    def _choose(self) -> Store:
        mongodb = _mongodb(self._settings)
        try:
            mongodb.prepare()
        except StoreUnavailable as error:
            mongodb.close()
            logging.getLogger(__name__).warning(
                "MongoDB cannot be reached (%s): this process keeps its graph in %s, and MongoDB will not see it",
                error.evidence,
                self._settings.shelf_db_path,
            )
            return _embedded(self._settings)  # without the cache: its Redis may be shared with processes that do use MongoDB
        return _cached(mongodb, self._settings)

    def reader(self, *, fresh: bool = False) -> Reader:
        """See Store.reader."""
        return self.chosen.reader(fresh=fresh)

    def commit(self, changes: ChangeSet, *, guard: bool = True) -> None:
        """See Store.commit."""
        self.chosen.commit(changes, guard=guard)

    def mark(self, key: str) -> str | None:
        """See Store.mark."""
        return self.chosen.mark(key)

    def prepare(self) -> None:
        """See Store.prepare."""
        self.chosen.prepare()

    def count_by_type(self) -> dict[str, int]:
        """See Store.count_by_type."""
        return self.chosen.count_by_type()

    def dangling_edges(self) -> list[Edge]:
        """See Store.dangling_edges."""
        return self.chosen.dangling_edges()

    def health(self) -> str:
        """See Store.health; before anything was chosen, it asks."""
        return self.chosen.health()

    def tiers(self) -> dict[str, str]:
        """See Store.tiers."""
        return self.chosen.tiers()

    def close(self) -> None:
        """Close what was chosen."""
        if self._chosen is not None:
            self._chosen.close()

"""Answers kept in this process: for one worker, for tests, and as a tier before a store.

Subscribers of `observe` hear the counts `cache.hit`, `cache.stale`, `cache.miss`,
`cache.evicted`, `cache.refreshed` and `cache.refresh_failed`; none of them names a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socialflow_core.cache._codecs import JSON

from .aengine import AsyncEngine
from .engine import Engine
from .front import Front, monotonic_us
from .store import AsyncMemoryStore, MemoryStore
from .table import Table

if TYPE_CHECKING:
    from socialflow_core._kit.clock import Clock
    from socialflow_core.cache._interface import Codec

__all__ = ["AsyncMemoryCache", "AsyncMemoryStore", "MemoryCache", "MemoryStore"]

_SOURCES = ("memory", "memory")


class MemoryCache(Engine):
    """See `Cache`. Thread-safe; the least recently used entries make room.

    Args:
        codec: What makes bytes of values where a call names none. Whoever asks gets a value
            of their own, unless the codec says that values do not change.
        max_entries: How many entries to keep.
        max_bytes: How many bytes they may take, about.
        max_value_bytes: A larger value is handed out and not kept.
        clock: Microseconds, since whenever.

    Raises:
        ValueError: If a bound is below 1.
    """

    def __init__(
        self,
        *,
        codec: Codec[Any] = JSON,
        max_entries: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
        max_value_bytes: int = 1024 * 1024,
        clock: Clock = monotonic_us,
    ) -> None:
        store = MemoryStore(Table(max_entries, max_bytes, is_open=True), clock)
        self.store = store
        front = Front(
            store.table,
            store_is_table=True,
            sources=_SOURCES,
            codec=codec,
            max_bytes=max_value_bytes,
            clock=clock,
        )
        super().__init__(store, front)


class AsyncMemoryCache(AsyncEngine):
    """`MemoryCache`, awaited.

    Args:
        cache: The one that keeps; several facades can share it, sync and async.
    """

    def __init__(self, cache: MemoryCache | None = None) -> None:
        cache = cache or MemoryCache()
        super().__init__(AsyncMemoryStore(cache.store), cache._front)  # noqa: SLF001 -- its twin

    async def aclose(self) -> None:
        """End what this event loop computes; calling it twice is fine."""
        await self.stop()

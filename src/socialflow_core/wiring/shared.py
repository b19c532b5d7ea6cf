"""The response cache and the locks, in Redis where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Base
from .built import built

if TYPE_CHECKING:
    from socialflow_core.cache import AsyncCache, Cache
    from socialflow_core.cache.memory import MemoryCache
    from socialflow_core.locks import AsyncLocks, Locks
    from socialflow_core.locks.memory import MemoryLocks

    from .capability import Capability

__all__ = ["Shared"]

_LOST = "Redis does not answer: every request misses, and upstreams are hit each time"


class Shared(Base):
    """What processes share: answers that were computed, and whose turn it is."""

    @built
    def _memory_cache(self) -> MemoryCache:
        from socialflow_core.cache.memory import MemoryCache  # noqa: PLC0415 -- on use

        return MemoryCache()

    @built
    def cache(self) -> Cache:
        """Keeps what was computed; shares it with `async_cache`.

        Raises:
            MissingExtraError: If there is a Redis, and the extra is not installed.
        """
        redis = self.settings.redis
        if not redis.in_use:
            return self._memory_cache
        from socialflow_core.cache.redis import RedisCache  # noqa: PLC0415 -- loads redis

        cache = RedisCache.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._resources.callback(cache.close)
        return cache

    @built
    def async_cache(self) -> AsyncCache:
        """`cache`, awaited."""
        redis = self.settings.redis
        if not redis.in_use:
            from socialflow_core.cache.memory import AsyncMemoryCache  # noqa: PLC0415 -- on use

            memory = AsyncMemoryCache(self._memory_cache)
            self._loop_resources.push_async_callback(memory.aclose)
            return memory
        from socialflow_core.cache.redis import AsyncRedisCache  # noqa: PLC0415 -- loads redis

        cache = AsyncRedisCache.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._loop_resources.push_async_callback(cache.aclose)
        return cache

    @built
    def _memory_locks(self) -> MemoryLocks:
        from socialflow_core.locks.memory import MemoryLocks  # noqa: PLC0415 -- on use

        return MemoryLocks()

    @built
    def locks(self) -> Locks:
        """One at a time: across processes where there is a Redis, else in this one.

        Raises:
            MissingExtraError: See `cache`.
        """
        redis = self.settings.redis
        if not redis.in_use:
            return self._memory_locks
        from socialflow_core.locks.redis import RedisLocks  # noqa: PLC0415 -- loads redis

        locks = RedisLocks.from_url(redis.url.reveal())
        self._resources.callback(locks.close)
        return locks

    @built
    def async_locks(self) -> AsyncLocks:
        """`locks`, awaited; those of a process exclude each other whichever kind they are."""
        redis = self.settings.redis
        if not redis.in_use:
            from socialflow_core.locks.memory import AsyncMemoryLocks  # noqa: PLC0415 -- on use

            return AsyncMemoryLocks(self._memory_locks)
        from socialflow_core.locks.redis import AsyncRedisLocks  # noqa: PLC0415 -- loads redis

        locks = AsyncRedisLocks.from_url(redis.url.reveal())
        self._loop_resources.push_async_callback(locks.aclose)
        return locks

    def _report_cache(self) -> Capability:
        return self._capability("cache", self._engine(), ("cache", "async_cache"), _LOST)

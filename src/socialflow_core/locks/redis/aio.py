"""`sync`, awaited."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Self

from socialflow_core._kit.errors import requires_extra
from socialflow_core.locks._interface import TRIES, TTL
from socialflow_core.locks._script import FENCE_KEPT_MS, TAKE
from socialflow_core.locks.memory.akeeper import AsyncKeeper

from .edge import ANSWER_LIMIT, PREFIX, as_redis_url, is_ours, keys, reached

with requires_extra("redis"):
    import redis.asyncio
    from redis.asyncio.lock import Lock
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta
    from types import TracebackType

    from socialflow_core.locks._interface import AsyncHeld, Tries

__all__ = ["AsyncRedisLocks"]


class _FencedLock(Lock):
    """redis-py's lock, taken together with a fence."""

    def __init__(self, client: redis.asyncio.Redis, prefix: str, name: str, ttl_us: int) -> None:
        self.own_name, self.fence_name = keys(prefix, name)
        self.fence = 0
        super().__init__(client, self.own_name, timeout=ttl_us / 1_000_000, thread_local=False)
        self.lua_take = client.register_script(TAKE)

    async def do_acquire(self, token: str | bytes) -> bool:
        """Take the lock and count the fence on."""
        ttl_ms = int(self.timeout * 1000) if self.timeout else 0
        reply = await self.lua_take(
            keys=[self.own_name, self.fence_name],
            args=[token, ttl_ms, FENCE_KEPT_MS],
            client=self.redis,
        )
        self.fence = int(reply)
        return self.fence > 0


class _AsyncGrip:
    """See `AsyncGrip`."""

    def __init__(self, client: redis.asyncio.Redis, prefix: str, name: str, ttl_us: int) -> None:
        self._lock = _FencedLock(client, prefix, name, ttl_us)
        self._token = secrets.token_hex(16)

    @property
    def fence(self) -> int:
        """See `Grip.fence`."""
        return self._lock.fence

    async def take(self) -> bool:
        """See `Grip.take`."""
        with reached():
            return bool(await self._lock.acquire(blocking=False, token=self._token))

    async def renew(self) -> bool:
        """See `Grip.renew`."""
        return await self._owned(self._lock.reacquire())

    async def release(self) -> bool:
        """See `Grip.release`."""
        return await self._owned(self._lock.release())

    async def _owned(self, work: Awaitable[Any]) -> bool:
        with is_ours() as ours, reached():
            await work
        return bool(ours)


class AsyncRedisLocks:
    """`RedisLocks`, awaited; for one event loop, as its client is."""

    def __init__(self, client: redis.asyncio.Redis, *, prefix: str = PREFIX) -> None:
        self._client = client
        self._keeper = AsyncKeeper(lambda name, ttl_us: _AsyncGrip(client, prefix, name, ttl_us))

    @classmethod
    def from_url(cls, url: str, *, timeout: timedelta = ANSWER_LIMIT, prefix: str = PREFIX) -> Self:
        """See `RedisLocks.from_url`."""
        seconds = timeout.total_seconds()
        client = as_redis_url(
            url,
            lambda known: redis.asyncio.Redis.from_url(
                known,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),
            ),
        )
        return cls(client, prefix=prefix)

    def lock(
        self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES
    ) -> AbstractAsyncContextManager[AsyncHeld]:
        """See `AsyncLocks.lock`."""
        return self._keeper.lock(name, ttl, tries)

    async def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> AsyncHeld | None:
        """See `AsyncLocks.try_lock`."""
        return await self._keeper.try_lock(name, ttl)

    async def aclose(self) -> None:
        """See `RedisLocks.close`; what is being given back is, first."""
        await self._keeper.settle()
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

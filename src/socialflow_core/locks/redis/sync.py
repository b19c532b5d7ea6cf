"""Locks over a client of redis-py."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Self

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.locks._interface import TRIES, TTL
from socialflow_core.locks._script import FENCE_KEPT_MS, TAKE
from socialflow_core.locks.memory.keeper import Keeper

from .edge import ANSWER_LIMIT, PREFIX, as_redis_url, is_ours, keys, reached

with requires_extra("redis"):
    import redis
    from redis.backoff import NoBackoff
    from redis.lock import Lock
    from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from types import TracebackType

    from socialflow_core.locks._interface import Held, Tries

__all__ = ["RedisLocks"]


class _FencedLock(Lock):
    """redis-py's lock, taken together with a fence."""

    def __init__(self, client: redis.Redis, prefix: str, name: str, ttl_us: int) -> None:
        self.own_name, self.fence_name = keys(prefix, name)
        self.fence = 0
        # Renewed from another thread than the one that took it, so the token is nobody's own.
        super().__init__(client, self.own_name, timeout=ttl_us / 1_000_000, thread_local=False)
        self.lua_take = client.register_script(TAKE)

    def do_acquire(self, token: str) -> bool:
        """Take the lock and count the fence on."""
        ttl_ms = int(self.timeout * 1000) if self.timeout else 0
        reply = self.lua_take(
            keys=[self.own_name, self.fence_name],
            args=[token, ttl_ms, FENCE_KEPT_MS],
            client=self.redis,
        )
        self.fence = int(reply)
        return self.fence > 0


class _Grip:
    """See `Grip`."""

    def __init__(self, client: redis.Redis, prefix: str, name: str, ttl_us: int) -> None:
        self._lock = _FencedLock(client, prefix, name, ttl_us)
        self._token = secrets.token_hex(16)

    @property
    def fence(self) -> int:
        """See `Grip.fence`."""
        return self._lock.fence

    def take(self) -> bool:
        """See `Grip.take`."""
        with reached():
            return bool(self._lock.acquire(blocking=False, token=self._token))

    def renew(self) -> bool:
        """See `Grip.renew`."""
        return self._owned(self._lock.reacquire)

    def release(self) -> bool:
        """See `Grip.release`."""
        return self._owned(self._lock.release)

    def _owned(self, work: Callable[[], Any]) -> bool:
        with is_ours() as ours, reached():
            work()
        return bool(ours)


class RedisLocks:
    """See `Locks`. Thread-safe, and fork-safe as far as the client is; that of `from_url` is.

    Args:
        client: Stays yours. It should have a `socket_timeout` below a third of the ttl, or
            one lost answer is one renewal lost; `lost` comes in time all the same.
        prefix: Keeps its keys apart from yours.
    """

    def __init__(self, client: redis.Redis, *, prefix: str = PREFIX) -> None:
        self._client = client
        self._make: Callable[[], redis.Redis] | None = None
        self._stuck: list[redis.Redis] = []
        self._keeper = Keeper(lambda name, ttl_us: _Grip(self._client, prefix, name, ttl_us))
        renew_in_forks(self, RedisLocks._begin_in_child)

    def _begin_in_child(self) -> None:
        # Another thread may have held the lock of the client's pool, for good. It is kept:
        # collected, it would wait for that lock.
        if self._make is not None:
            self._stuck.append(self._client)
            self._client = self._make()

    @classmethod
    def from_url(cls, url: str, *, timeout: timedelta = ANSWER_LIMIT, prefix: str = PREFIX) -> Self:
        """Lock at redis://, rediss://, unix://, valkey:// or valkeys:// .

        Args:
            url: Where.
            timeout: The longest to wait for an answer, and for a connection.
            prefix: Keeps its keys apart from yours.

        Raises:
            ValueError: If *url* is none of these; nothing of it is told.
        """
        seconds = timeout.total_seconds()

        def make() -> redis.Redis:
            return as_redis_url(
                url,
                lambda known: redis.Redis.from_url(
                    known,
                    socket_timeout=seconds,
                    socket_connect_timeout=seconds,
                    retry=Retry(NoBackoff(), 0),
                ),
            )

        locks = cls(make(), prefix=prefix)
        locks._make = make
        return locks

    def lock(self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES) -> Held:
        """See `Locks.lock`."""
        return self._keeper.lock(name, ttl, tries)

    def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> Held | None:
        """See `Locks.try_lock`."""
        return self._keeper.try_lock(name, ttl)

    def close(self) -> None:
        """Close the client's connections; locks that are held end with their ttl."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

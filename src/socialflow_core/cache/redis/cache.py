"""A cache shared by every process: a store in Redis, and a tier in front of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from socialflow_core.cache._codecs import JSON
from socialflow_core.cache._script import Names
from socialflow_core.cache.memory.aengine import AsyncEngine
from socialflow_core.cache.memory.engine import Engine
from socialflow_core.cache.memory.front import Front
from socialflow_core.cache.memory.table import Table
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import AsyncRedisLink, Endpoint, RedisLink

from .listener import Listener
from .store import AsyncRedisStore, RedisStore

if TYPE_CHECKING:
    from socialflow_core.cache._interface import Codec
    from socialflow_core.redislink import AsyncLink, Link

__all__ = ["AsyncRedisCache", "RedisCache", "RedisCacheOptions", "link_options"]

_SOURCES = ("local", "redis")
_DEADLINE = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCacheOptions:
    """How a cache in Redis keeps things.

    Attributes:
        prefix: Keeps its keys apart from yours; the number is the version of their form.
        codec: What makes bytes of values where a call names none.
        max_value_bytes: A larger value is handed out and not kept; one that another process
            has kept is not read.
        compress_above: Values of more bytes are compressed in Redis (zlib).
        local_entries: How many entries the tier in this process holds.
        local_bytes: How many bytes they may take, about.
        heartbeat: So often a silent connection that hears invalidations is tried; the local
            tier is out of date for at most twice that when the network breaks silently.

    Raises:
        ValueError: If a number is below 1, or *heartbeat* is not positive.
    """

    prefix: str = "cache1"
    codec: Codec[Any] = JSON
    max_value_bytes: int = 1024 * 1024
    compress_above: int = 4096
    local_entries: int = 10_000
    local_bytes: int = 32 * 1024 * 1024
    heartbeat: timedelta = timedelta(milliseconds=500)

    def __post_init__(self) -> None:
        if min(self.max_value_bytes, self.compress_above) < 1:
            raise ValueError("max_value_bytes and compress_above must be at least 1")
        if self.heartbeat <= timedelta(0):
            raise ValueError("heartbeat must be longer than zero")


def link_options(
    options: RedisCacheOptions | None = None, deadline: timedelta = _DEADLINE
) -> LinkOptions:
    """How a link of your own is to reach the store of a cache with these *options*.

    Each connection begins by asking whether the server was started again: what it remembers
    then may be from before an invalidation, and nothing of it is believed.
    """
    names = Names((options or RedisCacheOptions()).prefix)
    return LinkOptions(deadline=deadline, greeting=names.greeting())


class _Tier:
    """What both kinds have beside their store: names, the tier, and who listens for it."""

    def __init__(
        self, link: Link | AsyncLink, endpoint: Endpoint | None, options: RedisCacheOptions
    ) -> None:
        if endpoint is not None and getattr(link, "is_cluster", False):
            # Keys move between nodes, and only their owner tells of them.
            raise ValueError("endpoint: there is no local tier before a cluster")
        self.options = options
        self.names = Names(options.prefix)
        self.table = Table(options.local_entries, options.local_bytes, is_open=False)
        self.listener = (
            None
            if endpoint is None
            else Listener(endpoint, LinkOptions(), self.names, self.table, options.heartbeat)
        )
        self.front = Front(
            self.table,
            store_is_table=False,
            sources=_SOURCES,
            codec=options.codec,
            max_bytes=options.max_value_bytes,
        )

    def start(self) -> None:
        """Listen, if that is wanted."""
        if self.listener is not None:
            self.listener.start()

    def lose(self) -> None:
        """The store is away."""
        if self.listener is not None:
            self.listener.lose()

    def close(self) -> None:
        """End listening."""
        if self.listener is not None:
            self.listener.close()
        self.table.close()


class RedisCache(Engine):
    """See `Cache`. Thread-safe and fork-safe.

    Args:
        link: The way to Redis, made with `link_options`; `from_url` makes one.
        endpoint: Where to hear of invalidations; without, there is no local tier, and
            every hit takes a round trip. None for a cluster.
        options: How to keep things.

    Raises:
        ValueError: If there is an endpoint, and the link is that of a cluster.
    """

    def __init__(
        self,
        link: Link,
        *,
        endpoint: Endpoint | None = None,
        options: RedisCacheOptions | None = None,
    ) -> None:
        self._tier = _Tier(link, endpoint, options or RedisCacheOptions())
        self._link = link
        store = RedisStore(
            link,
            self._tier.names,
            compress_above=self._tier.options.compress_above,
            most_bytes=self._tier.options.max_value_bytes,
            used=self._tier.start,
            lost=self._tier.lose,
        )
        super().__init__(store, self._tier.front)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        deadline: timedelta = _DEADLINE,
        local: bool = True,
        options: RedisCacheOptions | None = None,
    ) -> Self:
        """Keep things in the Redis or Valkey at *url*; *local*: and in this process."""
        link = RedisLink.from_url(url, link_options(options, deadline))
        endpoint = Endpoint.from_url(url) if local else None
        return cls(link, endpoint=endpoint, options=options)

    @property
    def is_available(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._link.is_available

    @property
    def is_local(self) -> bool:
        """Whether the local tier is in use."""
        return self._tier.table.is_open

    def close(self) -> None:
        """Close the link and the local tier; calling it twice is fine."""
        self._tier.close()
        self._link.close()


class AsyncRedisCache(AsyncEngine):
    """`RedisCache`, awaited; questions of one turn of the event loop travel together."""

    def __init__(
        self,
        link: AsyncLink,
        *,
        endpoint: Endpoint | None = None,
        options: RedisCacheOptions | None = None,
    ) -> None:
        self._tier = _Tier(link, endpoint, options or RedisCacheOptions())
        self._link = link
        store = AsyncRedisStore(
            link,
            self._tier.names,
            compress_above=self._tier.options.compress_above,
            most_bytes=self._tier.options.max_value_bytes,
            used=self._tier.start,
            lost=self._tier.lose,
        )
        super().__init__(store, self._tier.front)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        deadline: timedelta = _DEADLINE,
        local: bool = True,
        options: RedisCacheOptions | None = None,
    ) -> Self:
        """See `RedisCache.from_url`."""
        link = AsyncRedisLink.from_url(url, link_options(options, deadline))
        endpoint = Endpoint.from_url(url) if local else None
        return cls(link, endpoint=endpoint, options=options)

    @property
    def is_available(self) -> bool:
        """Whether Redis answered when this event loop last asked it."""
        return self._link.is_available

    @property
    def is_local(self) -> bool:
        """Whether the local tier is in use."""
        return self._tier.table.is_open

    async def aclose(self) -> None:
        """Close the link of this event loop and the local tier; calling it twice is fine."""
        await self.stop()
        # On another thread, for the one that listens may just be connecting.
        await asyncio.to_thread(self._tier.close)
        await self._link.aclose()

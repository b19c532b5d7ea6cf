"""Caches over a real cluster of three nodes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from socialflow_core.cache.redis import AsyncRedisCache, RedisCache, link_options
from socialflow_core.redislink.redis import AsyncPlainLink, Endpoint, PlainLink
from socialflow_core.testing.servers.valkey_cluster import ValkeyCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR = timedelta(hours=1)
_OPTIONS = link_options(deadline=timedelta(seconds=1))


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three nodes."""
    with ValkeyCluster(nodes=3) as cluster:
        yield cluster


def test_hits_tags_and_invalidations(cluster: ValkeyCluster) -> None:
    """All keys of a cache are on one node, which any client finds."""
    retry = Retry(NoBackoff(), 0)
    with redis.RedisCluster.from_url(cluster.url, socket_timeout=1, retry=retry) as client:
        link = PlainLink(client, _OPTIONS)
        cache, other = RedisCache(link), RedisCache(link)
        assert cache.get_or_compute("a", lambda: 1, ttl=_HOUR, tags=("x", "y")) == 1
        assert other.lookup("a", lambda: 2, ttl=_HOUR, tags=("x", "y")).source == "redis"
        assert other.invalidate_tags("y")
        assert cache.get_or_compute("a", lambda: 3, ttl=_HOUR, tags=("x", "y")) == 3
        assert cache.invalidate("a")
        assert other.get_or_compute("a", lambda: 4, ttl=_HOUR, tags=("x", "y")) == 4
        with pytest.raises(ValueError, match="no local tier before a cluster"):
            RedisCache(link, endpoint=Endpoint.from_url(cluster.nodes[0].url))
        cache.close()


def test_the_same_for_event_loops(cluster: ValkeyCluster) -> None:
    """The async client of a cluster works as the sync one does."""

    async def scene() -> None:
        retry = AsyncRetry(NoBackoff(), 0)
        async with redis.asyncio.RedisCluster.from_url(
            cluster.url, socket_timeout=1, retry=retry
        ) as client:
            link = AsyncPlainLink(client, _OPTIONS)
            cache = AsyncRedisCache(link)

            async def compute() -> int:
                return 5

            assert await cache.get_or_compute("b", compute, ttl=_HOUR) == 5
            assert (await cache.lookup("b", compute, ttl=_HOUR)).source == "redis"
            assert await cache.invalidate("b")
            assert (await cache.lookup("b", compute, ttl=_HOUR)).source == "computed"
            with pytest.raises(ValueError, match="no local tier before a cluster"):
                AsyncRedisCache(link, endpoint=Endpoint.from_url(cluster.nodes[0].url))
            await cache.aclose()

    asyncio.run(scene())

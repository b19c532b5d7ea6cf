"""The plain links over a real cluster of three nodes."""

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

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter
from socialflow_core.redislink.redis.plain import AsyncPlainLink, PlainLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey_cluster import ValkeyCluster
from tests.redislink.kit import OPTIONS, TOTAL

if TYPE_CHECKING:
    from collections.abc import Iterator

_USERS = [f"user{number}" for number in range(20)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three nodes that share the slots."""
    with ValkeyCluster(nodes=3) as cluster:
        yield cluster


def _client(cluster: ValkeyCluster) -> redis.RedisCluster:
    retry = Retry(NoBackoff(), 0)
    return redis.RedisCluster.from_url(cluster.url, socket_timeout=0.2, retry=retry)


def _async_client(cluster: ValkeyCluster) -> redis.asyncio.RedisCluster:
    retry = AsyncRetry(NoBackoff(), 0)
    return redis.asyncio.RedisCluster.from_url(cluster.url, socket_timeout=0.2, retry=retry)


def _keys(user: str) -> list[str]:
    return [f"a:{{{user}}}", f"b:{{{user}}}"]


def test_keys_with_one_hash_tag_are_judged_together(cluster: ValkeyCluster) -> None:
    """Each user's keys live on some node, and a script runs there."""
    with _client(cluster) as client:
        link = PlainLink(client, OPTIONS)
        assert [link.call(TOTAL, _keys(user), []) for user in _USERS] == [2] * 20
        with pytest.raises(ValueError, match="hash tag"):
            link.call(TOTAL, ["a:{one}", "b:{another}"], [])
        assert link.is_available
        link.close()
    assert {cluster.node_of(_keys(user)[0]).port for user in _USERS} == {
        node.port for node in cluster.nodes
    }


def test_the_same_for_event_loops(cluster: ValkeyCluster) -> None:
    """The async client of a cluster works as the sync one does."""

    async def scene() -> None:
        async with _async_client(cluster) as client:
            link = AsyncPlainLink(client, OPTIONS)
            replies = [await link.call(TOTAL, _keys(f"async {user}"), []) for user in _USERS]
            assert replies == [2] * 20
            with pytest.raises(ValueError, match="hash tag"):
                await link.call(TOTAL, ["a:{one}", "b:{another}"], [])
            await link.aclose()

    asyncio.run(scene())


_DAILY, _BURST = (Limit(name, Rate.parse("10/h")) for name in ("daily", "burst"))
_BOUND = timedelta(milliseconds=200)


def test_limits_of_one_hit_are_judged_together(cluster: ValkeyCluster) -> None:
    """On whatever node its key lives, all or nothing, in sync and async code alike."""
    with _client(cluster) as client:
        limiter = RedisRateLimiter.from_cluster(client, deadline=_BOUND)
        for user in _USERS:
            assert [part.remaining for part in limiter.hit(user, _DAILY, _BURST).each] == [9, 9]
        limiter.close()

    async def scene() -> None:
        async with _async_client(cluster) as client:
            limiter = AsyncRedisRateLimiter.from_cluster(client, deadline=_BOUND)
            for user in _USERS:
                decision = await limiter.hit(user, _DAILY, _BURST)
                assert [part.remaining for part in decision.each] == [8, 8]
            await limiter.aclose()

    asyncio.run(scene())


def test_a_cluster_that_is_gone_is_unavailable(cluster: ValkeyCluster) -> None:
    """Whatever redis-py raises becomes our error; the cluster's return is noticed."""
    with _client(cluster) as client:
        link = PlainLink(client, OPTIONS)
        for node in cluster.nodes:
            node.kill()
        with pytest.raises(UnavailableError):
            link.call(TOTAL, ["gone"], [])
        assert not link.is_available
        for node in cluster.nodes:
            node.restart()
        cluster.wait()
        wait_until(lambda: link.is_available, "the link is back")
        link.call(TOTAL, ["gone"], [])
        link.close()

"""Links behind a Sentinel, by redis-py's own pools, when another server becomes the primary."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncSentinelPool
from redis.sentinel import SentinelConnectionPool

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import AsyncRedisLink, RedisLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.redislink.kit import ADD, poll


class Primary:
    """What redis-py's pools ask a Sentinel for."""

    def __init__(self, server: Valkey) -> None:
        self.connection_kwargs: dict[str, Any] = {}
        self.server = server

    def discover_master(self, name: str) -> tuple[str, int]:
        """Where the primary is now."""
        del name
        return self.server.host, self.server.port


class AsyncPrimary(Primary):
    """The same, awaited."""

    async def discover_master(self, name: str) -> tuple[str, int]:  # type: ignore[override]  # -- see above
        """Where the primary is now."""
        return super().discover_master(name)


def test_a_failover_is_followed() -> None:
    """When the old primary turns read-only, the link asks the Sentinel where the new one is."""
    with Valkey() as old, Valkey() as new:
        primary = Primary(old)
        client = redis.Redis(connection_pool=SentinelConnectionPool("main", primary))  # type: ignore[no-untyped-call]  # -- as it is there
        link = RedisLink.from_client(client, LinkOptions(probe=("SET", "probe", 1)))
        assert link.call(ADD, ["hits"], [5]) == 5
        primary.server = new
        old.command("REPLICAOF", new.host, new.port)
        with pytest.raises(UnavailableError):
            link.call(ADD, ["hits"], [1])
        wait_until(lambda: link.is_available, "the new primary is found")
        link.call(ADD, ["hits"], [1])
        assert new.command("GET", "hits") == "1"
        link.close()


def test_an_async_failover_is_followed() -> None:
    """The same on an event loop."""

    async def scene(old: Valkey, new: Valkey) -> None:
        primary = AsyncPrimary(old)
        client = redis.asyncio.Redis(connection_pool=AsyncSentinelPool("main", primary))  # type: ignore[no-untyped-call]  # -- as it is there
        link = AsyncRedisLink.from_client(client, LinkOptions(probe=("SET", "probe", 1)))
        assert await link.call(ADD, ["hits"], [5]) == 5
        primary.server = new
        old.command("REPLICAOF", new.host, new.port)
        with pytest.raises(UnavailableError):
            await link.call(ADD, ["hits"], [1])
        await poll(lambda: link.is_available, "the new primary is found")
        await link.call(ADD, ["hits"], [1])
        assert new.command("GET", "hits") == "1"
        await link.aclose()

    with Valkey() as old, Valkey() as new:
        asyncio.run(scene(old, new))

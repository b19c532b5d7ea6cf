"""Limiters on servers that are full, guarded or shared, and what they tell of them."""

from __future__ import annotations

import asyncio
import secrets
import threading
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio

from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter
from socialflow_core.redislink.redis.sync import RedisLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.ratelimit.redis_kit import LOGIN, PATIENT

if TYPE_CHECKING:
    from socialflow_core.ratelimit import Decision


def _full(decision: Decision) -> int | None:
    """What remains, if that is the full answer."""
    return None if decision.degraded else decision.remaining


@pytest.mark.parametrize("kind", ["url", "client"])
def test_a_full_server_is_away_until_it_has_room(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However the limiter was made, the probe is a write: one outage, not one each probe."""

    def refusals(server: Valkey) -> int:
        return int(server.info("stats")["total_error_replies"])

    def told() -> list[str]:
        ours = [each for each in caplog.records if each.name.startswith("socialflow_core")]
        return [each.getMessage().split()[1].strip(":") for each in ours]

    full = {"maxmemory": "1mb", "maxmemory-policy": "noeviction"}
    with Valkey(config=full) as server, redis.Redis.from_url(server.url) as client:
        if kind == "url":
            limiter = RedisRateLimiter.from_url(server.url, deadline=PATIENT)
        else:
            limiter = RedisRateLimiter.from_client(client, deadline=PATIENT)
        assert limiter.hit("alice", LOGIN).degraded
        before = refusals(server)
        wait_until(lambda: refusals(server) >= before + 3, "it was probed several times")
        assert told() == ["degraded"]
        server.command("CONFIG", "SET", "maxmemory", 0)
        wait_until(lambda: limiter.is_available, "it has room")
        wait_until(lambda: told() == ["degraded", "recovered"], "that is told, too")
        limiter.close()


def test_an_async_client_lends_its_way(valkey: Valkey) -> None:
    """The limiter goes where the client goes, on a connection of its own."""

    async def scene() -> str:
        async with redis.asyncio.Redis.from_url(valkey.url) as client:
            limiter = AsyncRedisRateLimiter.from_client(client, deadline=PATIENT)
            decision = await limiter.hit("alice", LOGIN)
            await limiter.aclose()
            return decision.source

    assert asyncio.run(scene()) == "redis"


def test_it_needs_no_key_but_its_own() -> None:
    """With an access list for its prefix it works, and comes back after an outage."""
    with Valkey(config={"user": "app on >right ~{rl1:* +@all"}) as server:
        limiter = RedisRateLimiter.from_url(f"redis://app:right@{server.host}:{server.port}")
        assert limiter.hit("alice", LOGIN).source == "redis"
        server.freeze()
        try:
            assert limiter.hit("alice", LOGIN).degraded
        finally:
            server.thaw()
        wait_until(lambda: limiter.is_available, "it is back")
        assert limiter.hit("bob", LOGIN).source == "redis"
        limiter.close()


def test_two_limiters_may_share_a_link(valkey: Valkey) -> None:
    """Both pay for what they let through while the server was away."""
    link = RedisLink.from_url(valkey.url)
    limiters = [RedisRateLimiter(link, prefix=prefix) for prefix in ("one", "two")]
    for limiter in limiters:
        limiter.hit("alice", LOGIN)
    valkey.freeze()
    try:
        while not limiters[0].peek("alice", LOGIN).degraded:
            pass
        for limiter in limiters:
            assert limiter.hit("alice", LOGIN).degraded
    finally:
        valkey.thaw()
    for limiter in limiters:
        wait_until(
            lambda: _full(limiter.peek("alice", LOGIN)) == 1,  # noqa: B023 -- used at once
            "its hit is counted",
        )
    link.close()


def test_a_password_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Neither right nor wrong passwords are in a repr, a log line or a decision."""
    password, wrong = secrets.token_urlsafe(), secrets.token_urlsafe()
    with Valkey(password=password) as server, caplog.at_level("DEBUG"):
        good = RedisRateLimiter.from_url(server.url)
        bad = RedisRateLimiter.from_url(server.url.replace(password, wrong))
        told = repr([good.hit("alice", LOGIN), bad.hit("alice", LOGIN), good, bad])
        assert "the store is away" in told
        told += caplog.text + repr(vars(good)) + repr(vars(bad))
        assert password not in told
        assert wrong not in told
        good.close()
        bad.close()
    wait_until(lambda: "redislink" not in str(threading.enumerate()), "no thread is left")

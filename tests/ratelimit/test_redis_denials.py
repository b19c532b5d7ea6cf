"""Keys that are known to be at their limit: refused without asking, and never for too long."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter
from socialflow_core.redislink.redis.aio import AsyncRedisLink
from socialflow_core.testing.poll import wait_until
from tests.ratelimit.redis_kit import (
    LOGIN,
    MINUTE,
    PATIENT_LINK,
    Make,
    making,
)
from tests.redislink.limiters import KINDS, Limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Make]:
    """A maker of either kind of limiter."""
    with making(request.param, valkey) as make:
        yield make


@pytest.fixture
def limiter(make: Make) -> Limiter:
    """A limiter of either kind."""
    limiter = make()
    limiter.peek("warm up", LOGIN)
    return limiter


def test_no_round_trip_for_a_known_denial(limiter: Limiter, valkey: Valkey) -> None:
    """Who is at the limit is refused without asking again, and told how long to wait from now."""
    limiter.hit("alice", LOGIN, cost=3)
    first = limiter.hit("alice", LOGIN)
    before = valkey.round_trips()
    told = [limiter.hit("alice", LOGIN) for _ in range(10)]
    assert valkey.round_trips() == before
    assert not any(told)
    assert {decision.source for decision in told} == {"deny-cache"}
    assert first.source == "redis"
    waits = [first.retry_us, *(decision.retry_us for decision in told)]
    assert waits == sorted(waits, reverse=True)
    assert {decision.now_us + decision.retry_us for decision in told} == {
        first.now_us + first.retry_us
    }


def test_a_denial_answers_only_for_what_costs_as_much(limiter: Limiter, valkey: Valkey) -> None:
    """A hit that costs less may still fit, so the server is asked."""
    limiter.hit("alice", LOGIN)
    assert not limiter.hit("alice", LOGIN, cost=3)
    before = valkey.round_trips()
    assert not limiter.hit("alice", LOGIN, cost=3)
    assert valkey.round_trips() == before
    assert limiter.hit("alice", LOGIN, cost=2)
    assert not limiter.hit("alice", LOGIN, cost=1)
    assert valkey.round_trips() - before == 2


def test_a_denial_ends_with_its_window(make: Make) -> None:
    """When the limit is free again, so is the key."""
    limiter, limit = make(), Limit("short", Rate(1, per=timedelta(milliseconds=60)))
    assert limiter.hit("alice", limit)
    begin = time.monotonic()
    wait_until(lambda: bool(limiter.hit("alice", limit)), "the window is over")
    assert time.monotonic() - begin < 1


def test_a_reset_counts_here_at_once(limiter: Limiter) -> None:
    """Whoever resets a key may hit it."""
    limiter.hit("alice", LOGIN, cost=3)
    assert not limiter.hit("alice", LOGIN)
    limiter.reset("alice", LOGIN)
    assert limiter.hit("alice", LOGIN).remaining == 2


def test_a_reset_elsewhere_counts_within_the_deny_ttl(make: Make) -> None:
    """Another process learns of it as soon as its denials are old."""
    here, there = make(deny_ttl=timedelta(milliseconds=150)), make()
    here.hit("alice", LOGIN, cost=3)
    assert not here.hit("alice", LOGIN)
    there.reset("alice", LOGIN)
    begin = time.monotonic()
    assert here.hit("alice", LOGIN).source == "deny-cache"
    wait_until(lambda: bool(here.hit("alice", LOGIN)), "the denial is forgotten")
    assert time.monotonic() - begin < 1


def test_a_dearer_hit_waits_longer_than_a_denied_one(limiter: Limiter) -> None:
    """What a bucket needs to refill for it is not what a cheaper hit was told."""
    bucket = Limit("b", Rate(10, per=timedelta(seconds=100)), strategy=Strategy.TOKEN_BUCKET)
    limiter.hit("alice", bucket, cost=10)
    assert limiter.hit("alice", bucket).retry_after <= timedelta(seconds=10)
    assert limiter.hit("alice", bucket, cost=5).retry_after > timedelta(seconds=40)
    assert limiter.hit("alice", bucket).source == "redis"
    assert limiter.hit("alice", bucket).source == "deny-cache"


def test_a_reset_beats_the_hits_that_were_under_way(valkey: Valkey) -> None:
    """What they were told is forgotten with the rest."""

    async def scene() -> bool:
        limiter = AsyncRedisRateLimiter(AsyncRedisLink.from_url(valkey.url, PATIENT_LINK))
        for _ in range(3):
            await limiter.hit("alice", LOGIN)
        await asyncio.gather(limiter.hit("alice", LOGIN), limiter.reset("alice", LOGIN))
        allowed = (await limiter.hit("alice", LOGIN)).allowed
        await limiter.aclose()
        return allowed

    assert asyncio.run(scene())


def test_what_is_remembered_is_bounded(make: Make) -> None:
    """However many keys are refused or counted, few are kept here, and none is let through."""
    limiter = make(max_keys=10)
    limits = LOGIN, Limit("other", Rate(3, per=MINUTE))
    for number in range(50):
        limiter.hit(f"user{number}", *limits, cost=2)
        limiter.hit(f"user{number}", *limits, cost=2)
    for number in range(50):
        limiter.hit("one user", Limit(f"limit{number}", Rate(1, per=MINUTE)))
        assert not limiter.hit("one user", Limit(f"limit{number}", Rate(1, per=MINUTE)))
    shared = limiter.inner._shared
    denied = shared.denials._denied
    assert len(denied) <= 10
    assert all(len(denials) <= 16 for denials in denied.values())
    assert all(len(wording.known) <= 10 for wording in shared._wordings.values())
    assert not limiter.hit("user0", *limits, cost=3)

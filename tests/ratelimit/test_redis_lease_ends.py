"""How a lease ends: given back, with its window, in an outage, and never in a forked child."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.redis import (
    LeasingRateLimiter,
    RedisRateLimiter,
)
from socialflow_core.redislink.redis import RedisLink
from socialflow_core.testing.poll import wait_until
from tests._kit.forked import in_child
from tests.ratelimit.redis_kit import (
    PATIENT_LINK,
    Make,
    making_leases,
)
from tests.redislink.limiters import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey

WINDOWS = (Strategy.FIXED_WINDOW, Strategy.SLIDING_WINDOW)
API = Limit("api", Rate.parse("1000/h"))


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Make]:
    """A maker of either kind of limiter."""
    with making_leases(request.param, valkey) as make:
        yield make


def plain(valkey: Valkey, stack: ExitStack) -> RedisRateLimiter:
    """One that asks every time."""
    limiter = RedisRateLimiter(RedisLink.from_url(valkey.url, PATIENT_LINK))
    stack.callback(limiter.close)
    return limiter


@pytest.mark.parametrize("strategy", WINDOWS)
def test_closing_gives_back_what_is_held(make: Make, valkey: Valkey, strategy: Strategy) -> None:
    """Of two leased keys, what was not spent can be spent by others; twice is fine."""
    limits = (
        Limit("minute", Rate(100, per=timedelta(minutes=1)), strategy=strategy),
        Limit("hour", Rate(1000, per=timedelta(hours=1)), strategy=strategy),
    )
    limiter = make(units=10)
    for key in ("alice", "bob"):
        limiter.hit(key, *limits, cost=3)
    limiter.close()
    limiter.close()
    with ExitStack() as stack:
        other = plain(valkey, stack)
        for key in ("alice", "bob"):
            assert [part.remaining for part in other.peek(key, *limits).each] == [97, 997]


def test_what_was_never_spent_leaves_no_key(make: Make, valkey: Valkey) -> None:
    """A lease given back whole is as if it had not been taken."""
    limiter = make(units=10)
    limiter.hit("alice", API)
    with ExitStack() as stack:
        other = plain(valkey, stack)
        told = other.peek("alice", API)
        start = told.now_us + told.reset_us - 3_600_000_000
        other.give_back("alice", [API], 10, [start])
    assert valkey.command("DBSIZE") == 0


def test_another_window_takes_nothing_back(valkey: Valkey) -> None:
    """What was counted in a window that is over is not subtracted from the next one."""
    with ExitStack() as stack:
        limiter = plain(valkey, stack)
        told = limiter.hit("alice", API, cost=5)
        start = told.now_us + told.reset_us - 3_600_000_000
        limiter.give_back("alice", [API], 3, [start - 1])
        limiter.give_back("nobody", [API], 3, [start])
        assert limiter.peek("alice", API).remaining == 995


def test_a_server_that_is_gone_takes_nothing_back_and_closing_ends(valkey: Valkey) -> None:
    """Closing is bounded and silent; what was held is forgotten with its window."""
    limiter = LeasingRateLimiter(RedisRateLimiter.from_url(valkey.url), units=10)
    limiter.hit("alice", API)
    valkey.freeze()
    try:
        begin = time.monotonic()
        limiter.close()
        assert time.monotonic() - begin < 2
    finally:
        valkey.thaw()


def test_without_the_store_a_lease_is_still_spent(valkey: Valkey) -> None:
    """What is held needs no store; after it the failure policy decides, and says so."""
    inner = RedisRateLimiter.from_url(valkey.url)
    with LeasingRateLimiter(inner, units=4) as limiter:
        assert limiter.hit("alice", API).remaining == 999
        valkey.freeze()
        try:
            held = [limiter.hit("alice", API) for _ in range(3)]
            assert [(each.source, each.degraded) for each in held] == [("lease", False)] * 3
            away = [limiter.hit("alice", API) for _ in range(4)]
            assert [each.source for each in away] == ["memory", "lease", "lease", "lease"]
            assert all(each.degraded for each in away)
            assert [each.remaining for each in away] == [995, 994, 993, 992]
        finally:
            valkey.thaw()
        wait_until(lambda: inner.is_available, "the server to be back")


def test_a_forked_child_spends_nothing_of_its_parent(valkey: Valkey) -> None:
    """The child takes a lease of its own, or one unit would be spent twice."""
    limiter = LeasingRateLimiter(RedisRateLimiter(RedisLink.from_url(valkey.url, PATIENT_LINK)))
    limiter.hit("alice", API)
    assert in_child(lambda: limiter.hit("alice", API).source == "redis")
    assert limiter.hit("alice", API).source == "lease"
    limiter.close()

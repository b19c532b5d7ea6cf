"""`LeasingRateLimiter` and its async twin: fewer trips, and never above the limit."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.memory import MemoryRateLimiter
from socialflow_core.ratelimit.redis import (
    AsyncLeasingRateLimiter,
    AsyncRedisRateLimiter,
    LeasingRateLimiter,
    RedisRateLimiter,
)
from socialflow_core.redislink.redis import AsyncRedisLink, RedisLink
from socialflow_core.testing.poll import wait_until
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


def test_leases_of_ten_cost_a_tenth_of_the_trips(make: Make, valkey: Valkey) -> None:
    """100 hits make 10 round trips."""
    limiter = make(units=10)
    limiter.hit("warm", API)
    before = valkey.round_trips()
    sources = [limiter.hit("alice", API).source for _ in range(100)]
    assert valkey.round_trips() - before == 10
    assert (sources.count("redis"), sources.count("lease")) == (10, 90)


@pytest.mark.parametrize("strategy", WINDOWS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(allowed=st.integers(1, 30), units=st.integers(1, 40))
def test_alone_it_decides_as_if_it_asked_every_time(
    make: Make, valkey: Valkey, strategy: Strategy, allowed: int, units: int
) -> None:
    """One process sees no difference: what is allowed, and how much remains."""
    valkey.command("FLUSHALL")
    limiter, oracle = make(units=units), MemoryRateLimiter(clock=lambda: 0)
    limit = Limit("api", Rate(allowed, per=timedelta(hours=1)), strategy=strategy)
    for _ in range(allowed + 2):
        told, expected = limiter.hit("a", limit), oracle.hit("a", limit)
        assert (told.allowed, told.remaining) == (expected.allowed, expected.remaining)
    limiter.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    allowed=st.integers(1, 30),
    units=st.integers(1, 40),
    costs=st.lists(st.integers(1, 6), max_size=60),
)
def test_costs_that_differ_are_refused_too_early_by_a_packet_at_most(
    make: Make, valkey: Valkey, allowed: int, units: int, costs: list[int]
) -> None:
    """What remains is what was not spent, and who is refused wanted more than that less a lease."""
    valkey.command("FLUSHALL")
    limiter, spent = make(units=units), 0
    limit = Limit("api", Rate(allowed, per=timedelta(hours=1)))
    for cost in costs:
        if cost <= allowed:
            told = limiter.hit("a", limit, cost=cost)
            spent += cost if told else 0
            assert told.remaining == allowed - spent
            assert told or cost > told.remaining - units
    limiter.close()


@pytest.mark.parametrize("strategy", WINDOWS)
def test_together_they_never_spend_more_than_the_limit(make: Make, strategy: Strategy) -> None:
    """Three processes' worth: at most the limit, at least all but a packet of each other one."""
    limit = Limit("api", Rate(100, per=timedelta(hours=1)), strategy=strategy)
    limiters = [make(units=7) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        rounds = pool.map(
            lambda limiter: sum(bool(limiter.hit("a", limit)) for _ in range(70)), limiters
        )
        assert 100 - 2 * 6 <= sum(rounds) <= 100


def test_threads_share_a_lease(valkey: Valkey) -> None:
    """Eight threads spend the limit; who is refused while a lease is on its way comes again."""
    limit = Limit("api", Rate(100, per=timedelta(hours=1)))
    inner = RedisRateLimiter(RedisLink.from_url(valkey.url, PATIENT_LINK))
    with LeasingRateLimiter(inner, units=10) as limiter, ThreadPoolExecutor(8) as pool:
        hits = sum(pool.map(lambda _: bool(limiter.hit("a", limit)), range(400)))
        assert hits + sum(bool(limiter.hit("a", limit)) for _ in range(20)) == 100


def test_a_crowd_takes_one_lease(valkey: Valkey) -> None:
    """Of 32 tasks at once one takes a lease, and the others ask for themselves."""

    async def scene() -> None:
        inner = AsyncRedisRateLimiter(AsyncRedisLink.from_url(valkey.url, PATIENT_LINK))
        async with AsyncLeasingRateLimiter(inner, units=10) as limiter:
            told = await asyncio.gather(*(limiter.hit("a", API) for _ in range(32)))
            assert all(told)
            stored = await inner.peek("a", API)
            assert stored.remaining == 1000 - 31 - 10

    asyncio.run(scene())


def test_nothing_is_spent_after_the_window(make: Make) -> None:
    """A unit is spent before the window ends from which it was taken, by the store's clock."""
    limit = Limit("api", Rate(500, per=timedelta(milliseconds=50)))
    limiter = make(units=50)
    sources = set()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        before = time.time_ns() // 1000  # the server's clock too: it is the same machine's
        told = limiter.hit("a", limit)
        sources.add(told.source)
        if told.allowed:
            assert before <= told.now_us + told.reset_us
    assert {"redis", "lease"} <= sources


def test_a_window_that_slides_is_leased_to_its_end_only(make: Make, valkey: Valkey) -> None:
    """A lease ends with the window in which it was counted, not when it stops to count."""
    period = timedelta(milliseconds=300)
    limit = Limit("api", Rate(100, per=period), strategy=Strategy.SLIDING_WINDOW)
    limiter = make(units=10)
    taken = limiter.hit("a", limit)
    start = taken.now_us + taken.reset_us - 2 * 300_000
    wait_until(lambda: time.time_ns() // 1000 > start + 300_000, "the window to end")
    assert limiter.hit("a", limit).source == "redis"
    assert valkey.command("DBSIZE") == 1


def test_peek_adds_what_is_held(make: Make) -> None:
    """What this process holds it may spend, so it remains; also when the store has no more."""
    few = Limit("few", Rate(12, per=timedelta(hours=1)))
    limiter = make(units=10)
    limiter.hit("alice", few)
    peeked = limiter.peek("alice", few)
    assert (peeked.allowed, peeked.remaining) == (True, 11)
    assert not limiter.peek("alice", few, cost=12)
    assert limiter.peek("alice", few, cost=5)
    assert limiter.peek("bob", few).remaining == 12


def test_reset_forgets_the_lease(make: Make) -> None:
    """After a reset everything may be spent once, not once more what was held."""
    few = Limit("few", Rate(12, per=timedelta(hours=1)))
    limiter = make(units=10)
    limiter.hit("alice", few)
    limiter.reset("alice", few)
    assert limiter.peek("alice", few).remaining == 12
    assert sum(bool(limiter.hit("alice", few)) for _ in range(20)) == 12


def test_a_lease_too_small_is_added_to(make: Make) -> None:
    """What is left of a lease is kept when the next is taken in the same window."""
    few = Limit("few", Rate(20, per=timedelta(hours=1)))
    limiter = make(units=10)
    assert [limiter.hit("alice", few, cost=4).remaining for _ in range(5)] == [16, 12, 8, 4, 0]
    assert not limiter.hit("alice", few)


def test_leases_are_bounded(make: Make, valkey: Valkey) -> None:
    """With room for two keys the third takes the place of the oldest, which asks again."""
    limiter = make(units=10, max_leases=2)
    for key in ("a", "b", "c"):
        limiter.hit(key, API)
    before = valkey.round_trips()
    sources = [limiter.hit(key, API).source for key in ("c", "b", "a")]
    assert sources == ["lease", "lease", "redis"]
    assert valkey.round_trips() - before == 1


@pytest.mark.parametrize("bad", [{"cost": 0}, {"cost": True}, {"cost": 1001}, {"cost": "1"}])
def test_what_makes_no_sense_is_refused_at_the_door(make: Make, bad: dict[str, Any]) -> None:
    """Nothing is spent, with a lease and without."""
    limiter = make()
    for _ in range(2):
        with pytest.raises(ValueError, match="cost"):
            limiter.hit("alice", API, **bad)
        limiter.hit("alice", API)
    with pytest.raises(ValueError, match="token bucket"):
        limiter.hit("alice", Limit("b", Rate.parse("9/s"), strategy=Strategy.TOKEN_BUCKET))
    with pytest.raises(ValueError, match="at least 1"):
        make(units=0)

"""One limiter in this process, shared by threads and by both facades."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit._strategies import packed
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter, MemoryRateLimiter
from socialflow_core.testing.clock import ManualClock

ONE = Limit("one", Rate.parse("1/minute"))


@pytest.fixture
def limiter() -> MemoryRateLimiter:
    """A fresh one."""
    return MemoryRateLimiter(clock=ManualClock())


@pytest.mark.parametrize("strategy", Strategy)
def test_it_is_exact_when_threads_share_it(strategy: Strategy) -> None:
    """Over several limits and keys, with hits refused and keys coming, nothing is lost."""
    limiter = MemoryRateLimiter()
    wide, narrow = (
        Limit(name, Rate(most, per=timedelta(days=1)), strategy=strategy)
        for name, most in {"wide": 300, "narrow": 50}.items()
    )

    def hits(thread: int) -> Counter[str]:
        allowed: Counter[str] = Counter()
        for number in range(400):
            key = f"k{(thread + number) % 4}"
            if number % 5 == 0:
                limiter.hit(f"other {thread} {number}", narrow)
            if number % 2:
                allowed[f"{key} both"] += limiter.hit(key, wide, narrow).allowed
            else:
                allowed[f"{key} wide"] += limiter.hit(key, wide).allowed
        return allowed

    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(hits, range(8)), Counter())
    for key in ("k0", "k1", "k2", "k3"):
        assert allowed[f"{key} both"] == 50
        assert allowed[f"{key} both"] + allowed[f"{key} wide"] == 300


def test_facades_can_share_their_counts(limiter: MemoryRateLimiter) -> None:
    """What is spent through one is spent through the other."""
    awaited = AsyncMemoryRateLimiter(limiter)
    assert asyncio.run(awaited.hit("a", ONE))
    assert not limiter.hit("a", ONE)
    asyncio.run(awaited.reset("a", ONE))
    assert asyncio.run(awaited.peek("a", ONE))
    assert limiter.hit("a", ONE)


def test_what_was_counted_elsewhere_is_taken_over() -> None:
    """From there it goes on, however many limits come meanwhile; where no room is, nothing is."""
    clock = ManualClock()
    limiter = MemoryRateLimiter(clock=clock, max_keys=1)
    limiter.learn("alice", ONE, packed(ONE.strategy, clock(), 1, 0))
    limiter.hit("alice", Limit("other", ONE.rate))
    limiter.hit("alice", Limit("another", ONE.rate))
    assert not limiter.hit("alice", ONE)
    limiter.learn("bob", ONE, packed(ONE.strategy, clock(), 1, 0))
    assert limiter.peek("bob", ONE).degraded
    assert limiter.peek("bob", ONE).remaining == 1

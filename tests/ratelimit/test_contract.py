"""One suite, every limiter, sync and async."""

import pytest
from limits.aio.storage import MemoryStorage as AsyncMemoryStorage
from limits.storage import MemoryStorage

from socialflow_core._kit.clock import Clock
from socialflow_core.ratelimit import RateLimiter, Strategy
from socialflow_core.ratelimit.limits import AsyncLimitsRateLimiter, LimitsRateLimiter
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter, MemoryRateLimiter
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.ratelimit import (
    Blocking,
    ExactRateLimiterContract,
    RateLimiterContract,
)


class TestMemory(ExactRateLimiterContract):
    """In this process."""

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one."""
        return MemoryRateLimiter(clock=clock)


class TestAsyncMemory(ExactRateLimiterContract):
    """In this process, awaited."""

    threads = 1

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one."""
        return Blocking(AsyncMemoryRateLimiter(MemoryRateLimiter(clock=clock)))


class TestLimits(RateLimiterContract):
    """In a storage of the `limits` package."""

    strategies = (Strategy.FIXED_WINDOW, Strategy.SLIDING_WINDOW)
    threads = 1

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one."""
        del clock
        return LimitsRateLimiter(MemoryStorage())


class TestAsyncLimits(RateLimiterContract):
    """In a storage of the `limits` package, awaited."""

    strategies = (Strategy.FIXED_WINDOW, Strategy.SLIDING_WINDOW)
    threads = 1

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one."""
        del clock
        return Blocking(AsyncLimitsRateLimiter(AsyncMemoryStorage()))


def test_a_contract_needs_to_be_told_what_it_is_about() -> None:
    """Whoever subclasses it and forgets to build a limiter hears so."""
    with pytest.raises(LookupError, match="how a limiter is built"):
        RateLimiterContract().limiter(ManualClock())

"""The suite of every limiter, over Redis."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter
from socialflow_core.testing.ratelimit import Blocking, RateLimiterContract
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core._kit.clock import Clock
    from socialflow_core.ratelimit import RateLimiter

# What counts is counted exactly; how long that takes is no matter of this suite.
PATIENT = timedelta(seconds=10)
# Each test counts under a prefix of its own.
prefixes = (f"test{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    """One server for all tests."""
    with Valkey() as server:
        yield server


class _Closing(Blocking):
    """Closes the limiter's connection with the event loop."""

    def __init__(self, limiter: AsyncRedisRateLimiter) -> None:
        super().__init__(limiter)
        self._redis = limiter

    def close(self) -> None:
        self._run(self._redis.aclose())
        super().close()


class TestRedis(RateLimiterContract):
    """Shared by every process."""

    @pytest.fixture(autouse=True)
    def url(self, server: Valkey) -> None:
        """Where the limiter of a test counts."""
        self.where = server.url

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one; its clock is the server's."""
        del clock
        return RedisRateLimiter.from_url(self.where, prefix=next(prefixes), deadline=PATIENT)


class TestAsyncRedis(TestRedis):
    """The same, awaited."""

    threads = 1

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one; its clock is the server's."""
        del clock
        return _Closing(
            AsyncRedisRateLimiter.from_url(self.where, prefix=next(prefixes), deadline=PATIENT)
        )

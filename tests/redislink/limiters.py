"""The two limiters on Redis, used in the same way: what their tests share."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from socialflow_core.ratelimit.redis import (
    AsyncRedisRateLimiter,
    RedisRateLimiter,
)
from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from socialflow_core.ratelimit import Decision, Limit
    from socialflow_core.ratelimit.redis import AsyncLeasingRateLimiter, LeasingRateLimiter

__all__ = ["KINDS", "Awaited", "Direct", "Limiter"]


class Limiter(Protocol):
    """A limiter of either kind, used without `await`; the methods are those of `RateLimiter`."""

    inner: Any

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """Hit it."""
        ...

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """Peek at it."""
        ...

    def reset(self, key: str, /, *limits: Limit) -> None:
        """Reset it."""
        ...

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait, while its background work goes on."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Direct:
    """The sync limiter."""

    def __init__(self, limiter: RedisRateLimiter | LeasingRateLimiter) -> None:
        self.inner = limiter
        self.hit = limiter.hit
        self.peek = limiter.peek
        self.reset = limiter.reset
        self.close = limiter.close

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """See `Limiter.wait_until`."""
        wait_until(condition, what)


class Awaited:
    """The async limiter, on a loop that only turns while something is asked of it."""

    def __init__(self, limiter: AsyncRedisRateLimiter | AsyncLeasingRateLimiter) -> None:
        self.inner = limiter
        self._runner = asyncio.Runner()
        self._is_open = True

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        return self._runner.run(self.inner.hit(key, *limits, cost=cost))

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        return self._runner.run(self.inner.peek(key, *limits, cost=cost))

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        self._runner.run(self.inner.reset(key, *limits))

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """See `Limiter.wait_until`."""
        end = time.monotonic() + 10
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(what)
            self._runner.run(asyncio.sleep(0.005))

    def close(self) -> None:
        """Close it, twice as everything can be closed, and its loop."""
        if self._is_open:
            self._is_open = False
            with self._runner:
                self._runner.run(self.inner.aclose())
                self._runner.run(self.inner.aclose())


def _sync(url: str, deadline: timedelta) -> Limiter:
    return Direct(RedisRateLimiter.from_url(url, deadline=deadline))


def _async(url: str, deadline: timedelta) -> Limiter:
    return Awaited(AsyncRedisRateLimiter.from_url(url, deadline=deadline))


KINDS: dict[str, Callable[[str, timedelta], Limiter]] = {"sync": _sync, "async": _async}

"""Limits shared by every process, asked for in packets: fewer trips, a little less exact.

A limiter here takes several units of a key at once, and spends them without asking. All
processes together never spend more than the limit: what is taken is counted. They may spend
less, for what one of them holds, the others lack: each may hold up to one packet back. So
does a hit that costs more than is left of a packet: it is asked for whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from socialflow_core._kit.flow import arun, run
from socialflow_core.ratelimit._core import check

from .leases import Leases

if TYPE_CHECKING:
    from types import TracebackType

    from socialflow_core.ratelimit._interface import Decision, Limit

    from .limiter import AsyncRedisRateLimiter, RedisRateLimiter

__all__ = ["AsyncLeasingRateLimiter", "LeasingRateLimiter"]

_UNITS = 10
_MAX_LEASES = 100_000


class LeasingRateLimiter:
    """See `RateLimiter`: it spends leases, and asks *limiter* for them.

    For windows, fixed or sliding; a token bucket is a ValueError. A `reset` by another
    process does not end a lease here. Closing gives back what is held and closes *limiter*.

    Args:
        limiter: Asks the store.
        units: How many to take at once, at most as many as the limit allows.
        max_leases: How many keys to hold leases of.
    """

    def __init__(
        self, limiter: RedisRateLimiter, *, units: int = _UNITS, max_leases: int = _MAX_LEASES
    ) -> None:
        self._limiter = limiter
        self._leases = Leases(units, max_leases)

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        spent = self._leases.spend(key, limits, cost)
        if spent is not None:
            return spent
        return run(
            self._leases.take(key, limits, cost),
            lambda units: self._limiter.hit(key, *limits, cost=units),
        )

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`; it asks the store, and adds what is held here."""
        decision = self._limiter.peek(key, *limits, cost=cost)
        return self._leases.peeked(key, limits, cost, decision)

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RedisRateLimiter.reset`."""
        check(key, limits)
        self._leases.forget(key, limits)
        self._limiter.reset(key, *limits)

    def close(self) -> None:
        """Give back what is held, and close the limiter; calling it twice is fine."""
        for key, limits, lease in self._leases.give_up():
            self._limiter.give_back(key, limits, lease.left, lease.starts)
        self._limiter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncLeasingRateLimiter:
    """`LeasingRateLimiter`, awaited; for one event loop."""

    def __init__(
        self, limiter: AsyncRedisRateLimiter, *, units: int = _UNITS, max_leases: int = _MAX_LEASES
    ) -> None:
        self._limiter = limiter
        self._leases = Leases(units, max_leases)

    async def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        spent = self._leases.spend(key, limits, cost)
        if spent is not None:
            return spent
        return await arun(
            self._leases.take(key, limits, cost),
            lambda units: self._limiter.hit(key, *limits, cost=units),
        )

    async def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `LeasingRateLimiter.peek`."""
        decision = await self._limiter.peek(key, *limits, cost=cost)
        return self._leases.peeked(key, limits, cost, decision)

    async def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RedisRateLimiter.reset`."""
        check(key, limits)
        self._leases.forget(key, limits)
        await self._limiter.reset(key, *limits)

    async def aclose(self) -> None:
        """Give back what is held, and close the limiter; calling it twice is fine."""
        for key, limits, lease in self._leases.give_up():
            await self._limiter.give_back(key, limits, lease.left, lease.starts)
        await self._limiter.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

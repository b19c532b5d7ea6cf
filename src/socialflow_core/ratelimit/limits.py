"""Limits kept in any storage of the `limits` package: memcached, MongoDB, etcd, Redis Cluster...

Needs the extra `[limits]`. What is weaker here than in the memory and Redis limiters:

- Judging and counting are two steps. A refused hit is free, but callers at the same moment
  may each spend of what remains; of a fixed window one of them is then refused and counted.
  Of several limits, each is counted by itself.
- Times are the storage's, in part in whole seconds, and its clock is not ours. For a
  sliding window they tell when something is freed, which may not be enough for the hit.
- There is no token bucket, and a period is a whole number of seconds.
"""

from __future__ import annotations

import math
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError, requires_extra, translating
from socialflow_core._kit.flow import Call, Flow, arun, run

from ._core import check, decide, ruling
from ._interface import Strategy
from ._strategies import Verdict

with requires_extra("limits"):
    from limits import RateLimitItemPerSecond
    from limits import strategies as sync_strategies
    from limits.aio import strategies as async_strategies
    from limits.errors import ConcurrentUpdateError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from limits import WindowStats
    from limits.aio.storage import Storage as AsyncStorage
    from limits.storage import Storage

    from socialflow_core._kit.clock import Clock

    from ._interface import Decision, Limit

__all__ = ["AsyncLimitsRateLimiter", "LimitsRateLimiter"]

_SOURCE = "limits"
_SECOND = timedelta(seconds=1)
_US = 1_000_000
ResultT = TypeVar("ResultT")
_Calls: TypeAlias = Flow[Call[Any], ResultT]


class _Asked(NamedTuple):
    """One limit of a hit, in the words of `limits`; *strategy* is a sync or async one."""

    limit: Limit
    strategy: Any
    item: RateLimitItemPerSecond
    identifier: str

    def call(self, method: str, **arguments: int) -> Call[Any]:
        function = getattr(self.strategy, method)
        return Call(partial(function, self.item, self.identifier, **arguments))


class _Limits:
    """What the sync and the async limiter share: everything but how a call is made."""

    def __init__(self, strategies: Any, storage: Any, clock: Clock) -> None:
        self._strategies = {
            Strategy.FIXED_WINDOW: strategies.FixedWindowRateLimiter(storage),
            Strategy.SLIDING_WINDOW: strategies.SlidingWindowCounterRateLimiter(storage),
        }
        self._clock = clock
        # Told apart by what the storage was built for; by default `limits` passes the
        # errors of a driver on as they are.
        drivers = storage.base_exceptions
        theirs = drivers if isinstance(drivers, tuple) else (drivers,)
        self._errors = (StorageError, ConcurrentUpdateError, *theirs)

    def asked(self, key: str, limits: Sequence[Limit], cost: int = 1) -> list[_Asked]:
        check(key, limits, cost)
        # `limits` joins what it is given by slashes, so a slash inside could forge a key.
        identifier = key.replace("%", "%25").replace("/", "%2F")
        return [_Asked(limit, *self._words(limit), identifier) for limit in limits]

    def _words(self, limit: Limit) -> tuple[Any, RateLimitItemPerSecond]:
        if limit.strategy not in self._strategies:
            raise ValueError(f"limit {limit.name}: `limits` has no {limit.strategy.value}")
        seconds, rest = divmod(limit.rate.per, _SECOND)
        if rest:
            raise ValueError(f"limit {limit.name}: `limits` counts periods in whole seconds")
        # With the strategy, for one key must not hold the counts of two kinds.
        namespace = f"{limit.name}:{limit.strategy.value}"
        item = RateLimitItemPerSecond(limit.rate.limit, seconds, namespace)
        return self._strategies[limit.strategy], item

    def hit(self, asked: list[_Asked], cost: int) -> _Calls[Decision]:
        fits = yield from self._each(asked, "test", cost=cost)
        if all(fits):
            fits = yield from self._each(asked, "hit", cost=cost)
        return (yield from self._decide(asked, fits))

    def peek(self, asked: list[_Asked], cost: int) -> _Calls[Decision]:
        fits = yield from self._each(asked, "test", cost=cost)
        return (yield from self._decide(asked, fits))

    def reset(self, asked: list[_Asked]) -> _Calls[None]:
        yield from self._each(asked, "clear")

    def _each(self, asked: list[_Asked], method: str, **arguments: int) -> _Calls[list[Any]]:
        answers: list[Any] = []
        for one in asked:
            answer = yield one.call(method, **arguments)
            answers.append(answer)
        return answers

    def _decide(self, asked: list[_Asked], fits: list[bool]) -> _Calls[Decision]:
        stats = yield from self._each(asked, "get_window_stats")
        now = self._clock()
        told = [_told(stand, fit, now) for stand, fit in zip(stats, fits, strict=True)]
        return decide([one.limit for one in asked], ruling(told), now, _SOURCE)

    def translated(self) -> translating:
        return translating(self._errors, lambda _: UnavailableError("the rate limit store"))


def _told(stats: WindowStats, fits: bool, now: int) -> Verdict:  # noqa: FBT001 -- their answer
    # Their clock may have passed the reset already; a refusal says "later" all the same.
    reset = max(1, math.ceil(stats.reset_time * _US) - now)
    remaining = max(0, int(stats.remaining))
    return Verdict(fits, 0, remaining, reset, 0 if fits else reset)


class LimitsRateLimiter:
    """See `RateLimiter`, and the module for what is weaker.

    Args:
        storage: Any of `limits.storage`.
        clock: Microseconds since 1970-01-01 UTC, for what decisions say of the time.

    Every method raises:
        ValueError: Also for a token bucket, or a period that is not whole seconds.
    """

    def __init__(self, storage: Storage, *, clock: Clock = unix_us) -> None:
        self._limits = _Limits(sync_strategies, storage, clock)

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        return self._run(self._limits.hit(self._limits.asked(key, limits, cost), cost))

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        return self._run(self._limits.peek(self._limits.asked(key, limits, cost), cost))

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        self._run(self._limits.reset(self._limits.asked(key, limits)))

    def _run(self, flow: _Calls[ResultT]) -> ResultT:
        with self._limits.translated():
            return run(flow, lambda call: call.function())


class AsyncLimitsRateLimiter:
    """`LimitsRateLimiter`, awaited, over any storage of `limits.aio.storage`."""

    def __init__(self, storage: AsyncStorage, *, clock: Clock = unix_us) -> None:
        self._limits = _Limits(async_strategies, storage, clock)

    async def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        return await self._run(self._limits.hit(self._limits.asked(key, limits, cost), cost))

    async def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        return await self._run(self._limits.peek(self._limits.asked(key, limits, cost), cost))

    async def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        await self._run(self._limits.reset(self._limits.asked(key, limits)))

    async def _run(self, flow: _Calls[ResultT]) -> ResultT:
        with self._limits.translated():
            return await arun(flow, lambda call: call.function())

"""Limits kept in any storage of the `limits` package: memcached, MongoDB, Redis Cluster...

Needs the extra `[limits]`, and what the storage needs. Weaker here than in the other
limiters, for the package is so:

- Judging and counting are two steps. A refused hit is free, but of callers at the same
  moment one may be refused and yet be counted in a fixed window; and of several limits
  each is counted by itself, so that one may count a hit that the next refuses.
- Time is the storage's, in seconds, by a clock that is not ours. A refused hit may fit a
  little before `retry_after` is over, not after it.
- A sliding window may lie on the clock, and rounds its estimate down: one hit more fits.
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
from socialflow_core._kit.observe import count

from ._core import check, decide, ruling
from ._interface import Strategy
from ._keys import key_of
from ._strategies import Verdict, sliding_state, sliding_window

with requires_extra("limits"):
    from limits import RateLimitItemPerSecond
    from limits import strategies as sync_strategies
    from limits.aio import strategies as async_strategies
    from limits.errors import ConcurrentUpdateError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from limits.aio.storage import Storage as AsyncStorage
    from limits.storage import Storage

    from socialflow_core._kit.clock import Clock

    from ._interface import Decision, Limit, Rate

__all__ = ["AsyncLimitsRateLimiter", "LimitsRateLimiter"]

_SOURCE = "limits"
_SECOND = timedelta(seconds=1)
_US = 1_000_000
ResultT = TypeVar("ResultT")
_Calls: TypeAlias = Flow[Call[Any], ResultT]


class _Kind(NamedTuple):
    """A way in which `limits` counts, and what is made of what it tells.

    Attributes:
        name: Stands in every key, for one key must not hold the data of two kinds.
        strategy: Its class.
        look: How to ask for what is spent.
        stands: The answer as a verdict on a cost, with the wait if it should not fit.
    """

    name: str
    strategy: str
    look: Callable[[_Asked], Call[Any]]
    stands: Callable[[Any, Rate, int, int], Verdict]


class _Asked(NamedTuple):
    """One limit of a hit, in the words of `limits`; *strategy* is a sync or async one."""

    limit: Limit
    kind: _Kind
    strategy: Any
    item: RateLimitItemPerSecond
    identifier: str

    def call(self, method: str, **arguments: int) -> Call[Any]:
        """Call its strategy."""
        function = getattr(self.strategy, method)
        return Call(partial(function, self.item, self.identifier, **arguments))

    def call_storage(self, method: str, *arguments: int) -> Call[Any]:
        """Call its storage, which tells more."""
        function = getattr(self.strategy.storage, method)
        return Call(partial(function, self.item.key_for(self.identifier), *arguments))


def _us(seconds: float) -> int:
    return math.ceil(seconds * _US)  # rounded up: rather late than early


def _look_fixed(asked: _Asked) -> Call[Any]:
    return asked.call("get_window_stats")


def _fixed(stats: tuple[float, int], rate: Rate, cost: int, now: int) -> Verdict:
    reset_at, remaining = stats
    reset = max(0, _us(reset_at) - now) if remaining < rate.limit else 0
    return Verdict(cost <= remaining, 0, max(0, remaining), reset, reset)


def _look_sliding(asked: _Asked) -> Call[Any]:
    return asked.call_storage("get_sliding_window", asked.item.get_expiry())


def _sliding(window: tuple[int, float, int, float], rate: Rate, cost: int, now: int) -> Verdict:
    before, before_ends_in, spent, ends_in = window
    # Theirs is kept for a period longer, as the one before of the next.
    left = _us(before_ends_in) if before else _us(ends_in) - rate.per_us
    state = sliding_state(now + left - rate.per_us, before, spent)
    stands, asked = (
        Verdict(*sliding_window(state, rate.limit, rate.per_us, number, now))
        for number in (0, cost)
    )
    return stands._replace(allowed=asked.allowed, retry_us=asked.retry_us)


def _look_moving(asked: _Asked) -> Call[Any]:
    return asked.call_storage("get_moving_window", asked.item.amount, asked.item.get_expiry())


def _moving(window: tuple[float, int], rate: Rate, cost: int, now: int) -> Verdict:
    oldest_at, spent = window
    # Only the oldest hit is told. Where more must go, or all, that takes a period at most.
    excess = spent + cost - rate.limit
    retry = _us(oldest_at) + rate.per_us + 1 - now if excess == 1 else rate.per_us
    return Verdict(excess <= 0, 0, max(0, rate.limit - spent), rate.per_us if spent else 0, retry)


_FIXED = _Kind("fixed-window", "FixedWindowRateLimiter", _look_fixed, _fixed)
_SLIDING = _Kind("sliding-window", "SlidingWindowCounterRateLimiter", _look_sliding, _sliding)
_MOVING = _Kind("moving-window", "MovingWindowRateLimiter", _look_moving, _moving)


def _all(calls: Iterable[Call[Any]]) -> _Calls[list[Any]]:
    answers = []
    for call in calls:
        answer = yield call
        answers.append(answer)
    return answers


class _Limits:
    """What the sync and the async limiter share: everything but how a call is made."""

    def __init__(self, strategies: Any, storage: Any, clock: Clock, *, moving_window: bool) -> None:
        self._kinds = {
            Strategy.FIXED_WINDOW: _FIXED,
            Strategy.SLIDING_WINDOW: _MOVING if moving_window else _SLIDING,
        }
        self._strategies = strategies
        self._storage = storage
        self._clock = clock
        # Of the storage's own making, or, unless it was told to wrap them, its driver's.
        drivers = storage.base_exceptions
        theirs = drivers if isinstance(drivers, tuple) else (drivers,)
        self._errors = (StorageError, ConcurrentUpdateError, *theirs)

    def asked(self, key: str, limits: Sequence[Limit], cost: int = 1) -> list[_Asked]:
        """Check what is asked, and put it in their words.

        Raises:
            ValueError: If it makes no sense, or the package cannot count it.
        """
        check(key, limits, cost)
        # Memcached takes neither spaces nor long keys; `key_of` writes neither.
        return [self._asked(limit, key_of(key)) for limit in limits]

    def _asked(self, limit: Limit, identifier: str) -> _Asked:
        kind = self._kinds.get(limit.strategy)
        if kind is None:
            raise ValueError(f"limit {limit.name}: `limits` has no {limit.strategy.value}")
        seconds, rest = divmod(limit.rate.per, _SECOND)
        if rest:
            raise ValueError(f"limit {limit.name}: `limits` counts periods in whole seconds")
        try:
            strategy = getattr(self._strategies, kind.strategy)(self._storage)
        except NotImplementedError:
            raise ValueError(f"limit {limit.name}: this storage has no {kind.name}") from None
        # One identifier between parts that hold no slash, so that a slash in it forges nothing.
        item = RateLimitItemPerSecond(limit.rate.limit, seconds, f"{limit.name}:{kind.name}")
        return _Asked(limit, kind, strategy, item, identifier)

    def hit(self, asked: list[_Asked], cost: int) -> _Calls[Decision]:
        """Judge all, and count if all allow it."""
        fits = yield from _all(one.call("test", cost=cost) for one in asked)
        if all(fits):
            fits = yield from _all(one.call("hit", cost=cost) for one in asked)
        decision = yield from self._decide(asked, fits, cost)
        if not decision.allowed:
            count("ratelimit.refused", limit=decision.decided_by.name)
        return decision

    def peek(self, asked: list[_Asked], cost: int) -> _Calls[Decision]:
        """Judge all."""
        fits = yield from _all(one.call("test", cost=cost) for one in asked)
        return (yield from self._decide(asked, fits, cost))

    def reset(self, asked: list[_Asked]) -> _Calls[None]:
        """Forget all."""
        yield from _all(one.call("clear") for one in asked)

    def _decide(self, asked: list[_Asked], fits: list[bool], cost: int) -> _Calls[Decision]:
        told = yield from _all(one.kind.look(one) for one in asked)
        now = self._clock()
        verdicts = []
        for one, answer, fit in zip(asked, told, fits, strict=True):
            stands = one.kind.stands(answer, one.limit.rate, cost, now)
            # Others may have hit meanwhile; but a refusal says "later" in any case.
            retry = 0 if fit else max(1, stands.retry_us)
            verdicts.append(stands._replace(allowed=bool(fit), retry_us=retry))
        return decide([one.limit for one in asked], ruling(verdicts), now, _SOURCE)

    def translated(self) -> translating:
        """Their errors become ours in here."""
        return translating(self._errors, lambda _: UnavailableError("the rate limit store"))


class LimitsRateLimiter:
    """See `RateLimiter`, and the module for what is weaker.

    Args:
        storage: Any of `limits.storage`.
        moving_window: Count sliding windows by the moment of every hit, instead of an
            estimate: exact, but a key takes as much as its limit, and memcached cannot.
        clock: Microseconds since 1970-01-01 UTC, for what decisions say of the time.

    Every method raises:
        ValueError: Also for what the package or the storage cannot count.
    """

    def __init__(
        self, storage: Storage, *, moving_window: bool = False, clock: Clock = unix_us
    ) -> None:
        self._limits = _Limits(sync_strategies, storage, clock, moving_window=moving_window)

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

    def __init__(
        self, storage: AsyncStorage, *, moving_window: bool = False, clock: Clock = unix_us
    ) -> None:
        self._limits = _Limits(async_strategies, storage, clock, moving_window=moving_window)

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

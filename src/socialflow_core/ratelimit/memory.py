"""Limits kept in this process: for one worker, for tests, and while a store is away.

Subscribers of `observe` hear the counts `ratelimit.refused` and `ratelimit.evicted`, one
fact when a limit has no room for new keys, and another when it has again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, assert_never

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import Fact, count, fact

from ._core import check, decide, look, weigh
from ._interface import Decision
from ._table import News, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socialflow_core._kit.clock import Clock

    from ._core import Subject
    from ._interface import Limit

__all__ = ["AsyncMemoryRateLimiter", "MemoryRateLimiter"]

_SOURCE = "memory"
_CROWDED = "max_keys is reached by keys that are at their limit: new keys are counted together"
_ROOMY = "there is room for new keys again"
_NO_NEWS: Sequence[News] = ()


class MemoryRateLimiter:
    """See `RateLimiter`. Thread-safe; needs no thread of its own, and no hit waits for a scan.

    A limit of which nothing is spent any more takes no room, so limits can be made as they
    are needed, one for each customer for instance.

    Args:
        clock: Microseconds since 1970-01-01 UTC.
        max_keys: How many keys it keeps for each limit; one takes about 100 bytes, beside
            its text. Beyond that a new key takes the place of one that has spent little. A
            key that is at its limit is never forgotten while it is; where all that are
            looked at are, new keys are counted together, and the decision is `degraded`.

    Raises:
        ValueError: If *max_keys* is below 1.
    """

    def __init__(self, *, clock: Clock = unix_us, max_keys: int = 1_000_000) -> None:
        if max_keys < 1:
            raise ValueError("max_keys must be at least 1")
        self._clock = clock
        self._max_keys = max_keys
        self._tables: OrderedDict[Limit, Table] = OrderedDict()
        self._renew_lock()
        renew_in_forks(self, MemoryRateLimiter._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        if len(limits) != 1:
            return self._hit_several(key, limits, cost)
        # What happens most is spared all lists and names; below it is said in full.
        (limit,) = limits
        own, news = True, _NO_NEWS
        with self._lock:
            now = self._clock()
            table = self._tables.get(limit) or self._open(limit, now)
            table.used_us = now
            try:
                state = table.states.get(key)
            except TypeError:  # not to be looked up at all: `check` says so
                state = None
            # A known key was checked when it was new.
            if state is None or type(cost) is not int or not 0 < cost <= table.limit:
                check(key, limits, cost)
            if state is not None:
                allowed, state, remaining, reset, retry = table.judge(
                    state, table.limit, table.period, cost, now
                )
                table.states[key] = state
            else:
                own = table.has_place(key, now)
                allowed, state, remaining, reset, retry = table.judge(
                    0 if own else table.crowd, table.limit, table.period, cost, now
                )
                news = table.put(key, state, now)
        if news or not allowed:
            _tell(limit, news, refused=not allowed)
        reason = "" if own else _CROWDED
        # By the tuple's own constructor, which costs half of the one with names.
        return tuple.__new__(
            Decision, (allowed, limit, remaining, now, reset, retry, _SOURCE, reason, ())
        )

    def _hit_several(self, key: str, limits: Sequence[Limit], cost: int) -> Decision:
        check(key, limits, cost)
        with self._lock:
            now = self._clock()
            tables = [self._table(limit, now) for limit in limits]
            subjects, reasons = _against(key, tables, now)
            ruling = weigh(subjects, cost, now)
            news = [
                table.put(key, verdict.state, now)
                for table, verdict in zip(tables, ruling.verdicts, strict=True)
            ]
        for limit, verdict, its_news in zip(limits, ruling.verdicts, news, strict=True):
            _tell(limit, its_news, refused=not verdict.allowed)
        return decide(limits, ruling, now, _SOURCE, reasons)

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        check(key, limits, cost)
        with self._lock:
            now = self._clock()
            tables = [self._tables.get(limit) or Table(limit, self._max_keys) for limit in limits]
            subjects, reasons = _against(key, tables, now)
            ruling = look(subjects, cost, now)
        return decide(limits, ruling, now, _SOURCE, reasons)

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        check(key, limits)
        with self._lock:
            for limit in limits:
                if table := self._tables.get(limit):
                    table.forget(key)

    def learn(self, key: str, limit: Limit, state: int) -> None:
        """Take over a state of `_strategies` that a store told, to go on from there."""
        with self._lock:
            now = self._clock()
            table = self._table(limit, now)
            if table.has_place(key, now):
                table.put(key, state, now)

    def _table(self, limit: Limit, now: int) -> Table:
        table = self._tables.get(limit) or self._open(limit, now)
        table.used_us = now  # at once, or opening another might forget it
        return table

    def _open(self, limit: Limit, now: int) -> Table:
        # As a table does with keys: for each new one, the two longest known are looked at.
        for _ in range(min(2, len(self._tables))):
            known, table = self._tables.popitem(last=False)
            if not table.is_idle(now):
                self._tables[known] = table
        table = self._tables[limit] = Table(limit, self._max_keys)
        return table


def _against(key: str, tables: list[Table], now: int) -> tuple[list[Subject], list[str]]:
    """What stands against *key* in each table, and why that is not the full answer."""
    owns = [table.has_place(key, now) for table in tables]
    subjects = [table.subject(key, own=own) for table, own in zip(tables, owns, strict=True)]
    return subjects, ["" if own else _CROWDED for own in owns]


def _tell(limit: Limit, news: Sequence[News], *, refused: bool) -> None:
    """Report what happened. Never under the lock: who hears it may ask the limiter."""
    if refused:
        count("ratelimit.refused", limit=limit.name)
    for each in news:
        match each:
            case News.EVICTED:
                count("ratelimit.evicted", limit=limit.name)
            case News.CROWDED:
                reason = f"{limit.name}: {_CROWDED}"
                fact(Fact(block="ratelimit", state="degraded", name="memory", reason=reason))
            case News.ROOMY:
                reason = f"{limit.name}: {_ROOMY}"
                fact(Fact(block="ratelimit", state="recovered", name="memory", reason=reason))
            case _:
                assert_never(each)


class AsyncMemoryRateLimiter:
    """`MemoryRateLimiter`, awaited: nothing in it ever waits, so it needs no other core.

    Args:
        limiter: The one that counts; several facades can share it, sync and async.
    """

    def __init__(self, limiter: MemoryRateLimiter | None = None) -> None:
        self._limiter = limiter or MemoryRateLimiter()

    async def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        return self._limiter.hit(key, *limits, cost=cost)

    async def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        return self._limiter.peek(key, *limits, cost=cost)

    async def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        self._limiter.reset(key, *limits)

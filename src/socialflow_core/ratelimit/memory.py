"""Limits kept in this process: for one worker, for tests, and while a store is away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us

from ._core import Subject, Verdict, check_hit, decide, judge_of, look, weigh
from ._interface import Decision

if TYPE_CHECKING:
    from socialflow_core._kit.clock import Clock

    from ._interface import Limit

__all__ = ["AsyncMemoryRateLimiter", "MemoryRateLimiter"]

_SOURCE = "memory"
# How many keys are looked at, at most, to make room for a new one.
_SWEEP, _SEARCH = 2, 64
_MOST_TABLES = 1024
_CROWDED = "max_keys is reached and every key looked at is at its limit: counted together"


class _Table:
    """The keys of one limit.

    A hand walks around the keys, two steps for each new one, and forgets those of which
    nothing is spent. So memory follows the keys that are in use, and no hit ever waits
    for a scan.
    """

    __slots__ = (
        "_hand",
        "_max_keys",
        "_ring",
        "busy_until",
        "crowd",
        "judge",
        "limit",
        "per",
        "states",
    )

    def __init__(self, limit: Limit, max_keys: int) -> None:
        self.judge = judge_of(limit.strategy)
        self.limit = limit.rate.limit
        self.per = limit.rate.per_us
        self.states: dict[str, int] = {}
        self.crowd = 0  # what keys have spent together for which there was no room
        self.busy_until = 0
        self._ring: list[str] = []
        self._hand = 0
        self._max_keys = max_keys

    def subject(self, key: str, *, own: bool = True) -> Subject:
        state = self.states.get(key, 0) if own else self.crowd
        return Subject(self.judge, state, self.limit, self.per)

    def has_room(self, key: str, now: int) -> bool:
        """Whether *key* has a state of its own, or can have one."""
        return key in self.states or self._sweep(now)

    def may_keep(self, key: str) -> bool:
        """The same, as far as it can be told without making room."""
        return key in self.states or len(self._ring) < self._max_keys

    def put(self, key: str, verdict: Verdict, now: int, *, own: bool) -> None:
        self.busy_until = max(self.busy_until, now + verdict.reset_us)
        if not own:
            self.crowd = verdict.state
            return
        if key not in self.states:
            self._ring.append(key)
        self.states[key] = verdict.state

    def forget(self, key: str) -> None:
        # Its place in the ring stays until the hand comes by.
        if key in self.states:
            self.states[key] = 0

    def _sweep(self, now: int) -> bool:
        """Forget idle keys; if there is no room, also one that is not at its limit."""
        full = len(self._ring) >= self._max_keys
        for _ in range(min(_SEARCH if full else _SWEEP, len(self._ring))):
            self._hand %= len(self._ring)
            key = self._ring[self._hand]
            found = self.subject(key).verdict(0, now)
            if found.reset_us and not (full and found.remaining):
                self._hand += 1
                continue
            del self.states[key]
            self._ring[self._hand] = self._ring[-1]
            self._ring.pop()
            if full:
                return True
        return not full


class MemoryRateLimiter:
    """See `RateLimiter`. Thread-safe; needs no thread of its own.

    Args:
        clock: Microseconds since 1970-01-01 UTC.
        max_keys: How many keys it keeps for each limit, about 100 bytes each. Beyond
            that a new key takes the place of one that is not at its limit. A key that
            is at its limit is never forgotten while it is; if all that are looked at
            are, new keys are counted together, and their decisions say so.

    Raises:
        ValueError: If *max_keys* is below 1.
    """

    def __init__(self, *, clock: Clock = unix_us, max_keys: int = 1_000_000) -> None:
        if max_keys < 1:
            raise ValueError("max_keys must be at least 1")
        self._clock = clock
        self._max_keys = max_keys
        self._tables: dict[Limit, _Table] = {}
        self._prune_above = _MOST_TABLES
        self._lock = threading.Lock()

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        check_hit(key, limits, cost)
        if len(limits) == 1:
            return self._hit_one(key, limits[0], cost)
        with self._lock:
            now = self._clock()
            tables = [self._table(limit, now) for limit in limits]
            owns = [table.has_room(key, now) for table in tables]
            pairs = list(zip(tables, owns, strict=True))
            verdicts = weigh([table.subject(key, own=own) for table, own in pairs], cost, now)
            for (table, own), verdict in zip(pairs, verdicts, strict=True):
                table.put(key, verdict, now, own=own)
        return decide(limits, verdicts, now, _SOURCE, "" if all(owns) else _CROWDED)

    def _hit_one(self, key: str, limit: Limit, cost: int) -> Decision:
        # The same as above, without the lists: this is the path that is taken most.
        reason = ""
        with self._lock:
            now = self._clock()
            table = self._table(limit, now)
            state = table.states.get(key)
            if state is not None:
                verdict = table.judge(state, table.limit, table.per, cost, now)
                table.states[key] = verdict.state
                table.busy_until = max(table.busy_until, now + verdict.reset_us)
            else:
                own = table.has_room(key, now)
                verdict = table.subject(key, own=own).verdict(cost, now)
                table.put(key, verdict, now, own=own)
                reason = "" if own else _CROWDED
        allowed, _, remaining, reset, retry = verdict
        return Decision(allowed, limit, remaining, now, reset, retry, _SOURCE, reason)

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        check_hit(key, limits, cost)
        with self._lock:
            now = self._clock()
            tables = [self._table(limit, now) for limit in limits]
            owns = [table.may_keep(key) for table in tables]
            pairs = zip(tables, owns, strict=True)
            verdicts = look([table.subject(key, own=own) for table, own in pairs], cost, now)
        return decide(limits, verdicts, now, _SOURCE, "" if all(owns) else _CROWDED)

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        check_hit(key, limits, cost=1)
        with self._lock:
            for limit in limits:
                if limit in self._tables:
                    self._tables[limit].forget(key)

    def learn(self, key: str, limit: Limit, state: int) -> None:
        """Take over a state that was counted elsewhere, if there is room for it."""
        with self._lock:
            now = self._clock()
            table = self._table(limit, now)
            if key in table.states:
                table.states[key] = state
            elif table.has_room(key, now):
                table.put(key, table.judge(state, table.limit, table.per, 0, now), now, own=True)

    def _table(self, limit: Limit, now: int) -> _Table:
        return self._tables.get(limit) or self._new_table(limit, now)

    def _new_table(self, limit: Limit, now: int) -> _Table:
        if len(self._tables) >= self._prune_above:
            # Somebody makes limits as they go, one for each customer perhaps.
            self._tables = {known: t for known, t in self._tables.items() if t.busy_until > now}
            self._prune_above = 2 * len(self._tables) + _MOST_TABLES
        table = self._tables[limit] = _Table(limit, self._max_keys)
        return table


class AsyncMemoryRateLimiter:
    """`MemoryRateLimiter`, awaited: nothing in it ever waits, so it needs no other core."""

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

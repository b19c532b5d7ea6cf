"""What a limiter with a shared store does without it; for the sync and async facade alike.

It words a hit for the script and reads the answer, remembers for a moment which keys are
at their limit, takes over with the last known counts while the store is away, and knows
what it then owes the store.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, assert_never

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.grammar import format_duration
from socialflow_core.ratelimit._core import Subject, decide, joined, later, look, weigh
from socialflow_core.ratelimit._interface import Decision, Strategy
from socialflow_core.ratelimit._script import ADD, HIT
from socialflow_core.ratelimit._strategies import judge_of, packed
from socialflow_core.ratelimit.memory import MemoryRateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from socialflow_core.ratelimit._interface import Limit
    from socialflow_core.ratelimit._strategies import Judge
    from socialflow_core.redislink import Argument

__all__ = ["Debt", "SharedCounts"]

_US = timedelta(microseconds=1)
_SECOND = 1_000_000
_MOST_WORDINGS = 4096
_AWAY = "the store is away: counted in this process, from the last known counts"
_OPEN = "the store is away: allowed without counting"
_CLOSED = "the store is away: refused"
_ALGORITHMS = {
    Strategy.FIXED_WINDOW: "f",
    Strategy.SLIDING_WINDOW: "s",
    Strategy.TOKEN_BUCKET: "b",
}

Item: TypeAlias = "tuple[list[str], list[Argument]]"
"""KEYS and ARGV of one hit, as `_script` describes them."""


Debt: TypeAlias = "tuple[Limit, str]"
"""A limit and a key of which hits were let through that the store has not counted."""


class _Wording(NamedTuple):
    """What never changes about a limit, worked out once."""

    judge: Judge
    limit: int
    period: int
    suffix: str
    args: tuple[str, int, int]
    known: dict[str, int]  # the last state of each key that the store told


class _Denial(NamedTuple):
    """A key that is at its limit: refuse costs from *cost* on, until *until* by our clock."""

    until: int
    at: int
    cost: int
    most: int  # what a hit may cost at all
    decision: Decision


def _now() -> int:
    return time.monotonic_ns() // 1000


class SharedCounts:
    """See the module. Thread-safe.

    Args:
        source: Names the store in decisions.
        prefix: Keeps the keys apart from those of others.
        deny_ttl: How long at most a key that is at its limit is refused without asking.
        max_keys: How many keys to remember of each limit.
    """

    def __init__(self, source: str, *, prefix: str, deny_ttl: timedelta, max_keys: int) -> None:
        self._source = source
        self._prefix = prefix
        self._deny_us = deny_ttl // _US
        self._max_keys = max_keys
        self._skew = unix_us() - _now()  # the store's clock less our own
        self._known = MemoryRateLimiter(clock=lambda: _now() + self._skew, max_keys=max_keys)
        self._denied: dict[str, dict[tuple[Limit, ...], _Denial]] = {}
        self._wordings: dict[Limit, _Wording] = {}
        self._owe_nothing()
        renew_in_forks(self, SharedCounts._owe_nothing)

    def _owe_nothing(self) -> None:
        # In a forked child too: what this process let through, it pays back itself.
        self._owed: Counter[Debt] = Counter()
        self._lock = threading.Lock()

    def denial(self, key: str, limits: tuple[Limit, ...], cost: int) -> Decision | None:
        """The refusal of a hit that is known to be one, without asking the store.

        It need not have been checked: what makes no sense is not found.
        """
        if not self._denied or type(key) is not str or type(cost) is not int:
            return None
        found = self._denied.get(key)
        denial = found.get(limits) if found else None
        if denial is None or not denial.cost <= cost <= denial.most:
            return None
        now = _now()
        if now >= denial.until:
            return None
        return later(denial.decision, now - denial.at, denial.decision.source)

    def item(self, mode: int, key: str, limits: Sequence[Limit], cost: int) -> Item:
        """Word one hit for the script."""
        # In a cluster what is in braces decides where a key lives, unless that is empty: the
        # prefix is within, for the key may begin with a brace.
        head = f"{{{self._prefix}:{key}}}"
        if len(limits) == 1:  # the most usual hit, without a loop
            wording = self._wordings.get(limits[0]) or self._word(limits[0])
            return [head + wording.suffix], [1, mode, cost, *wording.args]
        keys: list[str] = []
        args: list[Argument] = [len(limits), mode, cost]
        for limit in limits:
            wording = self._wordings.get(limit) or self._word(limit)
            keys.append(head + wording.suffix)
            args += wording.args
        return keys, args

    def returned(
        self, key: str, limits: Sequence[Limit], units: int, starts: Sequence[int]
    ) -> Item:
        """Word for the script what was taken and not spent."""
        keys, _ = self.item(HIT, key, limits, units)
        return keys, [len(limits), units, *starts]

    def read(
        self,
        reply: Sequence[int],
        key: str,
        limits: tuple[Limit, ...],
        cost: int,
        *,
        peek: bool = False,
    ) -> Decision:
        """Understand the answer of the script to that item, and remember what it teaches."""
        here, now = _now(), reply[1]
        self._skew = now - here
        if len(limits) == 1 and reply[0] and not peek:
            return self._read_one(reply, key, limits[0])
        subjects = []
        for place, limit in enumerate(limits):
            at = 2 + 3 * place
            state = packed(limit.strategy, *reply[at : at + 3])
            wording = self._wordings.get(limit) or self._word(limit)
            subjects.append(Subject(wording.judge, state, wording.limit, wording.period))
            if len(wording.known) >= self._max_keys:
                wording.known.clear()
            wording.known[key] = state
        if peek:
            return decide(limits, look(subjects, cost, now), now, self._source)
        if reply[0]:
            self._denied.pop(key, None)
            return decide(limits, look(subjects, 0, now), now, self._source)
        decision = decide(limits, weigh(subjects, cost, now), now, self._source)
        self._deny(key, limits, cost, decision, here)
        return decision

    def _read_one(self, reply: Sequence[int], key: str, limit: Limit) -> Decision:
        # The same as `read`, without the lists: this is the path that is taken most.
        _, now, one, two, three = reply
        judge, most, period, _, _, known = self._wordings.get(limit) or self._word(limit)
        known[key] = state = packed(limit.strategy, one, two, three)
        if self._denied:
            self._denied.pop(key, None)  # a dearer hit was denied; now less remains
        if len(known) > self._max_keys:
            known.clear()
        _, _, remaining, reset, _ = judge(state, most, period, 0, now)
        return Decision(True, limit, remaining, now, reset, 0, self._source)

    def without_store(
        self,
        key: str,
        limits: tuple[Limit, ...],
        cost: int,
        *,
        sent: bool | None,
        peek: bool = False,
    ) -> Decision:
        """Decide as each limit's failure policy says.

        What may have been *sent* may have been counted there, and is not owed.
        """
        local = [limit for limit in limits if limit.failure == "local"]
        closed = any(limit.failure == "closed" for limit in limits)
        now = _now() + self._skew
        for limit in local:
            self._recall(key, limit)
        counted: Iterator[Decision] = iter(())
        if local:
            ask = self._known.peek if peek or closed else self._known.hit
            decision = ask(key, *local, cost=cost)
            counted = iter(decision.each)
            if decision.allowed and sent is False and not (peek or closed):
                self._owe(key, local, cost)
        parts = []
        for limit in limits:
            match limit.failure:
                case "local":
                    parts.append(next(counted)._replace(reason=_AWAY))
                case "open":
                    parts.append(Decision(True, limit, limit.rate.limit, now, 0, 0, "none", _OPEN))
                case "closed":
                    parts.append(Decision(False, limit, 0, now, _SECOND, _SECOND, "none", _CLOSED))
                case _:
                    assert_never(limit.failure)
        return joined(tuple(parts))

    def _recall(self, key: str, limit: Limit) -> None:
        """Go on from what the store said last."""
        wording = self._wordings.get(limit)
        state = wording.known.pop(key, None) if wording else None
        if state is not None:
            self._known.learn(key, limit, state)

    def forget(self, key: str, limits: Sequence[Limit]) -> None:
        """Forget what is known here of these."""
        self._known.reset(key, *limits)
        with self._lock:
            self._denied.pop(key, None)
            for limit in limits:
                if limit in self._wordings:
                    self._wordings[limit].known.pop(key, None)
                self._owed.pop((limit, key), None)

    def take_owed(self) -> Counter[Debt]:
        """What was let through while the store was away, to be counted there; told once."""
        with self._lock:
            owed, self._owed = self._owed, Counter()
            self._denied.clear()
        return owed

    def payment(self, debt: Debt, cost: int) -> Item:
        """Word for the script what is owed."""
        limit, key = debt
        return self.item(ADD, key, (limit,), min(cost, limit.rate.limit))

    def owe_again(self, debts: Counter[Debt]) -> None:
        """What could not be paid, for the store is away again."""
        with self._lock:
            self._owed.update(debts)

    def _word(self, limit: Limit) -> _Wording:
        if len(self._wordings) >= _MOST_WORDINGS:
            self._wordings.clear()
        algorithm, rate = _ALGORITHMS[limit.strategy], limit.rate
        wording = _Wording(
            judge_of(limit.strategy),
            rate.limit,
            rate.per_us,
            f"{limit.name}:{algorithm}{rate.limit}/{format_duration(rate.per)}",
            (algorithm, rate.limit, rate.per_us),
            {},
        )
        self._wordings[limit] = wording
        return wording

    def _deny(
        self, key: str, limits: tuple[Limit, ...], cost: int, decision: Decision, here: int
    ) -> None:
        until = here + min(decision.retry_us, self._deny_us)
        with self._lock:
            if len(self._denied) >= self._max_keys:
                self._denied.clear()  # costs a trip for each key, and no answer
            told = decision._replace(source="deny-cache")
            most = min(limit.rate.limit for limit in limits)
            self._denied.setdefault(key, {})[limits] = _Denial(until, here, cost, most, told)

    def _owe(self, key: str, limits: Sequence[Limit], cost: int) -> None:
        with self._lock:
            for limit in limits:
                if (limit, key) in self._owed or len(self._owed) < self._max_keys:
                    self._owed[limit, key] += cost

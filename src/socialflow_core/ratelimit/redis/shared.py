"""What a limiter with a shared store does without it; for the sync and async facade alike.

It words a hit for the script and reads the answer, remembers for a moment which keys are
at their limit, takes over with the last known counts while the store is away, and knows
what it then owes the store.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, assert_never

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.grammar import format_duration
from socialflow_core.ratelimit._core import Subject, decide, joined, look, weigh
from socialflow_core.ratelimit._interface import Decision, Strategy
from socialflow_core.ratelimit._script import ADD, HIT
from socialflow_core.ratelimit._strategies import judge_of, packed
from socialflow_core.ratelimit.memory import MemoryRateLimiter

from .denials import Denials, now_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from socialflow_core._kit.errors import UnavailableError
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


class Debt(NamedTuple):
    """Hits of a key that were let through and that the store has not counted."""

    limit: Limit
    key: str
    cost: int
    payment: Item


class _Wording(NamedTuple):
    """What never changes about a limit, worked out once."""

    judge: Judge
    limit: int
    period: int
    suffix: str
    args: tuple[str, int, int]
    known: dict[str, int]  # the last state of each key that the store told


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
        self._max_keys = max_keys
        self._skew = unix_us() - now_us()  # the store's clock less our own
        self._known = MemoryRateLimiter(clock=lambda: now_us() + self._skew, max_keys=max_keys)
        self._wordings: dict[Limit, _Wording] = {}
        self.denials = Denials(deny_ttl // _US, max_keys)
        self._owe_nothing()
        renew_in_forks(self, SharedCounts._owe_nothing)

    def _owe_nothing(self) -> None:
        # In a forked child too: what this process let through, it pays back itself.
        self._owed: Counter[tuple[Limit, str]] = Counter()
        self._lock = threading.Lock()

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
        here, now = now_us(), reply[1]
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
            self.denials.forget(key)
            return decide(limits, look(subjects, 0, now), now, self._source)
        decision = decide(limits, weigh(subjects, cost, now), now, self._source)
        self.denials.add(key, limits, cost, decision, here)
        return decision

    def _read_one(self, reply: Sequence[int], key: str, limit: Limit) -> Decision:
        # The same as `read`, without the lists: this is the path that is taken most.
        _, now, one, two, three = reply
        judge, most, period, _, _, known = self._wordings.get(limit) or self._word(limit)
        known[key] = state = packed(limit.strategy, one, two, three)
        self.denials.forget(key)  # a dearer hit was denied; now less remains
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
        now = now_us() + self._skew
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
        self.denials.forget(key)
        with self._lock:
            for limit in limits:
                if limit in self._wordings:
                    self._wordings[limit].known.pop(key, None)
                self._owed.pop((limit, key), None)

    def take_debt(self) -> Debt | None:
        """Something that was let through while the store was away, to be counted there.

        Of it only what still counts: what is over by now would be over there, too.
        """
        while True:
            with self._lock:
                if not self._owed:
                    return None
                (limit, key), cost = self._owed.popitem()
            spent = limit.rate.limit - self._known.peek(key, limit).remaining
            if spent:
                return Debt(limit, key, cost, self.item(ADD, key, (limit,), min(cost, spent)))

    def may_go_on(self, debt: Debt, error: UnavailableError, *, gone: bool) -> bool:
        """Whether the other debts can be paid although this one could not.

        What was not sent is owed again; what was may count there, and once is enough.
        """
        if gone and error.sent is False:
            self._owe(debt.key, (debt.limit,), debt.cost)
        return not gone

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

    def _owe(self, key: str, limits: Sequence[Limit], cost: int) -> None:
        with self._lock:
            for limit in limits:
                if (limit, key) in self._owed or len(self._owed) < self._max_keys:
                    self._owed[limit, key] += cost

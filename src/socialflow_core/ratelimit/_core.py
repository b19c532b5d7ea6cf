"""The decisions: each strategy is a pure function of one number, the key's state.

A state is an `int`, so that a million of them are cheap to keep; 0 is a key of which
nothing is spent. Times are microseconds. `judge` answers what becomes of a hit.

A clock that goes back never grants anything: what was spent stays spent. A window that
seems to begin in the future is taken to begin now, and a bucket never holds more than
its limit, so no key waits longer than one period (two for a sliding window) from then on.

What is compared stays below 2**53, because `Rate` holds limit x period below it; so a
script that counts in doubles decides the same, to the microsecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, assert_never

from ._interface import Decision, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._interface import Limit

__all__ = [
    "Judge",
    "Subject",
    "Verdict",
    "check_hit",
    "decide",
    "judge_of",
    "look",
    "pack",
    "weigh",
]

# A count never reaches 2**53, so a window's start stands above that many bits.
_BITS = 53
_COUNT = (1 << _BITS) - 1
_MOST_KEY = 1024


class Verdict(NamedTuple):
    """What one limit says to a hit.

    Attributes:
        allowed: Whether the hit fits.
        state: The state after it; as before, but brought to now, if it does not fit.
        remaining: Hits that would still fit.
        reset_us: Until nothing is spent any more; 0 if nothing is, and the key can be forgotten.
        retry_us: Until this hit would fit; 0 if it does.
    """

    allowed: bool
    state: int
    remaining: int
    reset_us: int
    retry_us: int


Judge: TypeAlias = "Callable[[int, int, int, int, int], Verdict]"
"""state, limit, period, cost, now -> verdict; a cost of 0 just looks."""


def judge_of(strategy: Strategy) -> Judge:
    """The function that decides for *strategy*."""
    match strategy:
        case Strategy.FIXED_WINDOW:
            return fixed_window
        case Strategy.SLIDING_WINDOW:
            return sliding_window
        case Strategy.TOKEN_BUCKET:
            return token_bucket
        case _:
            assert_never(strategy)


def pack(strategy: Strategy, first: int, second: int, third: int) -> int:
    """The state that a store keeps as three numbers."""
    match strategy:
        case Strategy.FIXED_WINDOW:
            return first << _BITS | second
        case Strategy.SLIDING_WINDOW:
            return (first << _BITS | second) << _BITS | third
        case Strategy.TOKEN_BUCKET:
            return first
        case _:
            assert_never(strategy)


def fixed_window(state: int, limit: int, period: int, cost: int, now: int) -> Verdict:
    """At most *limit* in a window that begins with the key's first counted hit.

    State: start of the window, count.
    """
    start, count = state >> _BITS, state & _COUNT
    if now >= start + period:
        start, count = now, 0
    elif now < start:
        start = now
    spent = count + cost
    end = start + period - now
    if spent <= limit:
        if not spent:
            return Verdict(True, 0, limit, 0, 0)
        return Verdict(True, start << _BITS | spent, limit - spent, end, 0)
    return Verdict(False, start << _BITS | count, limit - count, end, end)


def sliding_window(state: int, limit: int, period: int, cost: int, now: int) -> Verdict:
    """At most *limit* by estimate: the window before counts by the share of it still in view.

    Windows follow one another from the key's first counted hit. State: start of the
    window, count of the one before, count.
    """
    start, before, count = state >> 2 * _BITS, state >> _BITS & _COUNT, state & _COUNT
    if now >= start + 2 * period or (not count and now >= start + period):
        start, before, count = now, 0, 0
    elif now >= start + period:
        start, before, count = start + period, count, 0
    elif now < start:
        start = now
    left = start + period - now
    weight = before * left
    spent, room = count + cost, limit - count - cost
    allowed = room >= 0 and weight <= room * period
    if allowed:
        count = spent
    state = (start << _BITS | before) << _BITS | count
    remaining = max(0, limit - count - -(-weight // period))
    if count:
        reset = left + period
    elif before:
        reset = left
    else:
        return Verdict(True, 0, limit, 0, 0)
    return Verdict(
        allowed,
        state,
        remaining,
        reset,
        0 if allowed else _wait(limit, period, before, count, cost, left),
    )


def _wait(limit: int, period: int, before: int, count: int, cost: int, left: int) -> int:
    """How long until *cost* fits a sliding window of which *left* is left."""
    room = limit - count - cost
    if room >= 0:
        # before * (left - wait) <= room * period, in this window
        return left - room * period // before
    # The same in the next window, where this one is the one before.
    return left + period - (limit - cost) * period // count


def token_bucket(state: int, limit: int, period: int, cost: int, now: int) -> Verdict:
    """*limit* at once, then one more every period / limit: GCRA, kept as one number.

    State: when nothing is spent any more.
    """
    step = -(-period // limit)
    full = limit * step
    used = min(max(state - now, 0), full)
    spent = used + cost * step
    if spent <= full:
        return Verdict(True, now + spent if spent else 0, limit - -(-spent // step), spent, 0)
    return Verdict(False, now + used, limit - -(-used // step), used, spent - full)


class Subject(NamedTuple):
    """One limit of a hit, and what stands against it."""

    judge: Judge
    state: int
    limit: int
    period: int

    def verdict(self, cost: int, now: int) -> Verdict:
        """What it says to *cost*; a cost of 0 just looks."""
        return self.judge(self.state, self.limit, self.period, cost, now)


def weigh(subjects: Sequence[Subject], cost: int, now: int) -> list[Verdict]:
    """All or nothing: if one refuses, the others say how they stand without the hit."""
    verdicts = [subject.verdict(cost, now) for subject in subjects]
    if all(verdict.allowed for verdict in verdicts):
        return verdicts
    return [
        subject.verdict(0, now) if verdict.allowed else verdict
        for subject, verdict in zip(subjects, verdicts, strict=True)
    ]


def look(subjects: Sequence[Subject], cost: int, now: int) -> list[Verdict]:
    """What each would say to *cost*, and how it stands without it."""
    told = [(subject.verdict(cost, now), subject.verdict(0, now)) for subject in subjects]
    return [
        stands._replace(allowed=asked.allowed, retry_us=asked.retry_us) for asked, stands in told
    ]


def check_hit(key: str, limits: Sequence[Limit], cost: int) -> None:
    """Refuse what makes no sense, before anything is counted.

    Raises:
        ValueError: See `RateLimiter`.
    """
    if not isinstance(key, str) or not 0 < len(key) <= _MOST_KEY:
        raise ValueError(f"key must be a text of 1 to {_MOST_KEY} characters")
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise ValueError("key must not hold lone surrogates") from None
    if not isinstance(cost, int) or isinstance(cost, bool) or cost < 1:
        raise ValueError("cost must be a whole number from 1")
    if not limits:
        raise ValueError("at least one limit is needed")
    if len(limits) > 1 and len(set(limits)) < len(limits):
        raise ValueError("the same limit is given twice")
    for limit in limits:
        if cost > limit.rate.limit:
            raise ValueError(f"cost is above the limit {limit.name}: waiting would never help")


def decide(
    limits: Sequence[Limit], verdicts: Sequence[Verdict], now: int, source: str, reason: str = ""
) -> Decision:
    """Join what each limit says: all or nothing, told by the limit that matters most."""
    parts = tuple(
        Decision(v.allowed, limit, v.remaining, now, v.reset_us, v.retry_us, source, reason)
        for limit, v in zip(limits, verdicts, strict=True)
    )
    return join(parts)


def join(parts: tuple[Decision, ...]) -> Decision:
    """The decision over several limits, from the decision of each."""
    if len(parts) == 1:
        return parts[0]
    allowed = all(part.allowed for part in parts)
    told = min(parts, key=_least_left) if allowed else max(parts, key=_longest_wait)
    return told._replace(parts=parts)


def _least_left(part: Decision) -> tuple[int, int]:
    return part.remaining, -part.reset_us


def _longest_wait(part: Decision) -> tuple[bool, int, int]:
    return not part.allowed, part.retry_us, part.reset_us

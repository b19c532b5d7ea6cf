"""The ways to count: each a pure function of one number, the key's state.

A state is an `int`, so that a million of them are cheap to keep; 0 is a key of which
nothing is spent. Times are microseconds. A clock that goes back never grants anything:
what was spent stays spent. A window that seems to begin in the future is taken to begin
now, and a bucket never holds more than its limit, so that no key waits longer than one
period (two for a sliding window) from then on. A clock that jumps ahead is time passed.

Whatever is compared or multiplied here stays below 2**53, because `Rate` holds limit x
period below it: a script that counts in doubles decides the same, to the microsecond, if
it divides by the remainder (`a - a % b`) and not by rounding. What is stored as a moment
stays below it as long as now + 2 x period does: for a period of a century until 2055.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias, assert_never

from ._interface import Strategy

__all__ = [
    "Judge",
    "Told",
    "Verdict",
    "fixed_window",
    "judge_of",
    "packed",
    "sliding_state",
    "sliding_window",
    "token_bucket",
]

# A count stays below 2**53, so the next part of a state stands above that many bits.
_BITS = 53
_COUNT = (1 << _BITS) - 1


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


Told: TypeAlias = tuple[bool, int, int, int, int]
"""The fields of a `Verdict`: naming them would double the time that a judge takes."""

Judge: TypeAlias = Callable[[int, int, int, int, int], Told]
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


def packed(strategy: Strategy, first: int, second: int, third: int) -> int:
    """The state that a store keeps as three numbers; see `_script`."""
    match strategy:
        case Strategy.FIXED_WINDOW:
            return first << _BITS | second
        case Strategy.SLIDING_WINDOW:
            return sliding_state(first, second, third)
        case Strategy.TOKEN_BUCKET:
            return first
        case _:
            assert_never(strategy)


def fixed_window(state: int, limit: int, period: int, cost: int, now: int) -> Told:
    """At most *limit* in a window that begins with the key's first counted hit.

    State: start of the window, count.
    """
    count = state & _COUNT
    left = period - (now - (state >> _BITS))
    if left <= 0 or not count:
        state, count, left = now << _BITS, 0, period
    elif left > period:
        state, left = now << _BITS | count, period
    spent = count + cost
    if spent > limit:
        return False, state, limit - count, left, left
    if not spent:
        return True, 0, limit, 0, 0
    return True, state + cost, limit - spent, left, 0


def sliding_window(state: int, limit: int, period: int, cost: int, now: int) -> Told:
    """At most *limit* by estimate: the window before counts by the share of it still in view.

    Windows follow one another from the key's first counted hit, until nothing is in view.
    State: start of the window, count of the one before, count.
    """
    start, before, count = state >> 2 * _BITS, state >> _BITS & _COUNT, state & _COUNT
    left = period - (now - start)
    if left > period:
        start, left = now, period
    elif left <= 0:
        start, before, count, left = start + period, count, 0, left + period
    if left <= 0 or not before | count:
        start, before, count, left = now, 0, 0, period
    weight = before * left
    room = limit - count - cost
    allowed = room >= 0 and weight <= room * period
    retry = 0 if allowed else _wait(limit, period, before, count, cost, left)
    if allowed:
        count += cost
    if not before | count:
        return True, 0, limit, 0, 0
    remaining = limit - count - -(-weight // period)
    return (
        allowed,
        sliding_state(start, before, count),
        max(0, remaining),
        left + period if count else left,
        retry,
    )


def sliding_state(start: int, before: int, count: int) -> int:
    """The state of a sliding window that began at *start*."""
    return (start << _BITS | before) << _BITS | count


def _wait(limit: int, period: int, before: int, count: int, cost: int, left: int) -> int:
    """How long until *cost* fits a sliding window of which *left* is left."""
    room = limit - count - cost
    if room >= 0:
        # The first moment at which before * left <= room * period, in this window.
        return left - room * period // before
    # The same in the next window, where this one is the one before.
    return left + period - (limit - cost) * period // count


def token_bucket(state: int, limit: int, period: int, cost: int, now: int) -> Told:
    """*limit* at once, then one more every period / limit: GCRA, kept as one number.

    State: when nothing is spent any more.
    """
    step = -(-period // limit)  # rounded up, so that the limit holds
    full = limit * step
    used = state - now if state > now else 0
    used = min(used, full)
    spent = used + cost * step
    if spent > full:
        return False, now + used, limit - -(-used // step), used, spent - full
    if not spent:
        return True, 0, limit, 0, 0
    return True, now + spent, limit - -(-spent // step), spent, 0

"""What each way to count promises, for every rate and every timing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from socialflow_core.ratelimit import Rate, Strategy
from socialflow_core.ratelimit._strategies import Verdict, judge_of
from socialflow_core.testing.ratelimit import rates
from tests.ratelimit.timelines import START, Hit, Key, timelines

strategies = pytest.mark.parametrize("strategy", Strategy)


@given(timelines)
def test_a_fixed_window_allows_its_limit(timeline: tuple[Rate, list[Hit]]) -> None:
    """Hits are counted from the first of a window, and allowed while they fit its limit."""
    rate, hits = timeline
    key = Key(Strategy.FIXED_WINDOW, rate)
    start, count = 0, 0
    for gap, cost in hits:
        verdict = key.hit(gap, cost)
        if key.now >= start + rate.per_us:
            start, count = key.now, 0
        assert verdict.allowed == (count + cost <= rate.limit)
        count += cost if verdict.allowed else 0
        assert verdict.remaining == rate.limit - count
        assert verdict.reset_us == start + rate.per_us - key.now


@given(timelines)
def test_a_sliding_window_allows_its_limit_by_estimate(timeline: tuple[Rate, list[Hit]]) -> None:
    """The estimate is exact, as a fraction, and what is allowed never lifts it above the limit."""
    rate, hits = timeline
    period = rate.per_us
    key = Key(Strategy.SLIDING_WINDOW, rate)
    origin = START
    for gap, cost in hits:
        now = key.now + gap
        window = origin + (now - origin) // period * period
        before, count = (
            key.spent_between(window - period, window),
            key.spent_between(window, now + 1),
        )
        if not before + count:
            origin = window = now
        estimate = count + before * Fraction(window + period - now, period)
        verdict = key.hit(gap, cost)
        assert verdict.allowed == (estimate + cost <= rate.limit)
        estimate += cost if verdict.allowed else 0
        assert estimate <= rate.limit
        assert verdict.remaining == int(rate.limit - estimate)


@given(timelines)
def test_a_bucket_allows_its_limit_and_what_flows_in(timeline: tuple[Rate, list[Hit]]) -> None:
    """Between any two hits it allows at most limit + elapsed // step, and not less."""
    rate, hits = timeline
    key = Key(Strategy.TOKEN_BUCKET, rate)

    def most(since: int) -> int:
        return rate.limit + (key.now - since) // key.step

    for gap, cost in hits:
        verdict = key.hit(gap, cost)
        sums = {at: key.spent_between(at, key.now + 1) for at, _ in key.allowed}
        assert all(spent <= most(at) for at, spent in sums.items())
        if not verdict.allowed:
            assert any(spent + cost > most(at) for at, spent in sums.items())


@strategies
@given(timelines)
def test_no_trailing_period_sees_more_than_twice_the_limit(
    strategy: Strategy, timeline: tuple[Rate, list[Hit]]
) -> None:
    """Wherever a period is laid, at most 2 x limit was allowed in it."""
    rate, hits = timeline
    key = Key(strategy, rate)
    for gap, cost in hits:
        key.hit(gap, cost)
        assert key.spent_between(key.now - rate.per_us + 1, key.now + 1) <= 2 * rate.limit


@strategies
@given(timelines)
@example((Rate.parse("3/10us"), [Hit(0, 3), Hit(9, 1), Hit(1, 3), Hit(0, 3)]))
def test_retry_is_exact(strategy: Strategy, timeline: tuple[Rate, list[Hit]]) -> None:
    """A refused hit is allowed *retry_us* later, and not at any time before."""
    rate, hits = timeline
    key = Key(strategy, rate)
    for gap, cost in hits:
        verdict = key.hit(gap, cost)
        if verdict.allowed:
            assert verdict.retry_us == 0
        else:
            assert 0 < verdict.retry_us <= key.longest_us
            assert key.ask(cost, after=verdict.retry_us).allowed
            for sooner in {verdict.retry_us - 1, verdict.retry_us // 2}:
                assert not key.ask(cost, after=sooner).allowed


@strategies
@given(timelines)
def test_reset_is_exact(strategy: Strategy, timeline: tuple[Rate, list[Hit]]) -> None:
    """At *reset_us* nothing is spent: the key can be forgotten, and not a microsecond sooner."""
    rate, hits = timeline
    key = Key(strategy, rate)
    for gap, cost in hits:
        reset = key.hit(gap, cost).reset_us
        assert 0 < reset <= key.longest_us
        assert key.ask(0, after=reset) == Verdict(True, 0, rate.limit, 0, 0)
        assert key.ask(0, after=reset - 1).reset_us == 1
        assert key.ask(1, after=reset) == Key(strategy, rate, key.now).ask(1, after=reset)


@strategies
@given(timelines, st.integers(1, 5))
def test_a_refused_hit_is_free(
    strategy: Strategy, timeline: tuple[Rate, list[Hit]], times: int
) -> None:
    """A key that was refused any number of times is as one that never asked."""
    rate, hits = timeline
    key, modest = Key(strategy, rate), Key(strategy, rate)
    for gap, cost in hits:
        modest.now += gap
        for later in range(times):
            wanted = key.ask(cost, after=0 if later else gap)
            told = key.hit(0 if later else gap, cost)
            assert told == wanted
            if told.allowed:
                assert modest.hit(0, cost) == told
            else:
                assert key.ask(0) == modest.ask(0)._replace(state=key.ask(0).state)
                assert key.ask(cost) == modest.ask(cost)._replace(state=key.ask(cost).state)


@strategies
@given(timelines, st.integers(0, 10**7))
def test_remaining_tells_what_fits(
    strategy: Strategy, timeline: tuple[Rate, list[Hit]], pause: int
) -> None:
    """It falls by the cost, never falls by waiting, and a hit fits exactly if it is within."""
    rate, hits = timeline
    key = Key(strategy, rate)
    for gap, cost in hits:
        stands = key.ask(0, after=gap)
        verdict = key.hit(gap, cost)
        assert verdict.allowed == (cost <= stands.remaining)
        assert verdict.remaining == stands.remaining - (cost if verdict.allowed else 0)
        assert key.ask(0, after=pause).remaining >= verdict.remaining


@strategies
@given(timelines, st.integers(1, 10**8), st.integers(0, 10**7))
def test_a_clock_that_goes_back_grants_nothing(
    strategy: Strategy, timeline: tuple[Rate, list[Hit]], back: int, pause: int
) -> None:
    """Less is left than before, and nobody waits longer than if all had been spent right now."""
    rate, hits = timeline
    key = Key(strategy, rate)
    for gap, cost in hits:
        key.hit(gap, cost)
    stood = key.ask(0)
    key.now -= back
    assert key.ask(0).remaining <= stood.remaining
    refused = key.hit(0, rate.limit)
    assert refused.reset_us <= key.longest_us
    assert refused.retry_us <= key.longest_us
    # From here on it is time like any other: the refusal was brought to now and kept.
    assert key.ask(0, after=pause).remaining >= key.ask(0).remaining
    assert key.ask(rate.limit, after=key.longest_us).allowed


@strategies
@given(timelines, st.integers(0, 10**16))
def test_a_clock_that_jumps_ahead_is_time_passed(
    strategy: Strategy, timeline: tuple[Rate, list[Hit]], jump: int
) -> None:
    """However far it jumps, what was spent is free again if the key's time has passed."""
    rate, hits = timeline
    key = Key(strategy, rate)
    for gap, cost in hits:
        key.hit(gap, cost)
    assume(jump >= key.ask(0).reset_us)
    assert key.ask(rate.limit, after=jump).allowed


@strategies
@given(rates(), st.integers(0, 10**7))
def test_a_clock_may_begin_at_nothing(strategy: Strategy, rate: Rate, now: int) -> None:
    """A fresh key has its whole limit, also when the clock began less than a period ago."""
    key = Key(strategy, rate, now)
    assert key.ask(0) == Verdict(True, 0, rate.limit, 0, 0)
    assert key.hit(0, rate.limit).reset_us == key.longest_us
    assert key.ask(1, after=key.longest_us - 1).reset_us
    assert not key.ask(rate.limit).allowed


class Double(int):
    """A number as a Redis script has it: what is computed from small ones must stay small."""

    def _checked(self, other: int, result: int) -> Double:
        # A packed state is above; a script keeps its parts as numbers of their own.
        assert abs(result) < 2**53 or abs(self) >= 2**53 or abs(other) >= 2**53
        return Double(result)

    def __add__(self, other: int, /) -> Double:
        return self._checked(other, int(self) + int(other))

    def __sub__(self, other: int, /) -> Double:
        return self._checked(other, int(self) - int(other))

    def __mul__(self, other: int, /) -> Double:
        return self._checked(other, int(self) * int(other))

    def __floordiv__(self, other: int, /) -> Double:
        return Double(int(self) // int(other))

    def __neg__(self) -> Double:
        return Double(-int(self))

    def __rsub__(self, other: int, /) -> Double:
        return Double(other) - self

    __radd__, __rmul__ = __add__, __mul__


@strategies
@given(
    st.integers(1, 2**53 - 1),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), max_size=20),
)
def test_a_script_can_count_the_same(
    strategy: Strategy, period: int, timeline: list[tuple[float, float]]
) -> None:
    """Up to the largest rates nothing that is compared leaves the range of exact doubles."""
    century = 100 * 366 * 86_400_000_000
    period = period % century + 1
    limit = (2**53 - 1) // period
    judge, state, now = judge_of(strategy), 0, START
    for pause, share in timeline:
        now += int(pause * period) % (century // 20)
        cost = int(share * (limit - 1)) + 1
        state = judge(state, Double(limit), Double(period), Double(cost), Double(now))[1]

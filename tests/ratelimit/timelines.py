"""Hits of one key over time, drawn at random, and what was allowed of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import strategies as st

from socialflow_core.ratelimit import Rate, Strategy
from socialflow_core.ratelimit._strategies import Verdict, judge_of
from socialflow_core.testing.ratelimit import rates

START = 1_800_000_000_000_000


class Hit(NamedTuple):
    """What is asked, so long after the one before."""

    gap: int
    cost: int


@dataclass
class Key:
    """A key with its state, as an adapter keeps it, and all that was ever allowed."""

    strategy: Strategy
    rate: Rate
    now: int = START
    state: int = 0
    allowed: list[tuple[int, int]] = field(default_factory=list)

    def ask(self, cost: int, *, after: int = 0) -> Verdict:
        """What is said to *cost*, *after* a while; a cost of 0 just looks."""
        judge = judge_of(self.strategy)
        return Verdict(
            *judge(self.state, self.rate.limit, self.rate.per_us, cost, self.now + after)
        )

    def hit(self, gap: int, cost: int) -> Verdict:
        """Wait, hit, and keep what comes of it."""
        self.now += gap
        cost = min(cost, self.rate.limit)
        verdict = self.ask(cost)
        self.state = verdict.state
        if verdict.allowed:
            self.allowed.append((self.now, cost))
        return verdict

    @property
    def step(self) -> int:
        """What one hit costs of a bucket, in microseconds."""
        return -(-self.rate.per_us // self.rate.limit)

    @property
    def longest_us(self) -> int:
        """The longest that a key waits, whatever the clock did."""
        match self.strategy:
            case Strategy.FIXED_WINDOW:
                return self.rate.per_us
            case Strategy.SLIDING_WINDOW:
                return 2 * self.rate.per_us
            case Strategy.TOKEN_BUCKET:
                return self.rate.limit * self.step

    def spent_between(self, start: int, end: int) -> int:
        """What was allowed from *start* up to, and without, *end*."""
        return sum(cost for at, cost in self.allowed if start <= at < end)


@st.composite
def _timelines(draw: st.DrawFn) -> tuple[Rate, list[Hit]]:
    """A rate, and hits whose timing has to do with it."""
    rate = draw(rates())
    period = rate.per_us
    gap = st.one_of(
        st.integers(0, 3),
        st.integers(0, period // rate.limit + 1),
        st.integers(0, 3 * period),
        st.sampled_from([period - 1, period, period + 1, 2 * period - 1, 2 * period]),
    )
    costs = st.just(1) | st.integers(1, rate.limit)
    return rate, draw(st.lists(st.builds(Hit, gap, costs), min_size=1, max_size=25))


timelines = _timelines()

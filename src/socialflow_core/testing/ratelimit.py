"""What every rate limiter promises, as tests to run on your own; extra `[testing]`.

```python
from socialflow_core.testing.ratelimit import RateLimiterContract


class TestMine(RateLimiterContract):
    def limiter(self, clock):
        return MyRateLimiter(clock=clock)
```

An async limiter is handed over as `Blocking(MyAsyncRateLimiter(...))`. The strategies below
draw limits and timings for properties of your own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from socialflow_core._kit.errors import requires_extra
from socialflow_core.ratelimit import Decision, Limit, Rate, RateLimiter, Strategy

from ._ratelimit import Oracle, Question, gaps, limits, questions, rates
from .clock import ManualClock

with requires_extra("testing"):
    import pytest
    from hypothesis import HealthCheck, given, settings

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from socialflow_core._kit.clock import Clock
    from socialflow_core.ratelimit import AsyncRateLimiter

__all__ = [
    "Blocking",
    "ExactRateLimiterContract",
    "Oracle",
    "Question",
    "RateLimiterContract",
    "gaps",
    "limits",
    "questions",
    "rates",
]

ResultT = TypeVar("ResultT")
_US = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class Blocking:
    """An async limiter, driven as a sync one on an event loop of its own; close it."""

    def __init__(self, limiter: AsyncRateLimiter) -> None:
        self._limiter = limiter
        self._runner = asyncio.Runner()

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        return self._run(self._limiter.hit(key, *limits, cost=cost))

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        return self._run(self._limiter.peek(key, *limits, cost=cost))

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        self._run(self._limiter.reset(key, *limits))

    def at_once(self, key: str, limit: Limit, times: int, tasks: int = 8) -> list[Decision]:
        """Hit *times* times from *tasks* that run at once."""
        numbers = iter(range(times))

        async def hit_on() -> list[Decision]:
            return [await self._limiter.hit(key, limit) for _ in numbers]

        async def hit_all() -> list[Decision]:
            parts = await asyncio.gather(*(hit_on() for _ in range(tasks)))
            return [decision for part in parts for decision in part]

        return self._run(hit_all())

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self._runner.run(work)


@contextmanager
def _closing(limiter: RateLimiter) -> Iterator[RateLimiter]:
    """Close it at the end, if it can be closed."""
    try:
        yield limiter
    finally:
        getattr(limiter, "close", lambda: None)()


class RateLimiterContract:
    """Subclass it, say how a limiter is built, and run it.

    Attributes:
        strategies: Those that the adapter offers.
        threads: How many threads may share a limiter; a `Blocking` one is shared by tasks.
    """

    strategies: tuple[Strategy, ...] = tuple(Strategy)
    threads: int = 8

    def limiter(self, clock: Clock) -> RateLimiter:
        """Build a fresh limiter that reads *clock*; called for each test."""
        raise LookupError(clock, "say how a limiter is built")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time, in the test's hands."""
        return ManualClock()

    @pytest.fixture
    def mine(self, clock: ManualClock) -> Iterator[RateLimiter]:
        """A fresh limiter."""
        with _closing(self.limiter(clock)) as limiter:
            yield limiter

    def drawn(self, number: int, name: str = "contract") -> list[Limit]:
        """A limit of *number* a day, for each strategy of the adapter."""
        rate = Rate(number, per=_DAY)
        return [Limit(name, rate, strategy=strategy) for strategy in self.strategies]

    def test_it_allows_the_limit_and_refuses_more(self, mine: RateLimiter) -> None:
        """Exactly *limit* hits are allowed, and *remaining* counts them down."""
        for limit in self.drawn(3):
            decisions = [mine.hit("alice", limit) for _ in range(5)]
            assert [d.allowed for d in decisions] == [True] * 3 + [False] * 2
            assert [d.remaining for d in decisions] == [2, 1, 0, 0, 0]

    def test_a_decision_says_all_that_a_caller_needs(self, mine: RateLimiter) -> None:
        """Which limit, how many, when it is reset, when to retry, where it was counted."""
        for limit in self.drawn(1):
            allowed, refused = mine.hit("alice", limit), mine.hit("alice", limit)
            assert (allowed.decided_by, allowed.limit) == (limit, 1)
            assert timedelta(0) == allowed.retry_after < allowed.reset_after <= 2 * _DAY
            assert timedelta(0) < refused.retry_after <= refused.reset_after
            assert refused.source
            assert not refused.degraded
            assert refused.each == (refused,)

    def test_keys_do_not_share_a_count(self, mine: RateLimiter) -> None:
        """Neither do keys that differ in a separator, nor limits that differ in a name."""
        for limit in self.drawn(1):
            for key in ("a/b", "a", "b/a", "a:b", "a b", "a\r\nX: b", "\N{SNOWMAN}", "{a}", "}"):
                assert mine.hit(key, limit)
            assert mine.hit(
                "a", Limit("a/b".replace("/", "-"), limit.rate, strategy=limit.strategy)
            )

    def test_a_refused_hit_is_free(self, mine: RateLimiter) -> None:
        """However often it is tried, a hit too many changes nothing."""
        for limit in self.drawn(4):
            mine.hit("alice", limit, cost=3)
            assert not any(mine.hit("alice", limit, cost=2) for _ in range(5))
            assert mine.hit("alice", limit, cost=1)

    def test_peek_foretells_and_spends_nothing(self, mine: RateLimiter) -> None:
        """What it says comes true, and it says how things stand without the hit."""
        for limit in self.drawn(2):
            assert mine.peek("alice", limit).remaining == 2
            assert mine.hit("alice", limit, cost=2)
            assert [mine.peek("alice", limit).allowed for _ in range(3)] == [False] * 3
            assert mine.peek("alice", limit).retry_us > 0
            assert not mine.hit("alice", limit)

    def test_reset_forgets(self, mine: RateLimiter) -> None:
        """The key begins anew under that limit, and others are not concerned."""
        for limit, other in zip(self.drawn(1), self.drawn(1, "other"), strict=True):
            mine.hit("alice", limit, other)
            mine.hit("bob", limit)
            mine.reset("alice", limit)
            assert mine.hit("alice", limit)
            assert not mine.hit("alice", other)
            assert not mine.hit("bob", limit)

    def test_several_limits_are_all_or_nothing(self, mine: RateLimiter) -> None:
        """If one refuses, none counts; and the decision says which, and how each stands."""
        for wide, narrow in zip(self.drawn(5, "wide"), self.drawn(2, "narrow"), strict=True):
            assert [mine.hit("alice", wide, narrow).allowed for _ in range(4)] == [1, 1, 0, 0]
            refused = mine.hit("alice", wide, narrow)
            assert refused.decided_by == narrow
            assert [part.decided_by for part in refused.parts] == [wide, narrow]
            assert [part.allowed for part in refused.parts] == [True, False]
            assert [part.remaining for part in refused.parts] == [3, 0]
            assert mine.peek("alice", wide).remaining == 3

    def test_the_nearest_limit_speaks(self, mine: RateLimiter) -> None:
        """An allowed hit is told by the limit with the least remaining."""
        for wide, narrow in zip(self.drawn(5, "wide"), self.drawn(2, "narrow"), strict=True):
            decision = mine.hit("alice", wide, narrow)
            assert (decision.decided_by, decision.remaining) == (narrow, 1)

    @pytest.mark.parametrize("cost", [0, -1, True, 1.0, "1", 4, 10**30])
    def test_a_cost_that_makes_no_sense_is_refused(self, mine: RateLimiter, cost: Any) -> None:
        """A cost is a whole number from 1 to the limit; anything else counts nothing."""
        for limit in self.drawn(3):
            for ask in (mine.hit, mine.peek):
                with pytest.raises(ValueError, match="cost"):
                    ask("alice", limit, cost=cost)
            assert mine.peek("alice", limit).remaining == 3

    @pytest.mark.parametrize(
        "key", ["", "k" * 1025, "k" * 10_000_000, "\ud800", None, b"k", 1, ["k"]]
    )
    def test_a_key_that_makes_no_sense_is_refused(self, mine: RateLimiter, key: Any) -> None:
        """A key is a text of 1 to 1,024 characters; the error does not repeat it."""
        for limit in self.drawn(3):
            for ask in (mine.hit, mine.peek, mine.reset):
                with pytest.raises(ValueError, match="key must") as caught:
                    ask(key, limit)
                assert len(str(caught.value)) < 100

    def test_the_choice_of_limits_must_make_sense(self, mine: RateLimiter) -> None:
        """At least one, and none twice."""
        for limit in self.drawn(3):
            with pytest.raises(ValueError, match="twice"):
                mine.hit("alice", limit, limit)
        with pytest.raises(ValueError, match="at least one"):
            mine.hit("alice")

    def test_it_is_exact_when_many_hit_at_once(self, mine: RateLimiter) -> None:
        """However many threads or tasks hit at once, the limit is what is allowed."""
        for limit in self.drawn(100):
            if isinstance(mine, Blocking):
                hits = mine.at_once("alice", limit, 400)
            else:
                with ThreadPoolExecutor(self.threads) as pool:
                    hit = partial(mine.hit, "alice", limit)
                    hits = [done.result() for done in [pool.submit(hit) for _ in range(400)]]
            assert sum(hit.allowed for hit in hits) == 100


class ExactRateLimiterContract(RateLimiterContract):
    """The same, and more, for a limiter whose only time is the clock that it is given."""

    # Each subclass runs the property for itself, which is the point of a suite.
    @settings(suppress_health_check=[HealthCheck.differing_executors])
    @given(questions())
    def test_it_decides_as_the_pure_core_does(self, asked: list[Question]) -> None:
        """Whatever is asked, and whenever: the answer is the core's, to the microsecond."""
        clock, oracle = ManualClock(), Oracle()
        with _closing(self.limiter(clock)) as mine:
            for each in asked:
                clock.advance(each.gap)
                if each.verb == "reset":
                    mine.reset(each.key, *each.limits)
                    oracle.reset(each)
                    continue
                ask = mine.hit if each.verb == "hit" else mine.peek
                told = ask(each.key, *each.limits, cost=each.cost)
                assert told == oracle.answer(each, told.now_us, told.source)

    def test_retry_after_is_exact(self, mine: RateLimiter, clock: ManualClock) -> None:
        """A refused hit is allowed then, and not a microsecond sooner."""
        for limit in self.drawn(3):
            while mine.hit("alice", limit):
                clock.advance(timedelta(minutes=7))
            clock.advance(mine.hit("alice", limit).retry_after - _US)
            assert not mine.hit("alice", limit)
            clock.advance(_US)
            assert mine.hit("alice", limit)

    def test_what_is_spent_comes_back(self, mine: RateLimiter, clock: ManualClock) -> None:
        """At `reset_at` nothing is spent any more."""
        for limit in self.drawn(3):
            mine.hit("alice", limit, cost=3)
            clock.advance(mine.peek("alice", limit).reset_after)
            assert mine.peek("alice", limit).remaining == 3
            assert mine.peek("alice", limit).reset_us == 0

"""What the suite for rate limiters draws, and the oracle that knows the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from socialflow_core._kit.errors import requires_extra
from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit._core import Subject, decide, look, weigh
from socialflow_core.ratelimit._strategies import judge_of

with requires_extra("testing"):
    from hypothesis import strategies as st

if TYPE_CHECKING:
    from socialflow_core.ratelimit import Decision

__all__ = ["Oracle", "Question", "gaps", "limits", "questions", "rates"]

_US = timedelta(microseconds=1)
_LONGEST = timedelta(seconds=2)


def rates(*, most: int = 9, longest: timedelta = _LONGEST) -> st.SearchStrategy[Rate]:
    """Rates small enough that a few hits reach them: up to *most* hits per *longest*."""
    periods = st.integers(1, longest // _US) | st.integers(1, 20)
    return st.builds(lambda limit, us: Rate(limit, per=us * _US), st.integers(1, most), periods)


def limits(
    *, most: int = 9, longest: timedelta = _LONGEST, name: str = "drawn"
) -> st.SearchStrategy[Limit]:
    """Limits of every strategy."""
    return st.builds(
        lambda rate, strategy: Limit(name, rate, strategy=strategy),
        rates(most=most, longest=longest),
        st.sampled_from(Strategy),
    )


def gaps(*, longest: timedelta = timedelta(seconds=3)) -> st.SearchStrategy[list[timedelta]]:
    """How long each hit comes after the one before: bursts, and pauses up to *longest*."""
    return st.lists(_gap(longest), min_size=1, max_size=50)


def _gap(longest: timedelta) -> st.SearchStrategy[timedelta]:
    gap = st.just(0) | st.integers(0, 20) | st.integers(0, longest // _US)
    return gap.map(lambda us: us * _US)


class Question(NamedTuple):
    """One call of a limiter, so long after the one before."""

    gap: timedelta
    verb: Literal["hit", "peek", "reset"]
    key: str
    limits: list[Limit]
    cost: int


@st.composite
def _questions(draw: st.DrawFn) -> list[Question]:
    known = [draw(limits(name=name)) for name in ("first", "second", "third")]
    few = st.lists(st.sampled_from(known), min_size=1, unique=True)
    verbs = st.sampled_from(["hit", "hit", "hit", "peek", "reset"])
    cost = st.just(1) | st.integers(1, 9)
    one = st.builds(Question, _gap(_LONGEST), verbs, st.sampled_from("ab"), few, cost)
    return [
        asked._replace(cost=min(asked.cost, *(limit.rate.limit for limit in known)))
        for asked in draw(st.lists(one, min_size=1, max_size=30))
    ]


def questions() -> st.SearchStrategy[list[Question]]:
    """What two callers ask of three limits: hits, and at times a look or a reset."""
    return _questions()


class Oracle:
    """Answers by the pure core, from states that it keeps itself."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, Limit], int] = {}

    def answer(self, asked: Question, now_us: int, source: str) -> Decision:
        """What a limiter has to answer at that moment."""
        subjects = [
            Subject(
                judge_of(limit.strategy),
                self._states.get((asked.key, limit), 0),
                limit.rate.limit,
                limit.rate.per_us,
            )
            for limit in asked.limits
        ]
        ruling = (weigh if asked.verb == "hit" else look)(subjects, asked.cost, now_us)
        for limit, verdict in zip(asked.limits, ruling.verdicts, strict=True):
            self._states[asked.key, limit] = verdict.state
        return decide(asked.limits, ruling, now_us, source)

    def reset(self, asked: Question) -> None:
        """Forget."""
        for limit in asked.limits:
            self._states.pop((asked.key, limit), None)

"""Several limits make one decision, and what makes no sense is refused before it counts."""

from __future__ import annotations

from datetime import timedelta
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.ratelimit import Decision, Limit, Rate, Strategy
from socialflow_core.ratelimit._core import Ruling, Subject, check, decide, look, ruling, weigh
from socialflow_core.ratelimit._strategies import Verdict, judge_of
from socialflow_core.testing.ratelimit import rates

NOW = 1_800_000_000_000_000
THREE = Limit("three", Rate.parse("3/minute"))
FIVE = Limit("five", Rate.parse("5/minute"))


@st.composite
def _subjects(draw: st.DrawFn) -> Subject:
    """A limit of which some is spent, by a few hits up to now."""
    rate, strategy = draw(rates()), draw(st.sampled_from(Strategy))
    subject = Subject(judge_of(strategy), 0, rate.limit, rate.per_us)
    for ago in sorted(draw(st.lists(st.integers(0, 2 * rate.per_us), max_size=6)), reverse=True):
        cost = draw(st.integers(1, rate.limit))
        subject = subject._replace(state=subject.verdict(cost, NOW - ago).state)
    return subject


subjects = st.lists(_subjects(), min_size=1, max_size=4)


def cost_for(subjects: list[Subject], drawn: int) -> int:
    """A cost that no limit is below."""
    return min(drawn, *(subject.limit for subject in subjects))


@given(subjects, st.integers(1, 9))
def test_a_hit_counts_everywhere_or_nowhere(subjects: list[Subject], drawn: int) -> None:
    """If all allow it, each counts it; if one refuses, each stands as before, brought to now."""
    cost = cost_for(subjects, drawn)
    ruled = weigh(subjects, cost, NOW)
    asked = [subject.verdict(cost, NOW) for subject in subjects]
    assert [said.allowed for said in ruled.verdicts] == [said.allowed for said in asked]
    if all(said.allowed for said in asked):
        assert list(ruled.verdicts) == asked
        return
    for subject, said in zip(subjects, ruled.verdicts, strict=True):
        stands = subject.verdict(0, NOW)
        assert (said.state, said.remaining, said.reset_us) == stands[1:4]
        assert bool(said.retry_us) != said.allowed


@given(subjects, st.integers(1, 9))
def test_peek_foretells_the_hit(subjects: list[Subject], drawn: int) -> None:
    """It names who would decide, what each would say and how long to wait; counts stand still."""
    cost = cost_for(subjects, drawn)
    seen, ruled = look(subjects, cost, NOW), weigh(subjects, cost, NOW)
    assert seen.decider == ruled.decider
    for subject, before, after in zip(subjects, seen.verdicts, ruled.verdicts, strict=True):
        assert (before.allowed, before.retry_us) == (after.allowed, after.retry_us)
        assert before.state == subject.verdict(0, NOW).state
        counted = cost if all(said.allowed for said in ruled.verdicts) else 0
        assert before.remaining - counted == after.remaining


verdicts = st.builds(Verdict, st.booleans(), st.just(0), *[st.integers(0, 3)] * 3)


@given(st.lists(verdicts, min_size=1, max_size=5))
def test_the_limit_that_matters_most_decides(told: list[Verdict]) -> None:
    """The refusal that lasts longest, or else the least remaining for longest; then the first."""
    decider = ruling(told).decider
    chosen = told[decider]
    for index, other in enumerate(told):
        if all(said.allowed for said in told):
            mine = (-chosen.remaining, chosen.reset_us)
            its = (-other.remaining, other.reset_us)
        else:
            assert not chosen.allowed
            mine = (chosen.retry_us, chosen.reset_us)
            its = (-1, -1) if other.allowed else (other.retry_us, other.reset_us)
        assert mine > its or (mine == its and decider <= index)


def test_one_limit_is_told_plainly() -> None:
    """The decision of one limit has no parts but itself."""
    ruled = Ruling((Verdict(True, 1, 2, 30, 0),), 0)
    decision = decide([THREE], ruled, NOW, "here")
    assert decision == Decision(True, THREE, 2, NOW, 30, 0, "here")
    assert decision.each == (decision,)


def test_several_limits_are_told_by_the_decider_and_one_by_one() -> None:
    """The parts keep the order of the limits, and each its own reason."""
    ruled = Ruling((Verdict(True, 1, 2, 30, 0), Verdict(False, 1, 0, 40, 20)), 1)
    decision = decide([FIVE, THREE], ruled, NOW, "here", ["no room", ""])
    parts = (
        Decision(True, FIVE, 2, NOW, 30, 0, "here", "no room"),
        Decision(False, THREE, 0, NOW, 40, 20, "here"),
    )
    assert decision == parts[1]._replace(parts=parts, reason="no room")
    assert decision.each == parts
    assert decision.degraded


class Price(IntEnum):
    """Costs with names."""

    UPLOAD = 3


@pytest.mark.parametrize("cost", [1, 3, Price.UPLOAD])
@pytest.mark.parametrize("key", ["k", "k" * 1024, "\N{SNOWMAN}" * 1024, "\r\n\x00", "\U0010ffff"])
def test_what_makes_sense_passes(key: str, cost: int) -> None:
    """Any text that can be written as UTF-8 is a key, and any whole number up to the limit a cost."""
    check(key, (THREE, FIVE), cost)


@pytest.mark.parametrize("key", ["", "k" * 1025, "\ud800", "k\udfff", None, 1, b"k"])
def test_a_key_that_makes_no_sense_is_refused(key: Any) -> None:
    """Neither empty, nor long, nor no text, nor what no store could write."""
    with pytest.raises(ValueError, match="key must"):
        check(key, (THREE,))


@pytest.mark.parametrize("cost", [0, -1, True, 1.0, None, "1", 4, 2**200])
def test_a_cost_that_makes_no_sense_is_refused(cost: Any) -> None:
    """A cost is from 1 to the lowest limit, and a truth value is no number."""
    with pytest.raises(ValueError, match="cost"):
        check("k", (FIVE, THREE), cost)


def test_limits_that_make_no_sense_are_refused() -> None:
    """At least one, and none twice, also not as another object that is equal."""
    with pytest.raises(ValueError, match="at least one"):
        check("k", ())
    with pytest.raises(ValueError, match="twice"):
        check("k", (THREE, Limit("three", Rate(3, per=timedelta(minutes=1)))))
    check("k", (THREE, Limit("three", THREE.rate, strategy=Strategy.TOKEN_BUCKET)))

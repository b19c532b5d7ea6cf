"""How a value is had, step by step, whatever the store and the function answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Sleep, run
from socialflow_core.cache import JSON, Claim, Entry, Policy, Reply, Written
from socialflow_core.cache._core import (
    Ask,
    encode_error,
)
from socialflow_core.cache._flow import (
    AWAY,
    Compute,
    Read,
    Refresh,
    Release,
    Write,
    alone,
    fetch,
    settled,
)

_US = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def ask(policy: Policy | None = None, ttl: Any = _SECOND, most: int = 1000) -> Ask:
    """A question."""
    return Ask("a", (), ttl, JSON, policy or Policy(), most)


def entry(fresh: int = 100, keep: int = 100, **other: Any) -> Entry:
    """The number 7."""
    return Entry(
        **{"payload": b"7", "codec": "json", "took_us": 0, **other}, fresh_us=fresh, keep_us=keep
    )


NEGATIVE = Policy(negative_ttl=_SECOND, negative=(KeyError,))


class Script:
    """Performs a flow: each answer for an effect is a value, an error, or a list of them."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[Any] = []

    def __call__(self, effect: object) -> object:
        """Answer."""
        self.asked.append(effect)
        answer = self.answers.get(type(effect).__name__.lower())
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def kinds(self) -> list[type]:
        """What was asked for."""
        return [type(each) for each in self.asked]


MINE, TAKEN = Reply(None, claim=Claim.MINE, stamp="s"), Reply(None, claim=Claim.TAKEN)
STALE_POLICY = Policy(stale_while_revalidate=50 * _US, stale_if_error=90 * _US)
AWAY_ERROR = UnavailableError("Redis")


def test_a_missing_value_is_computed_and_stored() -> None:
    """With the stamp of the tags as they were before."""
    script = Script(compute=(7, 5), write=Written.STORED)
    outcome = run(fetch(ask(), MINE), script)
    assert (outcome.value, outcome.computed, outcome.reason) == (7, True, "")
    assert script.asked == [Compute(), Write("s", entry(1_000_000, 1_000_000, took_us=5))]


def test_what_was_overtaken_says_so() -> None:
    """So that nobody gets it who asked later."""
    outcome = run(fetch(ask(), MINE), Script(compute=(7, 5), write=Written.OVERTAKEN))
    assert (outcome.value, outcome.overtaken, "invalidated" in outcome.reason) == (7, True, True)
    slow = Script(compute=(7, 10_000_000), write=Written.OVERTAKEN)
    outcome = run(fetch(ask(), MINE), slow)
    assert (outcome.value, outcome.overtaken, "lock_ttl" in outcome.reason) == (7, True, True)


@pytest.mark.parametrize("write", [Written.REFUSED, AWAY_ERROR])
def test_what_is_not_stored_says_so(write: object) -> None:
    """The value is handed out all the same."""
    outcome = run(fetch(ask(), MINE), Script(compute=(7, 5), write=write))
    assert outcome.value == 7
    assert outcome.reason


def test_what_cannot_be_encoded_ends_the_claim() -> None:
    """Others need not wait for it, even if ending it fails."""
    for release in (None, AWAY_ERROR):
        script = Script(compute=(object(), 5), release=release)
        assert run(fetch(ask(), MINE), script).reason.startswith("not stored")
        assert script.kinds == [Compute, Release]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_an_error_ends_the_claim(error: BaseException) -> None:
    """And is raised as it is."""
    script = Script(compute=error)
    with pytest.raises(type(error)):
        run(fetch(ask(), MINE), script)
    assert script.kinds == [Compute, Release]


def test_an_error_that_is_to_be_kept_is_stored() -> None:
    """And raised."""
    script = Script(compute=KeyError("x"), write=Written.STORED)
    with pytest.raises(KeyError):
        run(fetch(ask(NEGATIVE), MINE), script)
    assert script.kinds == [Compute, Write]


@pytest.mark.parametrize("claim", [Claim.MINE, Claim.TAKEN, Claim.IMPOSSIBLE])
def test_a_stale_value_is_handed_out(claim: Claim) -> None:
    """Who has the claim starts computing in the background."""
    reply = Reply(entry(100, 190), 60, claim, "s")
    script = Script()
    outcome = run(fetch(ask(STALE_POLICY), reply), script)
    assert (outcome.value, outcome.age_us, outcome.computed) == (7, 130, False)
    assert outcome.reason.startswith("stale")
    assert script.asked == ([Refresh(reply)] if claim is Claim.MINE else [])


def test_a_spare_value_is_handed_out_after_an_error() -> None:
    """With a claim or without."""
    for claim in (Claim.MINE, Claim.IMPOSSIBLE):
        reply = Reply(entry(100, 190), 20, claim, "s")
        outcome = run(fetch(ask(STALE_POLICY), reply), Script(compute=ValueError()))
        assert (outcome.value, outcome.age_us) == (7, 170)
        assert "failed" in outcome.reason


def test_computing_early_may_fail() -> None:
    """The value is fresh still."""
    outcome = run(fetch(ask(), Reply(entry(), 50, Claim.MINE, "s")), Script(compute=ValueError()))
    assert (outcome.value, outcome.reason) == (7, "")


def test_a_kept_error_is_no_spare_value() -> None:
    """Computing it early and failing raises the new error."""
    kept = encode_error(KeyError("old"), 5, ask(NEGATIVE))
    assert kept is not None
    for claim in (Claim.MINE, Claim.IMPOSSIBLE):
        reply = Reply(kept, kept.keep_us, claim, "s")
        if claim is Claim.IMPOSSIBLE:
            assert settled(reply, ask(NEGATIVE)) is not None
        else:
            with pytest.raises(ValueError, match="new"):
                run(fetch(ask(NEGATIVE), reply), Script(compute=ValueError("new")))


def test_waiting_for_others() -> None:
    """Until the value is there, asking less and less often."""
    script = Script(read=[TAKEN, TAKEN, Reply(entry(), 100)])
    assert run(fetch(ask(), TAKEN), script).value == 7
    pauses = [each.duration for each in script.asked if isinstance(each, Sleep)]
    assert pauses == [timedelta(milliseconds=ms) for ms in (2, 4, 8)]


def test_a_claim_that_ended_is_taken_over() -> None:
    """Who waits computes, if who computed does not any more."""
    script = Script(read=[TAKEN, MINE], compute=(7, 5), write=Written.STORED)
    assert run(fetch(ask(), TAKEN), script).computed


@given(st.integers(0, 500))
def test_waiting_has_an_end(limit_ms: int) -> None:
    """Then the value is computed, and not stored."""
    limit = timedelta(milliseconds=limit_ms)
    script = Script(read=TAKEN, compute=(7, 5))
    outcome = run(fetch(ask(Policy(wait=limit)), TAKEN), script)
    assert (outcome.value, "too long" in outcome.reason) == (7, True)
    slept = sum((each.duration for each in script.asked if isinstance(each, Sleep)), timedelta())
    assert limit <= slept <= limit + timedelta(milliseconds=50)


def test_a_store_that_goes_away_while_waiting() -> None:
    """Is no reason to wait any longer."""
    for first in (TAKEN, None):
        script = Script(read=AWAY_ERROR, compute=(7, 5))
        outcome = run(fetch(ask(), first), script)
        assert (outcome.value, outcome.reason) == (7, AWAY)


def test_a_store_that_takes_nothing() -> None:
    """The value is computed."""
    outcome = run(fetch(ask(), Reply(None, claim=Claim.IMPOSSIBLE)), Script(compute=(object(), 5)))
    assert outcome.reason
    with pytest.raises(ValueError, match="x"):
        run(fetch(ask(), None), Script(compute=ValueError("x")))


def test_an_entry_that_cannot_be_read_is_claimed() -> None:
    """The store thought that it was good: it is told otherwise."""
    bad = Reply(entry(codec="text"), 100)
    script = Script(read=[MINE], compute=(7, 5), write=Written.STORED)
    assert run(fetch(ask(), bad), script).computed
    assert script.asked[0] == Read(force=True)


def test_nobody_waits_who_does_not_want_to() -> None:
    """They compute by themselves."""
    assert run(alone(ask()), Script(compute=(7, 5))).value == 7

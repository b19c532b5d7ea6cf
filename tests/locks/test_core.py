"""What holds for every lock, whatever the store and the clock do."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Call, Sleep, run
from socialflow_core.locks import LockTakenError, Tries
from socialflow_core.locks._core import (
    Tenure,
    acquiring,
    check_name,
    file_name,
    next_fence,
    ttl_in_us,
)

MS = timedelta(milliseconds=1)
names = st.text(
    st.characters(codec="utf-8"), min_size=1, max_size=200
)  # what Python can say, UTF-8 can, but for surrogates
ttls_us = st.integers(100_000, 24 * 3600 * 1_000_000)
moments = st.integers(0, 10**15)
TAKEN, FREE, AWAY = "taken", "free", "away"


@st.composite
def tries(draw: st.DrawFn) -> Tries:
    """How often, and how patiently."""
    wait = draw(st.integers(0, 10_000))
    spread = draw(st.integers(0, wait))
    return Tries(draw(st.integers(1, 8)), wait=wait * MS, spread=spread * MS)


@given(tries(), st.data())
def test_trying_goes_on_until_it_succeeds_or_is_at_an_end(how: Tries, data: st.DataObject) -> None:
    """At most *count* tries, a wait between two, none after the first success; the last speaks."""
    outcomes = data.draw(
        st.lists(st.sampled_from([TAKEN, FREE, AWAY]), min_size=how.count, max_size=how.count)
    )
    left, done = iter(outcomes), []

    def take() -> bool:
        outcome = next(left)
        done.append(outcome)
        if outcome == AWAY:
            raise UnavailableError("the store")
        return outcome == FREE

    def perform(effect: Call[Any] | Sleep) -> object:
        if isinstance(effect, Call):
            return effect.function()
        assert how.wait - how.spread <= effect.duration <= how.wait + how.spread
        assert done[-1] != "slept"
        done.append("slept")
        return None

    error: Exception | None = None
    try:
        run(acquiring("a", how, Call(take), lambda: data.draw(st.floats(0, 1))), perform)
    except (LockTakenError, UnavailableError) as caught:
        error = caught
    asked = outcomes[: outcomes.index(FREE) + 1] if FREE in outcomes else outcomes
    assert [each for each in done if each != "slept"] == asked
    assert done.count("slept") == len(asked) - 1
    expected = {FREE: type(None), TAKEN: LockTakenError, AWAY: UnavailableError}[asked[-1]]
    assert type(error) is expected


def test_the_error_says_what_was_tried() -> None:
    """Which lock and how often, also after it went to another process; its text holds no name."""
    error = pickle.loads(pickle.dumps(LockTakenError("secret", tries=3)))
    assert (error.name, error.tries) == ("secret", 3)
    assert str(error) == "the lock is taken; tried 3 times"


@given(ttls_us, moments, st.data())
def test_what_counts_as_held_is_held(ttl_us: int, start: int, data: st.DataObject) -> None:
    """Whatever is delayed or lost: as long as we count on the lock, the store keeps it for us.

    The store hears a request some time after it was sent, keeps the lock for ttl from then
    by a clock up to a hundredth faster than ours, in whole milliseconds, and answers later,
    or its answer is lost.
    """
    delays = st.integers(0, ttl_us)
    kept_us = (ttl_us // 1000 * 1000) * 100 // 101

    def expiry(heard_us: int) -> int:
        return heard_us + kept_us

    now = start + data.draw(delays)
    tenure, kept_until = Tenure.begin(ttl_us, start), expiry(now)
    for _ in range(data.draw(st.integers(0, 12))):
        assert tenure.ends_us <= kept_until
        assert tenure.wake_us <= tenure.ends_us
        now = max(now, tenure.wake_us)
        if tenure.is_over(now):
            break
        tenure = tenure.asked(now)
        assert tenure.next_us > now
        heard = now + data.draw(delays)
        if heard < kept_until:
            kept_until = expiry(heard)
            if data.draw(st.booleans()):
                tenure = tenure.renewed(now)
        now = heard + data.draw(delays)
    assert tenure.ends_us <= kept_until


@given(ttls_us, moments, st.lists(st.integers(0, 10**9), max_size=10))
def test_renewals_can_come_in_any_order(ttl_us: int, start: int, sent: list[int]) -> None:
    """The latest request that was confirmed counts, however late the others are."""
    tenure = Tenure.begin(ttl_us, start)
    for moment in sent:
        tenure = tenure.renewed(start + moment)
    assert tenure == Tenure.begin(ttl_us, start + max(sent, default=0))


@given(ttls_us, moments, moments)
def test_silence_ends_nothing_that_lasts(ttl_us: int, start: int, later: int) -> None:
    """Where the store keeps a lock for a process that is there, only its word ends it."""
    tenure = Tenure.begin(ttl_us, start, lasting=True)
    for each in (tenure, tenure.asked(later), tenure.renewed(later)):
        assert not each.is_over(start + later)
        assert each.wake_us == each.next_us


@given(ttls_us, moments)
def test_a_renewal_can_fail_several_times(ttl_us: int, start: int) -> None:
    """The first is sent after a third of the ttl; five more would be before it is over."""
    tenure, asked = Tenure.begin(ttl_us, start), 0
    assert tenure.wake_us == start + ttl_us // 3
    while not tenure.is_over(tenure.wake_us):
        tenure, asked = tenure.asked(tenure.wake_us), asked + 1
    assert asked >= 6
    assert not tenure.is_over(tenure.ends_us - 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(-10, 10**6)), min_size=1), moments)
def test_fences_rise_while_one_of_two_is_kept(steps: list[tuple[bool, int]], now: int) -> None:
    """The number is forgotten, or the clock goes back: each alone does no harm."""
    last = next_fence(0, now)
    for forgotten, gone_on in steps:
        now = max(now, last) + abs(gone_on) + 1 if forgotten else max(0, now + gone_on)
        fence = next_fence(0 if forgotten else last, now)
        assert fence > last
        last = fence


@given(names, names)
def test_every_lock_has_a_file_of_its_own(one: str, other: str) -> None:
    """A short plain name, in the folder and not hidden, and the same for the same lock."""
    assert (file_name(one) == file_name(other)) == (one == other)
    assert file_name(one).isascii()
    assert "/" not in file_name(one)
    assert not file_name(one).startswith(".")
    assert len(file_name(one)) <= 255


@given(names)
def test_names_are_kept_as_they_are(name: str) -> None:
    """Any text of that length is a name."""
    assert check_name(name) is name


@pytest.mark.parametrize("name", ["", "n" * 201, "a\ud800", None, 1, b"a"])
def test_other_names_are_refused(name: Any) -> None:
    """The error does not repeat them."""
    with pytest.raises(ValueError, match="name must be a text"):
        check_name(name)


@given(ttls_us)
def test_ttls_are_exact(ttl_us: int) -> None:
    """To the microsecond."""
    assert ttl_in_us(timedelta(microseconds=ttl_us)) == ttl_us


@pytest.mark.parametrize("ttl", [99 * MS, timedelta(days=1, microseconds=1), -MS, 30, 1.5, None])
def test_other_ttls_are_refused(ttl: Any) -> None:
    """So short that no renewal would be in time, or so long that nobody would wait."""
    with pytest.raises(ValueError, match="ttl must be"):
        ttl_in_us(ttl)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"count": 10_001},
        {"count": True},
        {"count": 1.0},
        {"wait": -MS, "spread": -MS},
        {"spread": -MS},
        {"wait": MS, "spread": 2 * MS},
    ],
)
def test_tries_check_themselves(wrong: dict[str, Any]) -> None:
    """Too few or too many, a negative wait, or one that the spread makes negative."""
    with pytest.raises(ValueError, match=r"count|wait"):
        Tries(**wrong)


def test_tries_are_those_of_the_house() -> None:
    """Three, 200 ms apart, give or take 200 ms."""
    assert Tries() == Tries(3, wait=200 * MS, spread=200 * MS)

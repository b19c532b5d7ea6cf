"""Counting in this process: exact, bounded, and honest when there is no room."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core._kit.observe import subscribe
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter, MemoryRateLimiter
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.ratelimit import gaps, limits
from tests.ratelimit.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = timedelta(seconds=1)
ONE = Limit("one", Rate.parse("1/minute"))
FIVE = Limit("five", Rate.parse("5/minute"))


@pytest.fixture
def clock() -> ManualClock:
    """The time, in the test's hands."""
    return ManualClock()


@pytest.fixture
def limiter(clock: ManualClock) -> MemoryRateLimiter:
    """One with room for three keys."""
    return MemoryRateLimiter(clock=clock, max_keys=3)


@pytest.fixture
def ear(limiter: MemoryRateLimiter) -> Iterator[Ear]:
    """An ear that hears during the test."""
    ear = Ear(limiter)
    leave = subscribe(ear)
    yield ear
    leave()


def kept(limiter: MemoryRateLimiter, limit: Limit) -> int:
    """How many keys it keeps."""
    table = limiter._tables[limit]
    assert sorted(table.states) == sorted(table._ring)
    return len(table.states)


keys = st.lists(st.sampled_from("abcdefgh"), min_size=50, max_size=50)


@given(limits(most=3), keys, gaps(), st.integers(1, 5))
def test_a_key_at_its_limit_is_never_forgotten(
    limit: Limit, hits: list[str], pauses: list[timedelta], max_keys: int
) -> None:
    """However many others come: once refused, a key waits as long as it was told."""
    clock = ManualClock()
    limiter = MemoryRateLimiter(clock=clock, max_keys=max_keys)
    refused_until: dict[str, int] = {}
    for key, pause in zip(hits, pauses, strict=False):
        clock.advance(pause)
        foretold = limiter.peek(key, limit)
        decision = limiter.hit(key, limit)
        assert (decision.allowed, decision.retry_us, decision.reason) == (
            (foretold.allowed, foretold.retry_us, foretold.reason)
        )
        assert kept(limiter, limit) <= max_keys
        if clock() < refused_until.get(key, 0):
            assert not decision
        if not decision and not decision.degraded:
            refused_until[key] = clock() + decision.retry_us


@given(limits(), keys, gaps())
def test_what_is_idle_makes_room_first(
    limit: Limit, hits: list[str], pauses: list[timedelta]
) -> None:
    """Where keys in use never exceed *max_keys*, a small limiter decides as a large one."""
    clock = ManualClock()
    small, large = (MemoryRateLimiter(clock=clock, max_keys=most) for most in (4, 1000))
    busy: dict[str, int] = {}
    for key, pause in zip(hits, pauses, strict=False):
        clock.advance(pause)
        busy = {other: until for other, until in busy.items() if until > clock()}
        if key in busy or len(busy) < 4:
            decision = large.hit(key, limit)
            assert small.hit(key, limit) == decision
            busy[key] = clock() + decision.reset_us


def test_idle_keys_are_forgotten_as_new_ones_come(clock: ManualClock) -> None:
    """Each new key sweeps two: after as many as are idle, none of these is left."""
    limiter = MemoryRateLimiter(clock=clock)
    for number in range(1000):
        limiter.hit(f"old {number}", FIVE)
    clock.advance(60 * SECOND)
    for number in range(1000):
        limiter.hit(f"new {number}", FIVE)
    assert kept(limiter, FIVE) == 1000


def test_a_key_that_was_reset_makes_room(limiter: MemoryRateLimiter) -> None:
    """It is idle from then on, and its place is the next that is taken."""
    for key in "abc":
        limiter.hit(key, ONE)
    limiter.reset("b", ONE)
    assert limiter.hit("d", ONE)
    assert [key for key in "abcd" if limiter.peek(key, ONE)] == ["b"]
    assert limiter.peek("b", ONE).degraded


def test_who_has_spent_least_makes_room(limiter: MemoryRateLimiter, ear: Ear) -> None:
    """When every key has spent something, the one that loses least by it is forgotten."""
    for key, cost in {"a": 4, "b": 1, "c": 3}.items():
        limiter.hit(key, FIVE, cost=cost)
    assert not limiter.hit("d", FIVE, cost=5).degraded
    assert [limiter.peek(key, FIVE).remaining for key in "acd"] == [1, 2, 0]
    assert limiter.peek("b", FIVE).remaining == 5
    assert ear.counts == {("ratelimit.evicted", "five"): 1}


def test_room_is_made_among_a_few_however_many_there_are(clock: ManualClock) -> None:
    """One that could make room better is not searched for beyond eight: no hit waits for a scan."""
    limiter = MemoryRateLimiter(clock=clock, max_keys=40)
    for number in range(40):
        limiter.hit(f"k{number}", FIVE, cost=3)
    reads = Counter[str]()
    table = limiter._tables[FIVE]

    class Watched(dict[str, int]):
        def __getitem__(self, key: str) -> int:
            reads["states"] += 1
            return super().__getitem__(key)

    table.states = Watched(table.states)
    assert not limiter.hit("new", FIVE).degraded
    assert reads["states"] < 40
    assert kept(limiter, FIVE) == 40


def test_when_all_are_at_their_limit_new_keys_are_counted_together(
    limiter: MemoryRateLimiter, clock: ManualClock, ear: Ear
) -> None:
    """The decision says so; one fact tells when it begins, and one when it ends."""
    for key in "abc":
        limiter.hit(key, FIVE, cost=5)
    crowd = [limiter.hit(key, FIVE) for key in "dedefg"]
    assert [decision.allowed for decision in crowd] == [True] * 5 + [False]
    assert [decision.remaining for decision in crowd] == [4, 3, 2, 1, 0, 0]
    assert all(d.degraded and "max_keys" in d.reason for d in crowd)
    assert not limiter.hit("a", FIVE).degraded
    assert kept(limiter, FIVE) == 3
    clock.advance(60 * SECOND)
    assert not any(limiter.hit(key, FIVE).degraded for key in "def")
    assert [(fact.state, fact.name) for fact in ear.facts] == [
        ("degraded", "memory"),
        ("recovered", "memory"),
    ]
    assert all(fact.reason.startswith("five: ") for fact in ear.facts)
    assert ear.counts == {("ratelimit.refused", "five"): 2}


def test_a_crowd_does_not_come_and_go(
    limiter: MemoryRateLimiter, clock: ManualClock, ear: Ear
) -> None:
    """It has ended only when nothing of it is spent any more, not at the first free place."""
    limiter.hit("a", ONE)
    limiter.hit("b", ONE)
    clock.advance(30 * SECOND)
    limiter.hit("c", ONE)
    assert limiter.hit("d", ONE).degraded
    clock.advance(30 * SECOND)
    assert not limiter.hit("e", ONE).degraded
    assert not limiter.hit("f", ONE).degraded
    assert limiter.hit("g", ONE).degraded
    assert [fact.state for fact in ear.facts] == ["degraded"]


def test_the_one_key_that_can_go_is_found(clock: ManualClock) -> None:
    """Among 64 keys at once; among more, as the hand walks on from hit to hit."""
    for number, crowded in {60: 0, 100: 1}.items():
        limiter = MemoryRateLimiter(clock=clock, max_keys=number)
        for key in range(number):
            limiter.hit(str(key), FIVE, cost=5 - (key == 30))
        decisions = [limiter.hit(f"new {key}", FIVE, cost=5) for key in range(3)]
        # When the one is gone, all are at their limit.
        assert [d.degraded for d in decisions] == [True] * crowded + [False] + [True] * (
            2 - crowded
        )


def test_one_crowded_limit_does_not_concern_another(limiter: MemoryRateLimiter) -> None:
    """Each limit keeps keys of its own, and each part of a decision its own reason."""
    for key in "abc":
        limiter.hit(key, ONE)
    decision = limiter.hit("d", FIVE, ONE)
    assert [part.degraded for part in decision.parts] == [False, True]
    assert decision.degraded
    assert not limiter.hit("d", FIVE).degraded


def test_a_refused_hit_takes_no_place(limiter: MemoryRateLimiter) -> None:
    """Of several limits, those that would have allowed it keep no key for it."""
    limiter.hit("a", ONE)
    assert not limiter.hit("a", ONE, FIVE)
    assert kept(limiter, FIVE) == 0


def test_limits_that_are_no_longer_used_are_forgotten(clock: ManualClock) -> None:
    """An application may make a limit for each customer: those in use are kept, with their counts."""
    limiter = MemoryRateLimiter(clock=clock)
    busy = Limit("busy", Rate.parse("1000000/hour"))
    for number in range(1000):
        limiter.hit("k", Limit(f"customer-{number}", Rate.parse("1/second")))
        limiter.hit("k", busy)
        clock.advance(SECOND / 10)
    assert limiter.peek("k", busy).remaining == 999_000
    # A second's limit is looked at again within as many as are kept.
    assert len(limiter._tables) < 50


def test_limits_of_one_hit_do_not_forget_each_other(clock: ManualClock) -> None:
    """A limit that was idle stays, though another is new in the very same hit."""
    limiter = MemoryRateLimiter(clock=clock)
    limiter.hit("a", ONE)
    clock.advance(3600 * SECOND)
    assert limiter.hit("a", ONE, FIVE, Limit("new", FIVE.rate))
    assert not limiter.hit("a", ONE)
    assert limiter.hit("a", FIVE).remaining == 3


@given(limits())
def test_a_limit_is_remembered_as_long_as_anything_is_spent(limit: Limit) -> None:
    """Other limits that come meanwhile do not shorten that by a microsecond."""
    clock = ManualClock()
    limiter = MemoryRateLimiter(clock=clock)
    reset = limiter.hit("a", limit, cost=limit.rate.limit).reset_after
    clock.advance(reset - timedelta(microseconds=1))
    limiter.hit("a", ONE)
    limiter.hit("a", FIVE)
    assert limiter.peek("a", limit).reset_us == 1


@given(limits(), st.integers(1, 10**13))
def test_a_clock_that_went_back_keeps_nothing_for_ever(limit: Limit, back: int) -> None:
    """Neither keys nor limits wait until the clock is where it was."""
    clock = ManualClock()
    limiter = MemoryRateLimiter(clock=clock)
    for key in "abc":
        limiter.hit(key, limit)
    clock.now_us -= back
    limiter.hit("d", limit)
    limiter.hit("e", limit)
    clock.advance(2 * limit.rate.per + timedelta(microseconds=limit.rate.limit))
    for key in "fgh":
        limiter.hit(key, limit)
    assert kept(limiter, limit) == 3
    clock.now_us -= back
    limiter.hit("a", ONE)
    limiter.hit("a", FIVE)
    clock.advance(3 * limit.rate.per + 500 * SECOND)
    limiter.hit("a", Limit("new", ONE.rate))
    limiter.hit("a", Limit("newer", ONE.rate))
    assert [known.name for known in limiter._tables] == ["new", "newer"]


def test_it_reads_the_machines_clock_by_itself() -> None:
    """Without arguments it is ready: for limits in real time, sync and async."""
    assert [MemoryRateLimiter().hit("a", ONE).remaining] == [0]
    assert asyncio.run(AsyncMemoryRateLimiter().hit("a", ONE)).allowed


@pytest.mark.parametrize("max_keys", [0, -1])
def test_room_for_no_key_is_refused(max_keys: int) -> None:
    """It could count nothing."""
    with pytest.raises(ValueError, match="max_keys"):
        MemoryRateLimiter(max_keys=max_keys)


def test_nothing_is_opened_for_what_was_never_hit(limiter: MemoryRateLimiter) -> None:
    """Looking and forgetting leave no trace."""
    assert limiter.peek("a", ONE)
    limiter.reset("a", ONE)
    assert not limiter._tables
    limiter.hit("b", ONE)
    limiter.reset("a", ONE)
    assert kept(limiter, ONE) == 1

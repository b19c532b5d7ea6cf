"""What the limiters on Redis say while it is away, and what they do when it is back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.ratelimit import Limit, Rate, Strategy
from tests.redislink.limiters import KINDS, Limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey

_HOUR = timedelta(hours=1)
_DEADLINE = timedelta(milliseconds=250)
LOCAL = Limit("local", Rate(10, per=_HOUR))
OPEN = Limit("open", Rate(10, per=_HOUR), failure="open")
CLOSED = Limit("closed", Rate(10, per=_HOUR), failure="closed")


@pytest.fixture(params=KINDS)
def limiter(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Limiter]:
    """A limiter of either kind."""
    limiter = KINDS[request.param](valkey.url, _DEADLINE)
    yield limiter
    limiter.close()


@contextmanager
def outage(valkey: Valkey, limiter: Limiter) -> Iterator[None]:
    """Inside, the limiter knows that its server is away; afterwards, that it is back."""
    valkey.freeze()
    try:
        while not limiter.peek("somebody", LOCAL).degraded:
            pass
        yield
    finally:
        valkey.thaw()
    limiter.wait_until(lambda: not limiter.peek("somebody", LOCAL).degraded, "it is back")


def test_local_goes_on_from_the_last_known_count(valkey: Valkey, limiter: Limiter) -> None:
    """What the server said last is where counting goes on, and the limit holds."""
    for _ in range(4):
        limiter.hit("alice", LOCAL)
    with outage(valkey, limiter):
        told = [limiter.hit("alice", LOCAL) for _ in range(8)]
    assert [bool(decision) for decision in told] == [True] * 6 + [False] * 2
    assert [decision.remaining for decision in told] == [5, 4, 3, 2, 1, 0, 0, 0]
    assert {decision.source for decision in told} == {"memory"}
    assert {decision.degraded for decision in told} == {True}
    assert "away" in told[0].reason


@pytest.mark.parametrize("strategy", Strategy)
def test_what_an_outage_let_through_is_counted_afterwards(
    valkey: Valkey, limiter: Limiter, strategy: Strategy
) -> None:
    """The server learns of every hit of the outage, once."""
    limit = replace(LOCAL, strategy=strategy)
    limiter.hit("alice", limit, cost=2)
    with outage(valkey, limiter):
        for _ in range(3):
            assert limiter.hit("alice", limit)
        assert limiter.hit("bob", limit)
        limiter.peek("carol", limit)
    limiter.wait_until(lambda: limiter.peek("bob", limit).remaining == 9, "bob's is pushed")
    limiter.wait_until(lambda: limiter.peek("alice", limit).remaining == 5, "alice's are pushed")
    assert limiter.hit("alice", limit).source == "redis"
    assert limiter.peek("carol", limit).remaining == 10


@pytest.mark.parametrize("strategy", Strategy)
def test_what_is_over_by_the_end_of_an_outage_is_not_pushed(
    valkey: Valkey, limiter: Limiter, strategy: Strategy
) -> None:
    """Who kept to the rate all through it is not refused when the server is back."""
    limit = Limit("short", Rate(4, per=timedelta(milliseconds=400)), strategy=strategy)
    with outage(valkey, limiter):
        for _ in range(8):
            limiter.wait_until(lambda: limiter.hit("alice", limit).allowed, "it is allowed")
        limiter.wait_until(lambda: limiter.peek("alice", limit).remaining == 4, "it is over")
    assert limiter.hit("alice", limit).remaining == 3


def test_more_than_the_limit_is_pushed_as_the_limit(valkey: Valkey, limiter: Limiter) -> None:
    """Two processes that let a limit through each leave the key at its limit, not beyond."""
    other = KINDS["sync"](valkey.url, _DEADLINE)
    with outage(valkey, limiter), outage(valkey, other):
        for one in (limiter, other):
            assert [bool(one.hit("alice", LOCAL, cost=5)) for _ in range(3)] == [True, True, False]
    for one in (limiter, other):
        one.wait_until(lambda: one.peek("alice", LOCAL).remaining == 0, "it is pushed")  # noqa: B023 -- used at once
    assert limiter.peek("alice", LOCAL).reset_after <= _HOUR
    other.close()


def test_what_was_sent_is_not_pushed(valkey: Valkey, limiter: Limiter) -> None:
    """A hit whose answer was lost has counted there, and is not counted twice."""
    limiter.hit("alice", LOCAL)
    valkey.freeze()
    try:
        assert limiter.hit("alice", LOCAL).degraded
        assert limiter.hit("alice", LOCAL).degraded
    finally:
        valkey.thaw()
    limiter.wait_until(lambda: limiter.peek("alice", LOCAL).remaining == 7, "both are counted")
    assert limiter.hit("alice", LOCAL).remaining == 6


def test_each_limit_follows_its_own_policy(valkey: Valkey, limiter: Limiter) -> None:
    """On one hit `local` counts, `open` allows and `closed` refuses; each part says so."""
    for _ in range(2):
        limiter.hit("alice", LOCAL, OPEN)
    with outage(valkey, limiter):
        decision = limiter.hit("alice", LOCAL, OPEN)
        assert decision.allowed
        local, opened = decision.each
        assert (local.source, local.remaining) == ("memory", 7)
        assert (opened.source, opened.remaining, opened.allowed) == ("none", 10, True)
        decision = limiter.hit("alice", LOCAL, OPEN, CLOSED)
        assert not decision.allowed
        assert decision.decided_by == CLOSED
        assert (decision.source, decision.retry_after) == ("none", timedelta(seconds=1))
        assert all(part.degraded for part in decision.each)
        assert limiter.hit("alice", LOCAL).remaining == 6  # the refused hit was free
        assert [bool(limiter.hit("bob", limit)) for limit in (OPEN, CLOSED)] == [True, False]
        reasons = {limiter.hit("bob", limit).reason for limit in (LOCAL, OPEN, CLOSED)}
        assert len(reasons) == 3


def test_a_reset_in_an_outage_is_told_to_have_failed(valkey: Valkey, limiter: Limiter) -> None:
    """It is forgotten here, and the caller learns that it is not forgotten there."""
    limiter.hit("alice", LOCAL, cost=10)
    with outage(valkey, limiter):
        assert not limiter.hit("alice", LOCAL)
        with pytest.raises(UnavailableError):
            limiter.reset("alice", LOCAL)
        assert limiter.hit("alice", LOCAL).remaining == 9
        with pytest.raises(UnavailableError):
            limiter.reset("alice", LOCAL)
    assert not limiter.hit("alice", LOCAL)


def test_a_reset_before_an_outage_holds_in_it(valkey: Valkey, limiter: Limiter) -> None:
    """What was forgotten is not remembered again when the server is away."""
    limiter.hit("alice", LOCAL, cost=10)
    limiter.reset("alice", LOCAL)
    with outage(valkey, limiter):
        assert limiter.hit("alice", LOCAL).remaining == 9


def test_peeking_in_an_outage_spends_nothing(valkey: Valkey, limiter: Limiter) -> None:
    """It says what a hit would be told here."""
    limiter.hit("alice", LOCAL, cost=3)
    with outage(valkey, limiter):
        for _ in range(3):
            peeked = limiter.peek("alice", LOCAL, OPEN, CLOSED)
            assert not peeked.allowed
            assert peeked.each[0].remaining == 7
    assert limiter.hit("alice", LOCAL).remaining == 6


def test_a_server_lost_again_while_it_is_told(valkey: Valkey, limiter: Limiter) -> None:
    """What was not sent before it went away again is sent after that, and nothing twice."""
    users = [f"user{number}" for number in range(300)]
    with outage(valkey, limiter):
        for user in users:
            limiter.hit(user, LOCAL)
    with outage(valkey, limiter):
        assert limiter.hit("somebody", LOCAL).degraded

    def counted() -> list[int]:
        return [10 - limiter.peek(user, LOCAL).remaining for user in users]

    # One may have been on its way when the server froze; whether it counted nobody knows.
    limiter.wait_until(lambda: counted().count(1) >= 299, "they are pushed")
    assert max(counted()) == 1
    assert limiter.hit("user0", LOCAL).source == "redis"


def test_what_is_owed_is_bounded(valkey: Valkey, limiter: Limiter) -> None:
    """Of the keys of a long outage no more are remembered than of any other time."""
    shared = limiter.inner._shared
    shared._max_keys = 5
    with outage(valkey, limiter):
        for number in range(20):
            limiter.hit(f"user{number}", LOCAL)
        assert len(shared._owed) == 5

"""`RedisRateLimiter` and its async twin, on a real server that is well."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import pytest

from socialflow_core.ratelimit import Limit, Rate, Strategy
from tests.ratelimit.redis_kit import (
    LOGIN,
    MINUTE,
    PATIENT,
    Make,
    making,
)
from tests.redislink.limiters import KINDS, Limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.ratelimit import Decision
    from socialflow_core.testing.servers.valkey import Valkey


def _full(decision: Decision) -> int | None:
    """What remains, if that is the full answer."""
    return None if decision.degraded else decision.remaining


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Make]:
    """A maker of either kind of limiter."""
    with making(request.param, valkey) as make:
        yield make


@pytest.fixture
def limiter(make: Make) -> Limiter:
    """A limiter of either kind."""
    limiter = make()
    limiter.peek("warm up", LOGIN)
    return limiter


def test_a_decision_tells_where_it_comes_from(limiter: Limiter) -> None:
    """The count is the server's, and the answer is a full one."""
    decision = limiter.hit("alice", LOGIN)
    assert (decision.allowed, decision.remaining, decision.source) == (True, 2, "redis")
    assert not decision.degraded
    assert decision.reset_after == MINUTE


@pytest.mark.parametrize("strategy", Strategy)
def test_sync_and_async_share_their_counts(valkey: Valkey, strategy: Strategy) -> None:
    """What one kind counted, the other knows."""
    limit = Limit("both", Rate(3, per=MINUTE), strategy=strategy)
    kinds = [KINDS[kind](valkey.url, PATIENT) for kind in KINDS]
    told = [kinds[turn % 2].hit("alice", limit) for turn in range(5)]
    assert [bool(decision) for decision in told] == [True, True, True, False, False]
    assert [decision.remaining for decision in told] == [2, 1, 0, 0, 0]
    for kind in kinds:
        kind.close()


@pytest.mark.parametrize("number", [1, 2, 5])
def test_one_round_trip_for_any_number_of_limits(
    limiter: Limiter, valkey: Valkey, number: int
) -> None:
    """The server reads once for each hit, and has to be asked nothing more for the headers."""
    limits = [Limit(f"limit{n}", Rate(1000, per=MINUTE)) for n in range(number)]
    before = valkey.round_trips()
    for _ in range(10):
        assert len(limiter.hit("alice", *limits).each) == number
    assert valkey.round_trips() - before == 10


def test_limits_made_as_one_goes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """More limits than are remembered at once are judged all the same, several at a time too."""
    monkeypatch.setattr("socialflow_core.ratelimit.redis.shared._MOST_WORDINGS", 3)
    limiter = make()
    limits = [Limit(f"tenant{number}", Rate(5, per=MINUTE)) for number in range(8)]
    for first, second in pairwise(limits):
        decision = limiter.hit("alice", first, second)
        assert decision.allowed
    assert limiter.hit("alice", *limits).remaining == 2


def test_all_or_nothing(limiter: Limiter, valkey: Valkey) -> None:
    """A limit that refuses leaves the others uncounted, and refused hits leave no trace."""
    wide = Limit("wide", Rate(100, per=MINUTE))
    for _ in range(3):
        limiter.hit("alice", LOGIN, wide)
    stored = {key: valkey.command("GET", key) for key in _keys(valkey)}
    for cost in (3, 2, 1):
        decision = limiter.hit("alice", LOGIN, wide, cost=cost)
        assert [part.remaining for part in decision.each] == [0, 97]
        assert decision.decided_by == LOGIN
    assert {key: valkey.command("GET", key) for key in _keys(valkey)} == stored


def _keys(valkey: Valkey) -> list[str]:
    found = valkey.command("KEYS", "*")
    assert isinstance(found, list)
    return [str(key) for key in found]


@pytest.mark.parametrize("strategy", Strategy)
def test_a_key_is_small_and_ends(limiter: Limiter, valkey: Valkey, strategy: Strategy) -> None:
    """After 100 hits it takes 100 bytes at most, and it ends by itself."""
    limit = Limit("api", Rate(1000, per=MINUTE), strategy=strategy)
    for number in range(500):
        limiter.hit(f"203.0.113.{number % 5}", limit)
    keys = _keys(valkey)
    assert len(keys) == 5
    # The median: the allocator now and then gives one more room than it asked for.
    assert median(int(str(valkey.command("MEMORY", "USAGE", key))) for key in keys) <= 100
    for key in keys:
        assert 0 < int(str(valkey.command("PTTL", key))) <= 120_000


def test_peeking_spends_nothing(limiter: Limiter, valkey: Valkey) -> None:
    """It says what a hit would be told, and stores nothing."""
    assert limiter.peek("alice", LOGIN).remaining == 3
    assert not _keys(valkey)
    limiter.hit("alice", LOGIN, cost=2)
    peeked = limiter.peek("alice", LOGIN, cost=2)
    assert (peeked.allowed, peeked.remaining) == (False, 1)
    assert limiter.hit("alice", LOGIN)


@pytest.mark.parametrize("key", ["}", "}x", "{}", "a}b", "{x}y", "grün", "a b\r\n", "\x00"])
def test_any_text_is_a_key(limiter: Limiter, key: str) -> None:
    """Keys come from users: none is mistaken for another, none breaks the protocol."""
    other = Limit("other", Rate(3, per=MINUTE))
    assert limiter.hit(key, LOGIN, other).remaining == 2
    assert limiter.hit(key, LOGIN).remaining == 1
    assert limiter.peek(key + "x", LOGIN).remaining == 3


def test_arguments_are_checked_before_anything_is_asked(limiter: Limiter, valkey: Valkey) -> None:
    """What makes no sense costs no round trip."""
    before = valkey.round_trips()
    for ask in (limiter.hit, limiter.peek, limiter.reset):
        with pytest.raises(ValueError, match="key"):
            ask("", LOGIN)
        with pytest.raises(ValueError, match="limit"):
            ask("alice")
    with pytest.raises(ValueError, match="cost"):
        limiter.hit("alice", LOGIN, cost=4)
    assert valkey.round_trips() == before

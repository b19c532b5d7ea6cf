"""`RedisRateLimiter` and its async twin, on a real server that is well."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import redis

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis.aio import AsyncRedisLink
from socialflow_core.redislink.redis.sync import RedisLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.redislink.limiters import KINDS, Awaited, Direct, Limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.ratelimit import Decision

_MINUTE = timedelta(minutes=1)
_PATIENT = timedelta(seconds=10)
_PATIENT_LINK = LinkOptions(deadline=_PATIENT)
LOGIN = Limit("login", Rate(3, per=_MINUTE))


def _full(decision: Decision) -> int | None:
    """What remains, if that is the full answer."""
    return None if decision.degraded else decision.remaining


class Make(Protocol):
    """Makes a limiter that the test's end closes."""

    def __call__(self, **options: Any) -> Limiter:
        """Count in the shared server."""
        ...


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, valkey: Valkey) -> Iterator[Make]:
    """A maker of either kind of limiter."""
    with ExitStack() as stack:

        def make(**options: Any) -> Limiter:
            limiter: Limiter
            if request.param == "sync":
                limiter = Direct(
                    RedisRateLimiter(RedisLink.from_url(valkey.url, _PATIENT_LINK), **options)
                )
            else:
                link = AsyncRedisLink.from_url(valkey.url, _PATIENT_LINK)
                limiter = Awaited(AsyncRedisRateLimiter(link, **options))
            stack.callback(limiter.close)
            return limiter

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
    assert decision.reset_after == _MINUTE


@pytest.mark.parametrize("strategy", Strategy)
def test_sync_and_async_share_their_counts(valkey: Valkey, strategy: Strategy) -> None:
    """What one kind counted, the other knows."""
    limit = Limit("both", Rate(3, per=_MINUTE), strategy=strategy)
    kinds = [KINDS[kind](valkey.url, _PATIENT) for kind in KINDS]
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
    limits = [Limit(f"limit{n}", Rate(1000, per=_MINUTE)) for n in range(number)]
    before = valkey.round_trips()
    for _ in range(10):
        assert len(limiter.hit("alice", *limits).each) == number
    assert valkey.round_trips() - before == 10


def test_no_round_trip_for_a_known_denial(limiter: Limiter, valkey: Valkey) -> None:
    """Who is at the limit is refused without asking again, and told how long to wait from now."""
    limiter.hit("alice", LOGIN, cost=3)
    first = limiter.hit("alice", LOGIN)
    before = valkey.round_trips()
    told = [limiter.hit("alice", LOGIN) for _ in range(10)]
    assert valkey.round_trips() == before
    assert not any(told)
    assert {decision.source for decision in told} == {"deny-cache"}
    assert first.source == "redis"
    waits = [first.retry_us, *(decision.retry_us for decision in told)]
    assert waits == sorted(waits, reverse=True)
    assert {decision.now_us + decision.retry_us for decision in told} == {
        first.now_us + first.retry_us
    }


def test_a_denial_answers_only_for_what_costs_as_much(limiter: Limiter, valkey: Valkey) -> None:
    """A hit that costs less may still fit, so the server is asked."""
    limiter.hit("alice", LOGIN)
    assert not limiter.hit("alice", LOGIN, cost=3)
    before = valkey.round_trips()
    assert not limiter.hit("alice", LOGIN, cost=3)
    assert valkey.round_trips() == before
    assert limiter.hit("alice", LOGIN, cost=2)
    assert not limiter.hit("alice", LOGIN, cost=1)
    assert valkey.round_trips() - before == 2


def test_a_denial_ends_with_its_window(make: Make) -> None:
    """When the limit is free again, so is the key."""
    limiter, limit = make(), Limit("short", Rate(1, per=timedelta(milliseconds=60)))
    assert limiter.hit("alice", limit)
    begin = time.monotonic()
    wait_until(lambda: bool(limiter.hit("alice", limit)), "the window is over")
    assert time.monotonic() - begin < 1


def test_a_reset_counts_here_at_once(limiter: Limiter) -> None:
    """Whoever resets a key may hit it."""
    limiter.hit("alice", LOGIN, cost=3)
    assert not limiter.hit("alice", LOGIN)
    limiter.reset("alice", LOGIN)
    assert limiter.hit("alice", LOGIN).remaining == 2


def test_a_reset_elsewhere_counts_within_the_deny_ttl(make: Make) -> None:
    """Another process learns of it as soon as its denials are old."""
    here, there = make(deny_ttl=timedelta(milliseconds=150)), make()
    here.hit("alice", LOGIN, cost=3)
    assert not here.hit("alice", LOGIN)
    there.reset("alice", LOGIN)
    begin = time.monotonic()
    assert here.hit("alice", LOGIN).source == "deny-cache"
    wait_until(lambda: bool(here.hit("alice", LOGIN)), "the denial is forgotten")
    assert time.monotonic() - begin < 1


def test_a_dearer_hit_waits_longer_than_a_denied_one(limiter: Limiter) -> None:
    """What a bucket needs to refill for it is not what a cheaper hit was told."""
    bucket = Limit("b", Rate(10, per=timedelta(seconds=100)), strategy=Strategy.TOKEN_BUCKET)
    limiter.hit("alice", bucket, cost=10)
    assert limiter.hit("alice", bucket).retry_after <= timedelta(seconds=10)
    assert limiter.hit("alice", bucket, cost=5).retry_after > timedelta(seconds=40)
    assert limiter.hit("alice", bucket).source == "redis"
    assert limiter.hit("alice", bucket).source == "deny-cache"


def test_a_reset_beats_the_hits_that_were_under_way(valkey: Valkey) -> None:
    """What they were told is forgotten with the rest."""

    async def scene() -> bool:
        limiter = AsyncRedisRateLimiter(AsyncRedisLink.from_url(valkey.url, _PATIENT_LINK))
        for _ in range(3):
            await limiter.hit("alice", LOGIN)
        await asyncio.gather(limiter.hit("alice", LOGIN), limiter.reset("alice", LOGIN))
        allowed = (await limiter.hit("alice", LOGIN)).allowed
        await limiter.aclose()
        return allowed

    assert asyncio.run(scene())


@pytest.mark.parametrize("kind", ["url", "client"])
def test_a_full_server_is_away_until_it_has_room(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However the limiter was made, the probe is a write: one outage, not one each probe."""

    def refusals(server: Valkey) -> int:
        return int(server.info("stats")["total_error_replies"])

    def told() -> list[str]:
        ours = [each for each in caplog.records if each.name.startswith("socialflow_core")]
        return [each.getMessage().split()[1].strip(":") for each in ours]

    full = {"maxmemory": "1mb", "maxmemory-policy": "noeviction"}
    with Valkey(config=full) as server, redis.Redis.from_url(server.url) as client:
        if kind == "url":
            limiter = RedisRateLimiter.from_url(server.url, deadline=_PATIENT)
        else:
            limiter = RedisRateLimiter.from_client(client, deadline=_PATIENT)
        assert limiter.hit("alice", LOGIN).degraded
        before = refusals(server)
        wait_until(lambda: refusals(server) >= before + 3, "it was probed several times")
        assert told() == ["degraded"]
        server.command("CONFIG", "SET", "maxmemory", 0)
        wait_until(lambda: limiter.is_available, "it has room")
        wait_until(lambda: told() == ["degraded", "recovered"], "that is told, too")
        limiter.close()


def test_it_needs_no_key_but_its_own() -> None:
    """With an access list for its prefix it works, and comes back after an outage."""
    with Valkey(config={"user": "app on >right ~{rl1:* +@all"}) as server:
        limiter = RedisRateLimiter.from_url(f"redis://app:right@{server.host}:{server.port}")
        assert limiter.hit("alice", LOGIN).source == "redis"
        server.freeze()
        try:
            assert limiter.hit("alice", LOGIN).degraded
        finally:
            server.thaw()
        wait_until(lambda: limiter.is_available, "it is back")
        assert limiter.hit("bob", LOGIN).source == "redis"
        limiter.close()


def test_two_limiters_may_share_a_link(valkey: Valkey) -> None:
    """Both pay for what they let through while the server was away."""
    link = RedisLink.from_url(valkey.url)
    limiters = [RedisRateLimiter(link, prefix=prefix) for prefix in ("one", "two")]
    for limiter in limiters:
        limiter.hit("alice", LOGIN)
    valkey.freeze()
    try:
        while not limiters[0].peek("alice", LOGIN).degraded:
            pass
        for limiter in limiters:
            assert limiter.hit("alice", LOGIN).degraded
    finally:
        valkey.thaw()
    for limiter in limiters:
        wait_until(
            lambda: _full(limiter.peek("alice", LOGIN)) == 1,  # noqa: B023 -- used at once
            "its hit is counted",
        )
    link.close()


def test_what_is_remembered_is_bounded(make: Make) -> None:
    """However many keys are refused or counted, few are kept here, and none is let through."""
    limiter = make(max_keys=10)
    limits = LOGIN, Limit("other", Rate(3, per=_MINUTE))
    for number in range(50):
        limiter.hit(f"user{number}", *limits, cost=2)
        limiter.hit(f"user{number}", *limits, cost=2)
    for number in range(50):
        limiter.hit("one user", Limit(f"limit{number}", Rate(1, per=_MINUTE)))
        assert not limiter.hit("one user", Limit(f"limit{number}", Rate(1, per=_MINUTE)))
    shared = limiter.inner._shared
    denied = shared.denials._denied
    assert len(denied) <= 10
    assert all(len(denials) <= 16 for denials in denied.values())
    assert all(len(wording.known) <= 10 for wording in shared._wordings.values())
    assert not limiter.hit("user0", *limits, cost=3)


def test_limits_made_as_one_goes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """More limits than are remembered at once are judged all the same, several at a time too."""
    monkeypatch.setattr("socialflow_core.ratelimit.redis.shared._MOST_WORDINGS", 3)
    limiter = make()
    limits = [Limit(f"tenant{number}", Rate(5, per=_MINUTE)) for number in range(8)]
    for first, second in pairwise(limits):
        decision = limiter.hit("alice", first, second)
        assert decision.allowed
    assert limiter.hit("alice", *limits).remaining == 2


def test_all_or_nothing(limiter: Limiter, valkey: Valkey) -> None:
    """A limit that refuses leaves the others uncounted, and refused hits leave no trace."""
    wide = Limit("wide", Rate(100, per=_MINUTE))
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
    limit = Limit("api", Rate(1000, per=_MINUTE), strategy=strategy)
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
    other = Limit("other", Rate(3, per=_MINUTE))
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


def test_a_password_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Neither right nor wrong passwords are in a repr, a log line or a decision."""
    password, wrong = secrets.token_urlsafe(), secrets.token_urlsafe()
    with Valkey(password=password) as server, caplog.at_level("DEBUG"):
        good = RedisRateLimiter.from_url(server.url)
        bad = RedisRateLimiter.from_url(server.url.replace(password, wrong))
        told = repr([good.hit("alice", LOGIN), bad.hit("alice", LOGIN), good, bad])
        assert "the store is away" in told
        told += caplog.text + repr(vars(good)) + repr(vars(bad))
        assert password not in told
        assert wrong not in told
        good.close()
        bad.close()
    wait_until(lambda: "redislink" not in str(threading.enumerate()), "no thread is left")

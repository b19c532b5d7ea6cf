"""Everything that happens to a Redis, under revocations and sessions in use.

Whatever happens: what was confirmed stays refused by whoever knew it, a replica tells when
it cannot be certain, and it knows all again when the server is well, without being asked.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import Counter
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth._revocation import of_session, of_token, of_user
from socialflow_core.auth._store import Issued, Outcome
from socialflow_core.auth.redis import (
    AsyncRedisSessions,
    RedisRevocations,
    RedisSessions,
    ReplicaRevocations,
)
from socialflow_core.auth.redis.held import Keys
from socialflow_core.redislink.redis import Endpoint, RedisLink
from socialflow_core.testing.faults import Pass, Unreachable
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.revocations import claims_of
from socialflow_core.testing.servers.valkey import Valkey
from socialflow_core.testing.sessions import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.auth._interface import Claims

PATIENT = timedelta(seconds=5)
TEN = timedelta(minutes=10) // timedelta(microseconds=1)
AOF = {"appendonly": "yes", "appendfsync": "always"}
KEYS = Keys.of("{auth1}")


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of the test's own, which keeps what it confirmed."""
    with Valkey(config=AOF) as server:
        yield server


class Fleet:
    """Two processes' replicas of one server; the first revokes."""

    def __init__(self, url: str, deadline: timedelta = PATIENT) -> None:
        self.replicas = [ReplicaRevocations.from_url(url, deadline=deadline) for _ in range(2)]
        assert all(replica.wait_until_fresh() for replica in self.replicas)

    def revoke(self, number: int = 10) -> list[Claims]:
        """Revoke so many tokens; all are known everywhere when it returns."""
        tokens = [claims_of(issued_us=unix_us()) for _ in range(number)]
        for token in tokens:
            self.replicas[0].revoke(of_token(token))
        self.agree(tokens)
        return tokens

    def agree(self, tokens: list[Claims]) -> None:
        """Hold that all are refused everywhere, and nothing is uncertain."""
        for replica in self.replicas:
            wait_until(lambda: self.knows(replica, tokens), "all is known, and certain")  # noqa: B023 -- used at once

    @staticmethod
    def knows(replica: ReplicaRevocations, tokens: list[Claims]) -> bool:
        """Whether one does."""
        return replica.is_fresh and all(replica.standing(token).revoked for token in tokens)

    def close(self) -> None:
        """Close both."""
        for replica in self.replicas:
            replica.close()


@pytest.fixture
def fleet(server: Valkey) -> Iterator[Fleet]:
    """Both, of that server."""
    fleet = Fleet(server.url)
    yield fleet
    fleet.close()


def asked(url: str, tokens: list[Claims]) -> list[bool]:
    """What a process says that has just begun, and asks."""
    asking = RedisRevocations.from_url(url, deadline=PATIENT)
    told = [asking.standing(token, failure="closed").revoked for token in tokens]
    asking.close()
    return told


def test_killed_and_restarted(server: Valkey, fleet: Fleet) -> None:
    """Whoever knew it refuses it meanwhile, and what comes after is heard of."""
    tokens = fleet.revoke()
    server.kill()
    wait_until(lambda: not fleet.replicas[1].is_fresh, "it is noticed")
    assert all(fleet.replicas[1].standing(token).revoked for token in tokens)
    assert not fleet.replicas[1].standing(claims_of(issued_us=unix_us())).revoked
    server.restart()
    wait_until(lambda: fleet.replicas[0]._asking._link.is_available, "it is used again")
    fleet.agree(tokens + fleet.revoke())


@pytest.mark.parametrize("kept", [True, False])
def test_killed_with_nobody_left_who_knew(*, kept: bool) -> None:
    """With AOF on nothing that was confirmed is lost; without, all of it: so AOF it is."""
    with Valkey(config=AOF if kept else {}) as server:
        fleet = Fleet(server.url)
        tokens = fleet.revoke()
        fleet.close()
        server.kill()
        server.restart()
        assert asked(server.url, tokens) == [kept] * len(tokens)


def test_frozen(server: Valkey, fleet: Fleet) -> None:
    """It is noticed within the bound; a thawed server is heard of at once."""
    tokens = fleet.revoke()
    server.freeze()
    try:
        wait_until(lambda: not fleet.replicas[0].is_fresh, "it is noticed")
        with pytest.raises(UnavailableError):
            fleet.replicas[0].standing(claims_of(issued_us=unix_us()), failure="closed")
        assert all(fleet.replicas[0].standing(token).revoked for token in tokens)
    finally:
        server.thaw()
    fleet.agree(tokens)


def test_flushed(server: Valkey, fleet: Fleet) -> None:
    """What the replicas know they keep, and tell the server again."""
    tokens = fleet.revoke()
    far = unix_us() + 10**9
    fleet.replicas[0].revoke(of_session("s", until_us=far), of_user("bob", until_us=far))
    session = claims_of(issued_us=unix_us(), session="s")
    user = claims_of("bob", issued_us=unix_us() - 2 * 10**6)
    fleet.agree([*tokens, session, user])
    server.command("FLUSHALL")
    assert all(fleet.replicas[1].standing(token).revoked for token in tokens)
    wait_until(lambda: all(asked(server.url, [*tokens, session, user])), "the server is told")
    fleet.agree([*tokens, session, user, *fleet.revoke()])


def test_flushed_and_used_at_once(server: Valkey, fleet: Fleet) -> None:
    """A change that follows before anybody noticed does not hide that others are gone."""
    tokens = fleet.revoke()
    server.command("FLUSHALL")
    more = fleet.revoke(1)
    wait_until(lambda: all(asked(server.url, tokens + more)), "the server is told")
    fleet.agree(tokens + more)


def test_the_stream_is_trimmed_past_the_last_change(server: Valkey) -> None:
    """Who was away too long reads everything anew, and misses nothing."""
    with FaultProxy(server.host, server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        away = ReplicaRevocations.from_url(url, deadline=PATIENT)
        fleet = Fleet(server.url)
        fleet.replicas.append(away)
        try:
            assert away.wait_until_fresh()
            tokens = fleet.revoke()
            proxy.fault = Unreachable()
            proxy.cut()
            wait_until(lambda: not away.is_fresh, "it is cut off")
            fleet.replicas.pop()
            tokens += fleet.revoke()
            assert server.command("XTRIM", KEYS.stream, "MAXLEN", 3) == 17
            proxy.fault = Pass()
            fleet.replicas.append(away)
            fleet.agree(tokens + fleet.revoke())
        finally:
            fleet.close()
            away.close()


@pytest.mark.parametrize("kept", ["nothing", "an older state"])
def test_another_server_takes_over(kept: str) -> None:
    """One that lacks some of it, or all: the replicas notice, and tell it what it lacks."""
    with Valkey() as server:  # without AOF: a restart brings back what was saved, or nothing
        fleet = Fleet(server.url)
        try:
            tokens = fleet.revoke()
            if kept != "nothing":
                server.command("SAVE")
            tokens += fleet.revoke()
            server.kill()
            server.restart()
            wait_until(lambda: all(asked(server.url, tokens)), "the server is told")
            fleet.agree(tokens + fleet.revoke())
        finally:
            fleet.close()


@pytest.mark.parametrize(("revoker", "verifier"), [*product([-TEN, 0, TEN], repeat=2)])
def test_clocks_differ(valkey: Valkey, revoker: int, verifier: int) -> None:
    """Ten minutes either way on either side: a token is refused as long as it is believed."""

    def skewed(by: int) -> ReplicaRevocations:
        asking = RedisRevocations(RedisLink.from_url(valkey.url), clock=lambda: unix_us() + by)
        return ReplicaRevocations(asking, Endpoint.from_url(valkey.url))

    here, there = skewed(revoker), skewed(verifier)
    try:
        assert there.wait_until_fresh()
        # The last moment at which the verifier believes it, by its own clock.
        now = unix_us() + verifier
        token = claims_of(issued_us=now + 2 * 10**6 - 900 * 10**6)
        user = claims_of("bob", issued_us=unix_us() - 2 * 10**6)
        here.revoke(of_token(token), of_user("bob", until_us=unix_us() + 10**9))
        for replica in (here, there):
            for claims in (token, user):
                wait_until(lambda: replica.standing(claims).revoked, "it is refused")  # noqa: B023 -- used at once
        # A login that follows is not refused by a clock that is ahead.
        later = claims_of("bob", issued_us=unix_us() + 10**6)
        assert not here.standing(later).revoked
        assert not there.standing(later).revoked
        assert all(asked(valkey.url, [token, user]))
    finally:
        here.close()
        there.close()


def test_forked_workers_hear_of_each_other(server: Valkey) -> None:
    """A process that forked after it had begun, as servers with workers do."""
    replica = ReplicaRevocations.from_url(server.url, deadline=PATIENT)
    assert replica.wait_until_fresh()
    token = claims_of(issued_us=unix_us())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads do not survive a fork is the point
        child = os.fork()
    if child == 0:
        try:
            replica.revoke(of_token(token))
        finally:
            os._exit(0)
    wait_until(lambda: replica.standing(token).revoked, "the parent hears of it")
    os.waitpid(child, 0)
    replica.close()


def test_a_thousand_refreshes_of_one_token(valkey: Valkey) -> None:
    """All at once, from four places: one wins, and all are told the same successor."""
    session = session_of()
    first = Issued("first", session.began_us, session.expires_us)
    until = session.ends_us

    async def main() -> list[tuple[Outcome, Issued | None]]:
        stores = [AsyncRedisSessions.from_url(valkey.url, deadline=PATIENT) for _ in range(4)]
        await stores[0].begin(session, first)
        turns = [
            stores[number % 4].turn(
                session.id,
                "first",
                Issued(f"next{number}", session.began_us, session.expires_us),
                grace=timedelta(minutes=1),
                until_us=until,
            )
            for number in range(1000)
        ]
        told = await asyncio.gather(*turns)
        for store in stores:
            await store.aclose()
        return [*told]

    told = asyncio.run(main())
    assert Counter(outcome for outcome, _ in told) == {Outcome.ROTATED: 1, Outcome.REPLAYED: 999}
    assert len({token for _, token in told}) == 1


def test_reuse_is_heard_of_by_every_replica(valkey: Valkey) -> None:
    """The script that finds it out also revokes: nobody else has to."""
    store = RedisSessions.from_url(valkey.url, deadline=PATIENT)
    fleet = Fleet(valkey.url)
    try:
        session = session_of()
        store.begin(session, Issued("first", session.began_us, session.expires_us))
        turned = store.turn(
            session.id,
            "forged",
            Issued("next", session.began_us, session.expires_us),
            grace=timedelta(0),
            until_us=session.ends_us,
        )
        assert turned.outcome is Outcome.REUSED
        fleet.agree([claims_of(issued_us=unix_us(), session=session.id)])
    finally:
        fleet.close()
        store.close()

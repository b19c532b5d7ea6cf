"""Revocations that are asked for at each check: one trip, and honest when nobody answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth._revocation import of_session, of_token, of_user
from socialflow_core.auth._store import Issued
from socialflow_core.auth.redis import AsyncRedisRevocations, RedisRevocations, RedisSessions
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import PlainLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.revocations import BlockingRevocations, claims_of
from socialflow_core.testing.servers.valkey import Valkey
from socialflow_core.testing.servers.valkey_cluster import ValkeyCluster
from socialflow_core.testing.sessions import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENT = timedelta(seconds=10)
SHORT = timedelta(milliseconds=100)


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of the test's own."""
    with Valkey() as server:
        yield server


def test_a_check_is_one_trip(valkey: Valkey) -> None:
    """Token, session, user and all, together; and none for what is known to be revoked."""
    asking = RedisRevocations.from_url(valkey.url, deadline=PATIENT)
    token = claims_of(issued_us=unix_us(), session="s")
    asking.standing(token)
    before = valkey.round_trips()
    for _ in range(10):
        asking.standing(token)
    assert valkey.round_trips() - before == 10
    asking.revoke(of_session("s", until_us=unix_us() + 10**9))
    assert valkey.round_trips() - before in {11, 12}  # the script is sent once
    again = valkey.round_trips()
    assert asking.standing(token).revoked
    assert valkey.round_trips() == again
    asking.close()


def test_checks_of_one_turn_travel_together(valkey: Valkey) -> None:
    """Ten tasks that check at once are one trip."""

    async def main() -> int:
        asking = AsyncRedisRevocations.from_url(valkey.url, deadline=PATIENT)
        revoked = claims_of(issued_us=unix_us())
        other = AsyncRedisRevocations.from_url(valkey.url, deadline=PATIENT)
        await other.revoke(of_token(revoked))
        await other.aclose()
        tokens = [revoked, *(claims_of(issued_us=unix_us()) for _ in range(9))]
        await asking.standing(tokens[-1])
        before = valkey.round_trips()
        told = await asyncio.gather(*map(asking.standing, tokens))
        assert [standing.revoked for standing in told] == [True] + [False] * 9
        trips = valkey.round_trips() - before
        await asking.aclose()
        return trips

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_without_an_answer_the_policy_decides(server: Valkey, kind: str) -> None:
    """`open` accepts and says why, the others raise; what this process knows stays refused."""
    asking = (
        RedisRevocations.from_url(server.url, deadline=SHORT)
        if kind == "sync"
        else BlockingRevocations(AsyncRedisRevocations.from_url(server.url, deadline=SHORT))
    )
    watcher = RedisRevocations.from_url(server.url, deadline=PATIENT)
    known, unknown, late = (claims_of(issued_us=unix_us()) for _ in range(3))
    user = claims_of("bob", issued_us=unix_us() - 2 * 10**6)
    asking.revoke(of_token(known))
    server.kill()
    assert asking.standing(known, failure="open").revoked
    assert asking.standing(known, failure="closed").revoked
    told = asking.standing(unknown)
    assert (told.revoked, told.degraded) == (False, True)
    with pytest.raises(UnavailableError):
        asking.standing(unknown, failure="closed")
    with pytest.raises(UnavailableError):
        asking.standing(unknown, failure="ask")
    for revocation in (of_token(late), of_user("bob", until_us=unix_us() + 10**9)):
        with pytest.raises(UnavailableError):
            asking.revoke(revocation)
    assert asking.standing(late).revoked
    assert asking.standing(user).revoked
    server.restart()
    wait_until(lambda: not asking.standing(unknown).degraded, "the server is used again")
    for claims in (late, user):
        # The async one's loop has to turn for it.
        wait_until(
            lambda: not asking.standing(unknown).revoked and watcher.standing(claims).revoked,  # noqa: B023 -- used at once
            "the server is told",
        )
    asking.close()
    watcher.close()


def test_what_was_heard_once_needs_no_server(server: Valkey) -> None:
    """A token that the server said is revoked is refused although it is away now."""
    asking = RedisRevocations.from_url(server.url, deadline=SHORT)
    other = RedisRevocations.from_url(server.url, deadline=PATIENT)
    token = claims_of(issued_us=unix_us())
    other.revoke(of_token(token))
    assert asking.standing(token).revoked
    server.kill()
    assert asking.standing(token, failure="closed").revoked
    asking.close()
    other.close()


def test_a_session_that_is_ended_is_revoked_in_the_same_step(valkey: Valkey) -> None:
    """Whoever only asks for revocations knows it, without anybody having told."""
    store = RedisSessions.from_url(valkey.url, deadline=PATIENT)
    asking = RedisRevocations.from_url(valkey.url, deadline=PATIENT)
    session = session_of()
    until = unix_us() + 10**9
    store.end(session.id, until_us=until)
    assert asking.standing(claims_of(issued_us=unix_us(), session=session.id)).revoked
    store.close()
    asking.close()


def test_a_cluster_will_do() -> None:
    """All keys have one hash tag; by redis-py's own client."""
    options = LinkOptions(deadline=PATIENT)
    retry = Retry(NoBackoff(), 0)
    with (
        ValkeyCluster() as cluster,
        redis.RedisCluster.from_url(cluster.url, socket_timeout=5, retry=retry) as client,
    ):
        links = [PlainLink(client, options) for _ in range(3)]
        asking, other = RedisRevocations(links[0]), RedisRevocations(links[1])
        store = RedisSessions(links[2])
        token, session = claims_of(issued_us=unix_us()), session_of()
        first = Issued("first", session.began_us, session.expires_us)
        store.begin(session, first)
        assert store.sessions("ann") == [session]
        asking.revoke(of_token(token), of_user("bob", until_us=unix_us() + 10**9))
        store.end(session.id, until_us=unix_us() + 10**9)
        assert other.standing(token, failure="closed").revoked
        assert store.sessions("ann") == []
        for link in links:
            link.close()

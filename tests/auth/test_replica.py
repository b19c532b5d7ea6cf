"""Revocations that every process holds: no trip for a check, known staleness, policies."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.observe import subscribe
from socialflow_core.auth._revocation import of_all, of_session, of_token, of_user
from socialflow_core.auth.redis import (
    AsyncReplicaRevocations,
    RedisRevocations,
    ReplicaRevocations,
)
from socialflow_core.auth.redis.held import Keys
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.revocations import claims_of
from socialflow_core.testing.servers.process import free_port
from socialflow_core.testing.servers.valkey import Valkey
from tests.auth.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.auth._interface import Claims

PATIENT = timedelta(seconds=10)
HALF = timedelta(milliseconds=500)
KEYS = Keys.of("{auth1}")


def fresh(session: str = "") -> Claims:
    """A token that was just issued."""
    return claims_of(issued_us=unix_us(), session=session)


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of the test's own."""
    with Valkey() as server:
        yield server


@pytest.fixture
def replica(server: Valkey) -> Iterator[ReplicaRevocations]:
    """One that listens."""
    threads = threading.active_count()
    replica = ReplicaRevocations.from_url(server.url, deadline=PATIENT, max_staleness=HALF)
    assert replica.wait_until_fresh()
    yield replica
    replica.close()
    replica.close()
    wait_until(lambda: threading.active_count() <= threads, "every thread has ended")


def test_a_check_makes_no_trip(server: Valkey, replica: ReplicaRevocations) -> None:
    """However many checks: the server hears the heartbeat alone."""
    revoked, good = fresh(), fresh(session="s")
    replica.revoke(of_token(revoked), of_session("t", until_us=unix_us() + 10**9))
    before, begun = server.calls(), time.monotonic()
    for _ in range(5000):
        assert replica.standing(revoked, failure="ask").revoked
        assert not replica.standing(good, failure="ask").revoked
    beats = (time.monotonic() - begun) / 0.2 + 2
    asked = server.calls() - before
    assert asked["zscore"] == asked["evalsha"] == 0
    assert asked["get"] <= beats


def test_what_was_revoked_before_it_began_is_known(server: Valkey) -> None:
    """All kinds of it are read when it begins, in chunks."""
    asking = RedisRevocations.from_url(server.url, deadline=PATIENT)
    far = unix_us() + 10**9
    tokens = [fresh() for _ in range(50)]
    before = fresh()
    asking.revoke(*map(of_token, tokens))
    asking.revoke(of_session("s", until_us=far), of_user("bob", until_us=far))
    asking.revoke(of_all(since_us=before.issued_us - 10**6, until_us=far))
    replica = ReplicaRevocations.from_url(server.url)
    try:
        assert replica.wait_until_fresh()
        assert all(replica.standing(token).revoked for token in tokens)
        assert replica.standing(fresh(session="s")).revoked
        assert replica.standing(claims_of("bob", issued_us=far - 2 * 10**9)).revoked
        assert replica.standing(claims_of("ann", issued_us=before.issued_us - 10**7)).revoked
        assert not replica.standing(before).revoked
        assert not replica.standing(before).degraded
    finally:
        replica.close()
        asking.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_either_protocol_will_do(server: Valkey, protocol: int) -> None:
    """RESP2 and RESP3 shape their replies differently."""
    url = f"{server.url}?protocol={protocol}"
    asking = RedisRevocations.from_url(server.url, deadline=PATIENT)
    first, second = fresh(), fresh()
    asking.revoke(of_token(first), of_user("bob", until_us=unix_us() + 10**9))
    replica = ReplicaRevocations.from_url(url, deadline=PATIENT)
    try:
        assert replica.wait_until_fresh()
        asking.revoke(of_token(second))
        wait_until(lambda: replica.standing(second).revoked, "it hears of it")
        assert replica.standing(first).revoked
        assert replica.standing(claims_of("bob", issued_us=1)).revoked
    finally:
        replica.close()
        asking.close()


def test_every_key_expires(server: Valkey, replica: ReplicaRevocations) -> None:
    """With the last of what it holds; and what has ended is cleared away by what comes."""
    far = unix_us() + 10**9
    replica.revoke(
        *(of_token(fresh()) for _ in range(20)),
        of_session("s", until_us=far),
        of_user("ann", until_us=far),
        of_all(until_us=far),
    )
    keys = server.command("KEYS", "*")
    assert isinstance(keys, list)
    assert sorted(map(str, keys)) == sorted(KEYS)
    for key in keys:
        left = server.command("PTTL", str(key))
        assert isinstance(left, int)
        assert 0 < left < 4_000_000
    server.command("ZADD", KEYS.tokens, 1, "x" * 16)
    server.command("ZADD", KEYS.users, 1, "y" * 16)
    server.command("HSET", KEYS.befores, "y" * 16, 1)
    replica.revoke(of_token(fresh()), of_user("bob", until_us=far))
    assert server.command("ZSCORE", KEYS.tokens, "x" * 16) is None
    assert server.command("HGET", KEYS.befores, "y" * 16) is None
    assert server.command("ZCARD", KEYS.users) == 2


def test_what_it_never_heard_of_the_policy_decides() -> None:
    """No server at all: `open` accepts and says why, `closed` and `ask` raise."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    replica = ReplicaRevocations.from_url(url)
    try:
        told = replica.standing(fresh())
        assert (told.revoked, told.degraded) == (False, True)
        assert replica.stale_for == timedelta.max
        assert not replica.is_fresh
        for failure in ("closed", "ask"):
            with pytest.raises(UnavailableError):
                replica.standing(fresh(), failure=failure)
        assert not replica.wait_until_fresh(timedelta(milliseconds=20))
    finally:
        replica.close()


def test_staleness_is_known_and_bounded(server: Valkey, replica: ReplicaRevocations) -> None:
    """A frozen server is noticed in time; what is known stays refused; it comes back by itself."""
    revoked = fresh()
    replica.revoke(of_token(revoked))
    assert replica.stale_for < HALF
    ear = Ear()
    leave = subscribe(ear)
    server.freeze()
    try:
        wait_until(lambda: replica.standing(fresh()).degraded, "it is stale")
        assert replica.stale_for >= HALF
        assert "a while" in replica.standing(fresh()).reason
        for failure in ("open", "closed", "ask"):
            assert replica.standing(revoked, failure=failure).revoked
        with pytest.raises(UnavailableError):
            replica.standing(fresh(), failure="closed")
        wait_until(lambda: bool(ear.facts), "the loss is told")
    finally:
        server.thaw()
    wait_until(lambda: replica.is_fresh, "it is fresh again")
    assert not replica.standing(fresh(), failure="closed").degraded
    wait_until(lambda: len(ear.facts) == 2, "the return is told")
    leave()
    assert [fact.state for fact in ear.facts] == ["degraded", "recovered"]


def test_a_revocation_holds_here_although_the_server_is_away(server: Valkey) -> None:
    """It is told that it was not confirmed, and is told to the server when that is back."""
    deadline = timedelta(milliseconds=100)
    replica = ReplicaRevocations.from_url(server.url, deadline=deadline)
    other = ReplicaRevocations.from_url(server.url, deadline=deadline)
    try:
        assert replica.wait_until_fresh()
        server.kill()
        token, user = fresh(), claims_of("bob", issued_us=unix_us() - 2 * 10**6)
        for revocation in (of_token(token), of_user("bob", until_us=unix_us() + 10**9)):
            with pytest.raises(UnavailableError):
                replica.revoke(revocation)
        for claims in (token, user):
            assert replica.standing(claims).revoked
        server.restart()
        assert other.wait_until_fresh()
        for claims in (token, user):
            wait_until(lambda: other.standing(claims).revoked, "the other hears of it")  # noqa: B023 -- used at once
    finally:
        replica.close()
        other.close()


def test_a_great_many_are_told_in_parts(server: Valkey, replica: ReplicaRevocations) -> None:
    """A thousand at once, and as many that are owed: no call of the server takes long."""
    tokens = [fresh() for _ in range(1000)]
    replica.revoke(*map(of_token, tokens))
    server.kill()
    late = [fresh() for _ in range(1000)]
    with pytest.raises(UnavailableError):
        replica.revoke(*map(of_token, late))
    assert all(replica.standing(token).revoked for token in tokens + late)
    server.restart()
    wait_until(lambda: server.command("ZCARD", KEYS.tokens) == 2000, "all are told")


def test_a_server_that_takes_no_writes(server: Valkey, replica: ReplicaRevocations) -> None:
    """What it lacks is told when it does again; until then nothing is certain."""
    token = fresh()
    replica.revoke(of_token(token))
    with Valkey() as primary:
        server.command("REPLICAOF", primary.host, primary.port)
        wait_until(lambda: not replica.is_fresh, "it follows one that knows nothing")
        assert replica.standing(token, failure="ask").revoked
        server.command("REPLICAOF", "NO", "ONE")
    wait_until(lambda: server.command("ZCARD", KEYS.tokens) == 1, "it is told")
    wait_until(lambda: replica.is_fresh, "it is certain again")


def test_a_forked_child_listens_on_its_own(replica: ReplicaRevocations) -> None:
    """It knows what its parent knew, and hears what comes."""
    before, after = fresh(), fresh()
    replica.revoke(of_token(before))
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads do not survive a fork is the point
        child = os.fork()
    if child == 0:
        try:
            knew = replica.standing(before).revoked
            os.write(write, b"k" if knew else b"-")
            wait_until(lambda: replica.standing(after).revoked, "it hears")
            os.write(write, b"h")
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"k"
    replica.revoke(of_token(after))
    assert os.read(read, 1) == b"h"
    os.close(read)
    os.waitpid(child, 0)
    assert replica.wait_until_fresh()


def test_what_makes_no_sense_does_not_stop_it(server: Valkey, replica: ReplicaRevocations) -> None:
    """Somebody else's change is passed over; one that cannot be read leads to a new snapshot."""
    for words in (("x", "y"), ("p", "", "r", "", "e", "?"), ("p", "", "r", "", "e", "s")):
        server.command("XADD", KEYS.stream, "*", *words)
        token = fresh()
        other = RedisRevocations.from_url(server.url, deadline=PATIENT)
        other.revoke(of_token(token))
        other.close()
        wait_until(lambda: replica.standing(token).revoked, "it hears of it")  # noqa: B023 -- used at once
    wait_until(lambda: replica.is_fresh, "it is certain")


def test_the_async_one_asks_without_blocking(server: Valkey) -> None:
    """A check before it has heard of anything asks, under `ask`; it closes without a trace."""

    async def main() -> None:
        replica = AsyncReplicaRevocations.from_url(server.url, deadline=PATIENT)
        token = fresh()
        told = await replica.standing(token, failure="ask")
        assert told.source in {"redis", "replica"}
        await replica.revoke(of_token(token))
        assert (await replica.standing(token)).revoked
        assert await replica.wait_until_fresh()
        await replica.aclose()
        await replica.aclose()
        assert not await replica.wait_until_fresh(timedelta(milliseconds=1)) or replica.is_fresh

    asyncio.run(main())


def test_staleness_below_the_heartbeat_is_refused(server: Valkey) -> None:
    """It would never be fresh."""
    with pytest.raises(ValueError, match="half a second"):
        ReplicaRevocations.from_url(server.url, max_staleness=timedelta(milliseconds=499))

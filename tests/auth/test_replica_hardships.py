"""What befalls a process that holds revocations, and what it does about it."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.observe import subscribe
from socialflow_core.auth._revocation import of_session, of_token, of_user
from socialflow_core.auth.redis import (
    AsyncReplicaRevocations,
    RedisRevocations,
    ReplicaRevocations,
)
from socialflow_core.auth.redis.held import Keys
from socialflow_core.redislink.redis import Endpoint, RedisLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.revocations import claims_of
from socialflow_core.testing.servers.valkey import Valkey
from tests.auth.ear import Ear
from tests.redislink.kit import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.auth._interface import Claims, RevocationFailure

PATIENT = timedelta(seconds=10)
KEYS = Keys.of("{auth1}")


def token_of(session: str = "") -> Claims:
    """A token that was just issued."""
    return claims_of(issued_us=unix_us(), session=session)


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of the test's own."""
    with Valkey() as server:
        yield server


@pytest.mark.parametrize("failure", ["open", "closed", "ask"])
def test_a_process_that_begins_is_certain_from_its_first_check(
    server: Valkey, failure: RevocationFailure
) -> None:
    """While it reads what is known for the first time, it asks instead of guessing."""
    asking = RedisRevocations.from_url(server.url, deadline=PATIENT)
    far = unix_us() + 10**9
    asking.revoke(*(of_session(f"s{number}", until_us=far) for number in range(20_000)))
    revoked, good = token_of(), token_of()
    asking.revoke(of_token(revoked))
    replica = ReplicaRevocations.from_url(server.url, deadline=PATIENT)
    try:
        replica.begin()
        assert replica.stale_for == timedelta.max
        assert replica.standing(revoked, failure=failure).revoked
        told = replica.standing(good, failure=failure)
        assert not told.revoked
        assert not told.degraded
    finally:
        replica.close()
        asking.close()


@pytest.mark.parametrize("error", [LookupError("no password today"), SystemExit(3)])
def test_a_credential_provider_that_raises(error: BaseException) -> None:
    """Whatever it raises: it is away, and heard of again when the provider is well."""
    provider = Provider()
    with Valkey(password="right") as server:
        client = redis.Redis(host=server.host, port=server.port, credential_provider=provider)
        asking = RedisRevocations(RedisLink.from_client(client))
        replica = ReplicaRevocations(asking, Endpoint.from_client(client))
        try:
            assert replica.wait_until_fresh()
            provider.error = error
            server.command("CLIENT", "KILL", "TYPE", "normal")
            wait_until(lambda: provider.raised > 0, "it is asked for a password")
            wait_until(lambda: not replica.is_fresh, "it is away")
            provider.error = None
            wait_until(lambda: replica.is_fresh, "it is heard of again")
        finally:
            replica.close()
            client.close()


def test_no_thread_is_to_be_had(server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check asks meanwhile, the lack is told once, and it is tried again."""
    ear = Ear()
    leave = subscribe(ear)
    replica = ReplicaRevocations.from_url(server.url, deadline=PATIENT)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "socialflow-revocations":
            raise RuntimeError("can't start new thread")
        start(thread)

    try:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            assert not replica.standing(token_of()).degraded
        monkeypatch.undo()
        assert [fact.state for fact in ear.facts] == ["degraded"]
        assert replica.wait_until_fresh()
        assert [fact.state for fact in ear.facts] == ["degraded", "recovered"]
    finally:
        leave()
        replica.close()
        replica.close()


def test_what_is_owed_is_owed_once(server: Valkey) -> None:
    """However often the same token is revoked while the server is away, with its latest date."""
    replica = ReplicaRevocations.from_url(server.url, deadline=timedelta(milliseconds=100))
    try:
        assert replica.wait_until_fresh()
        server.kill()
        for revocation in (
            *[of_token(token_of("s"))] * 100,
            of_user("bob", since_us=5, until_us=unix_us() + 10**9),
            of_user("bob", since_us=3, until_us=unix_us() + 10**9),
        ):
            with pytest.raises(UnavailableError):
                replica.revoke(revocation)
        token, user = sorted(replica.asking.held.take_owed())
        assert (token.scope, user.scope) == ("token", "user")
        assert user.before_us == 5
        assert replica.asking.held.take_owed() == []
    finally:
        replica.close()


def test_two_facades_of_one_process_share_what_they_know(server: Valkey) -> None:
    """What the sync one revokes the async one refuses at once, also while Redis is away."""
    replica = ReplicaRevocations.from_url(server.url, deadline=timedelta(milliseconds=100))

    async def main() -> None:
        beside = AsyncReplicaRevocations.from_url(server.url, beside=replica)
        assert await beside.wait_until_fresh()
        server.kill()
        here, there = token_of(), token_of()
        with pytest.raises(UnavailableError):
            replica.revoke(of_token(here))
        with pytest.raises(UnavailableError):
            await beside.revoke(of_token(there))
        assert (await beside.standing(here)).revoked
        assert replica.standing(there).revoked
        await beside.aclose()
        server.restart()
        wait_until(lambda: server.command("ZCARD", KEYS.tokens) == 2, "all is told")

    try:
        assert replica.wait_until_fresh()
        asyncio.run(main())
        assert replica.wait_until_fresh()
    finally:
        replica.close()

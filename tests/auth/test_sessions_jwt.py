"""Sessions with real tokens, a real server, and a second process's view of it."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.clock import unix_us
from socialflow_core.auth import (
    KindRules,
    SessionOptions,
    TokenError,
    TokenKind,
    TokenRules,
    of_all,
    of_token,
    of_user,
)
from socialflow_core.auth.jwt import (
    AsyncTokenVerifier,
    KeyRing,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from socialflow_core.auth.memory import MemoryRevocations, MemorySessions
from socialflow_core.auth.redis import (
    AsyncRedisSessions,
    AsyncReplicaRevocations,
    RedisSessions,
    ReplicaRevocations,
)
from socialflow_core.auth.sessions import AsyncSessions, Sessions
from socialflow_core.testing.poll import wait_until
from tests.auth.simple import SimpleSigner, SimpleVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth import TokenPair
    from socialflow_core.testing.servers.valkey import Valkey

PATIENT = timedelta(seconds=10)
RULES = TokenRules(issuer="https://api.example.com", audience=("api",))
ACCESS = KeyRing(TokenKey("HS256", "a secret of at least thirty-two bytes"))
REFRESH = KeyRing(TokenKey("HS256", "another secret, and just as long as it"))
ISSUER = TokenIssuer(RULES, access=ACCESS, refresh=REFRESH)


class Process:
    """All that one process has."""

    def __init__(self, url: str, clock: Clock = unix_us) -> None:
        issuer = TokenIssuer(RULES, access=ACCESS, refresh=REFRESH, clock=clock)
        self.revocations = ReplicaRevocations.from_url(url, deadline=PATIENT)
        self.store = RedisSessions.from_url(url, deadline=PATIENT)
        self.verifier = TokenVerifier(
            RULES, access=ACCESS, refresh=REFRESH, revocations=self.revocations, clock=clock
        )
        self.sessions = Sessions(
            issuer, self.verifier, self.store, self.revocations, options=SessionOptions()
        )
        assert self.revocations.wait_until_fresh()

    def refuses(self, pair: TokenPair) -> bool:
        """Whether the access token is revoked here."""
        try:
            self.verifier.verify(pair.access.reveal(), failure="closed")
        except TokenError as error:
            return error.reason == "revoked"
        return False

    def close(self) -> None:
        """Close everything."""
        self.revocations.close()
        self.store.close()


@pytest.fixture
def processes(valkey: Valkey) -> Iterator[tuple[Process, Process]]:
    """Two of them."""
    both = Process(valkey.url), Process(valkey.url)
    yield both
    for process in both:
        process.close()


def test_after_a_logout_the_same_token_is_refused(processes: tuple[Process, Process]) -> None:
    """At once here, and soon there; the verifier remembers it as good, and refuses it still."""
    here, there = processes
    pair = here.sessions.login("ann", own={"role": "admin"})
    for process in processes:
        for _ in range(2):
            claims = process.verifier.verify(pair.access.reveal(), failure="closed")
            assert dict(claims.own) == {"role": "admin"}
    here.sessions.logout(pair.access.reveal())
    assert here.refuses(pair)
    wait_until(lambda: there.refuses(pair), "the other process hears of it")
    with pytest.raises(TokenError, match="revoked"):
        there.sessions.refresh(pair.refresh.reveal())


def test_a_refresh_at_another_process(processes: tuple[Process, Process]) -> None:
    """Any of them turns the chain; a lost answer is told again by another, to the byte."""
    here, there = processes
    pair = here.sessions.login("ann")
    second = there.sessions.refresh(pair.refresh.reveal())
    again = here.sessions.refresh(pair.refresh.reveal())
    assert again.refresh == second.refresh
    claims = here.verifier.verify(again.refresh.reveal(), TokenKind.REFRESH)
    assert claims.expires_us == again.refresh_expires_us
    assert not here.refuses(pair)


def test_everywhere_and_a_login_at_once(processes: tuple[Process, Process]) -> None:
    """Old tokens are refused everywhere, those of the login that follows nowhere."""
    here, there = processes
    pairs = [process.sessions.login("ann") for process in processes]
    assert here.sessions.logout_everywhere("ann") == 2
    after = there.sessions.login("ann")
    for process in processes:
        wait_until(lambda: all(map(process.refuses, pairs)), "it hears of it")  # noqa: B023 -- used at once
        assert not process.refuses(after)


def test_a_refresh_is_no_way_around_a_revocation(processes: tuple[Process, Process]) -> None:
    """Who is revoked by hand gets no younger token, also where nobody has heard of it yet."""
    here, there = processes
    for number in range(30):
        user = f"user{number}"
        pair = here.sessions.login(user)
        claims = here.verifier.verify(pair.refresh.reveal(), TokenKind.REFRESH)
        until = pair.refresh_expires_us
        by_hand = (of_user(user, until_us=until), of_all(until_us=until), of_token(claims))
        here.revocations.revoke(by_hand[number % 3])
        for process in (there, here):
            with pytest.raises(TokenError, match="revoked"):
                process.sessions.refresh(pair.refresh.reveal())


@pytest.mark.parametrize("behind", [50_000, -50_000], ids=["behind", "ahead"])
def test_everywhere_and_a_login_where_clocks_differ(valkey: Valkey, behind: int) -> None:
    """Whoever dates tokens may be behind the store, or ahead: the login that follows is good."""
    process = Process(valkey.url, clock=lambda: unix_us() - behind)
    try:
        before = process.sessions.login("ann")
        assert process.sessions.logout_everywhere("ann") == 1
        after = process.sessions.login("ann")
        assert process.refuses(before)
        assert not process.refuses(after)
        assert not process.refuses(process.sessions.refresh(after.refresh.reveal()))
    finally:
        process.close()


def test_the_same_awaited(valkey: Valkey) -> None:
    """Login, refresh, list, logout."""

    async def main() -> None:
        revocations = AsyncReplicaRevocations.from_url(valkey.url, deadline=PATIENT)
        store = AsyncRedisSessions.from_url(valkey.url, deadline=PATIENT)
        verifier = AsyncTokenVerifier(
            RULES, access=ACCESS, refresh=REFRESH, revocations=revocations
        )
        sessions = AsyncSessions(ISSUER, verifier, store, revocations)
        assert await revocations.wait_until_fresh()
        pair = await sessions.login("ann", name="phone")
        pair = await sessions.refresh(pair.refresh.reveal())
        assert [session.name for session in await sessions.sessions("ann")] == ["phone"]
        assert (await verifier.verify(pair.access.reveal(), failure="closed")).subject == "ann"
        await sessions.logout(pair.refresh.reveal())
        with pytest.raises(TokenError, match="revoked"):
            await verifier.verify(pair.access.reveal())
        await store.aclose()
        await revocations.aclose()

    asyncio.run(main())


def test_rules_may_require_more() -> None:
    """A claim of yours, or a session: logging out, which makes no token, needs neither."""
    rules = TokenRules(
        access=KindRules(
            lifetime=timedelta(minutes=15), types=("at+jwt",), required=("jti", "sid", "tenant")
        )
    )
    revocations = MemoryRevocations()
    access, refresh = (KeyRing(TokenKey("HS256", secrets.token_hex(32))) for _ in range(2))
    issuer = TokenIssuer(rules, access=access, refresh=refresh)
    verifier = TokenVerifier(rules, access=access, refresh=refresh, revocations=revocations)
    service = Sessions(issuer, verifier, MemorySessions(), revocations)
    pairs = [service.login("ann", own={"tenant": "t"}) for _ in range(4)]
    service.logout(pairs[0].access.reveal())
    service.logout("no token at all")
    assert service.end("ann", pairs[1].session)
    assert service.logout_everywhere("ann") == 2
    for pair in pairs:
        with pytest.raises(TokenError, match="revoked"):
            verifier.verify(pair.access.reveal())


def test_a_user_of_very_many_sessions(valkey: Valkey) -> None:
    """A store lists a thousand; all of them are ended, and each can be."""
    store = RedisSessions.from_url(valkey.url, deadline=timedelta(seconds=5))
    revocations = MemoryRevocations()
    service = Sessions(SimpleSigner(), SimpleVerifier(revocations), store, revocations)
    try:
        pairs = [service.login("ann") for _ in range(1003)]
        assert service.end("ann", pairs[0].session)
        assert not service.end("bob", pairs[1].session)
        assert service.logout_everywhere("ann") == 1002
        assert service.sessions("ann") == []
    finally:
        store.close()

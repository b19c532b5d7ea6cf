"""What sessions do when a store fails, and with options that make no sense."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth._interface import TokenError
from socialflow_core.auth._revocation import of_user
from socialflow_core.auth._sessions import SessionOptions
from socialflow_core.auth.memory import MemoryRevocations, MemorySessions
from socialflow_core.auth.sessions import Sessions
from socialflow_core.testing.clock import ManualClock
from tests.auth.simple import SimpleSigner, SimpleVerifier

if TYPE_CHECKING:
    from socialflow_core.auth._interface import Claims, Revocation, RevocationFailure, Standing
    from socialflow_core.auth._store import Session, Turn


class Away(MemorySessions):
    """A store that is away."""

    def turn(self, *_args: Any, **_more: Any) -> Turn:
        """Fail."""
        raise UnavailableError("sessions", sent=False)

    def end(self, *_args: Any, **_more: Any) -> None:
        """Fail."""
        raise UnavailableError("sessions", sent=False)

    def sessions(self, *_args: Any) -> list[Session]:
        """Fail."""
        raise UnavailableError("sessions", sent=False)


class Deaf(MemoryRevocations):
    """Revocations that hold here, and are confirmed by nobody."""

    def revoke(self, /, *revocations: Revocation) -> None:
        """Hold, and fail."""
        super().revoke(*revocations)
        raise UnavailableError("revocations", sent=False)


def test_what_fails_half_way_refuses_too_early() -> None:
    """A logout that the store did not hear of is told, and holds in this process."""
    revocations, store = MemoryRevocations(), Away()
    verifier = SimpleVerifier(revocations)
    service = Sessions(SimpleSigner(), verifier, store, revocations)
    pair = service.login("ann")
    with pytest.raises(UnavailableError):
        service.refresh(pair.refresh.reveal())
    with pytest.raises(UnavailableError):
        service.logout(pair.refresh.reveal())
    with pytest.raises(TokenError, match="revoked"):
        verifier.verify(pair.access.reveal())
    with pytest.raises(UnavailableError):
        service.logout_everywhere("bob")
    assert revocations.known.users


def test_what_is_not_confirmed_is_ended_all_the_same() -> None:
    """A session whose revocation was not confirmed is not refreshed."""
    revocations, store = Deaf(), MemorySessions()
    service = Sessions(SimpleSigner(), SimpleVerifier(MemoryRevocations()), store, revocations)
    pair = service.login("ann")
    with pytest.raises(UnavailableError):
        service.logout(pair.refresh.reveal())
    with pytest.raises(TokenError, match="revoked"):
        service.refresh(pair.refresh.reveal())


class OnceDeaf(MemoryRevocations):
    """Revocations that hold here, and of which the first is not confirmed."""

    confirmed: tuple[Revocation, ...] = ()
    tries = 0

    def revoke(self, /, *revocations: Revocation) -> None:
        """Hold, and fail the first time."""
        super().revoke(*revocations)
        self.tries += 1
        if self.tries == 1:
            raise UnavailableError("revocations", sent=False)
        self.confirmed += revocations


class OnceAway(MemorySessions):
    """A store that does not hear the first end."""

    tries = 0

    def end(self, /, *sessions: str, until_us: int) -> None:
        """Fail the first time."""
        self.tries += 1
        if self.tries == 1:
            raise UnavailableError("sessions", sent=False)
        super().end(*sessions, until_us=until_us)


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_a_logout_that_failed_is_done_by_the_next_try(kind: str) -> None:
    """All of it, though its token is refused here already: success means that it is so."""
    revocations, store = OnceDeaf(), OnceAway()
    service = Sessions(SimpleSigner(), SimpleVerifier(revocations), store, revocations)
    pair = service.login("ann")
    token = getattr(pair, kind).reveal()
    with pytest.raises(UnavailableError):
        service.logout(token)
    assert [each.id for each in service.sessions("ann")] == [pair.session]
    service.logout(token)
    assert service.sessions("ann") == []
    assert [(told.scope, told.name) for told in revocations.confirmed] == [
        ("session", pair.session)
    ]


def test_a_revoked_access_token_still_logs_out() -> None:
    """It went alone; its session goes by it all the same."""
    revocations = MemoryRevocations()
    service = Sessions(SimpleSigner(), SimpleVerifier(revocations), MemorySessions(), revocations)
    pair = service.login("ann")
    service.revoke(pair.access.reveal())
    service.logout(pair.access.reveal())
    assert service.sessions("ann") == []
    with pytest.raises(TokenError, match="revoked"):
        service.refresh(pair.refresh.reveal())


@pytest.mark.parametrize(
    "options",
    [
        {"grace": timedelta(seconds=-1)},
        {"longest": timedelta(0)},
        {"name_length": 0},
    ],
)
def test_options_make_sense(options: dict[str, Any]) -> None:
    """Or they are refused when they are built."""
    with pytest.raises(ValueError, match="must"):
        SessionOptions(**options)


def test_memory_forgets_sessions_that_have_ended() -> None:
    """New ones clear old ones away, also of users who never come back."""
    clock = ManualClock()
    store = MemorySessions(clock=clock)
    revocations = MemoryRevocations(clock=clock)
    service = Sessions(SimpleSigner(clock), SimpleVerifier(revocations, clock), store, revocations)
    for number in range(100):
        service.login(f"user{number}")
    clock.advance(timedelta(days=8))
    for _ in range(100):
        service.login("ann")
    assert len(store._kept) == 100
    assert [*store._of] == ["ann"]


class Late(MemoryRevocations):
    """Revocations of which one comes just after the refresh token was judged."""

    is_armed = False

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """Answer, and revoke all of the user."""
        told = super().standing(claims, failure=failure)
        if self.is_armed:
            self.is_armed = False
            self.revoke(of_user(claims.subject, until_us=claims.expires_us))
        return told


def test_a_revocation_while_it_is_refreshed() -> None:
    """The new tokens are younger than it, and would escape: they are not handed out."""
    clock = ManualClock()
    revocations = Late(clock=clock)
    verifier = SimpleVerifier(revocations, clock)
    service = Sessions(SimpleSigner(clock), verifier, MemorySessions(clock=clock), revocations)
    pair = service.login("ann")
    clock.advance(timedelta(seconds=2))
    revocations.is_armed = True
    with pytest.raises(TokenError, match="revoked"):
        service.refresh(pair.refresh.reveal())
    assert service.sessions("ann") == []

"""Login, refresh, logout: what a client sees, sync and async alike."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.observe import subscribe
from socialflow_core.auth._interface import ReusedError, TokenError, TokenKind
from socialflow_core.auth._revocation import of_user
from tests.auth.ear import Ear
from tests.auth.place import GRACE, Place

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A service in memory."""
    place = Place(is_async=request.param)
    yield place
    place.close()


def test_a_login_gives_a_pair(place: Place) -> None:
    """One token for each kind, of one session, with the claims that were asked for."""
    pair = place.login("ann", name="phone", own={"role": "admin"})
    access = place.verifier.verify(pair.access.reveal())
    refresh = place.verifier.verify(pair.refresh.reveal(), TokenKind.REFRESH)
    assert (access.subject, access.session, dict(access.own)) == (
        "ann",
        pair.session,
        {"role": "admin"},
    )
    assert (refresh.session, access.expires_us, refresh.expires_us) == (
        pair.session,
        pair.access_expires_us,
        pair.refresh_expires_us,
    )
    assert [each.name for each in place.sessions("ann")] == ["phone"]
    assert pair.access.reveal() not in repr(pair)
    assert pair.refresh.reveal() not in repr(pair)


def test_a_refresh_goes_on(place: Place) -> None:
    """The session and the claims stay, tokens are new, and the old access token still lasts."""
    first = place.login("ann", own={"role": "admin"})
    place.clock.advance(timedelta(minutes=14))
    second = place.refresh(first.refresh.reveal())
    assert second.session == first.session
    assert second.refresh != first.refresh
    assert place.is_good(first)
    assert dict(place.verifier.verify(second.access.reveal()).own) == {"role": "admin"}
    (session,) = place.sessions("ann")
    assert (session.used_us, session.expires_us) == (place.clock(), second.refresh_expires_us)


def test_a_lost_answer_is_told_again(place: Place) -> None:
    """The very same refresh token, so that two clients that race both go on."""
    first = place.login("ann")
    second = place.refresh(first.refresh.reveal())
    place.clock.advance(GRACE / 2)
    again = place.refresh(first.refresh.reveal())
    assert again.refresh == second.refresh
    assert place.is_good(again)
    assert place.refresh(again.refresh.reveal()).session == first.session


def test_reuse_ends_the_whole_session(place: Place) -> None:
    """Thief and owner are both out, with every token; it is told, and the tokens are not."""
    first = place.login("ann")
    other = place.login("ann")
    second = place.refresh(first.refresh.reveal())
    place.clock.advance(GRACE)
    ear = Ear()
    leave = subscribe(ear)
    try:
        with pytest.raises(ReusedError) as caught:
            place.refresh(first.refresh.reveal())
    finally:
        leave()
    assert (caught.value.subject, caught.value.session) == ("ann", first.session)
    assert caught.value.reason == "revoked"
    assert first.refresh.reveal() not in f"{caught.value!r} {ear.facts}"
    assert [fact.name for fact in ear.facts] == ["reuse"]
    assert not place.is_good(first)
    assert not place.is_good(second)
    assert place.is_good(other)
    with pytest.raises(TokenError, match="revoked"):
        place.refresh(second.refresh.reveal())


@pytest.mark.parametrize("verb", ["logout", "revoke"])
def test_a_refresh_token_takes_its_session_along(place: Place, verb: str) -> None:
    """RFC 7009, 2.1: access tokens of the same grant go too; another session is not concerned."""
    pair, other = place.login("ann"), place.login("ann")
    getattr(place, verb)(pair.refresh.reveal())
    assert not place.is_good(pair)
    assert place.is_good(other)
    with pytest.raises(TokenError, match="revoked"):
        place.refresh(pair.refresh.reveal())
    assert [each.id for each in place.sessions("ann")] == [other.session]


def test_an_access_token_is_revoked_alone(place: Place) -> None:
    """As RFC 7009 allows: the client refreshes, and goes on."""
    pair = place.login("ann")
    place.revoke(pair.access.reveal())
    assert not place.is_good(pair)
    assert place.is_good(place.refresh(pair.refresh.reveal()))


def test_a_logout_by_access_token_ends_the_session(place: Place) -> None:
    """It is the session that is left; a token without one goes alone."""
    pair = place.login("ann")
    place.logout(pair.access.reveal())
    with pytest.raises(TokenError, match="revoked"):
        place.refresh(pair.refresh.reveal())
    alone = place.signer.sign(place.signer.claims(TokenKind.ACCESS, "ann"))
    place.logout(alone)
    with pytest.raises(TokenError, match="revoked"):
        place.verifier.verify(alone)


@pytest.mark.parametrize("verb", ["logout", "revoke"])
def test_a_token_that_is_not_good_is_a_success(place: Place, verb: str) -> None:
    """RFC 7009, 2.2: unknown, garbled, expired, or revoked already."""
    pair = place.login("ann")
    place.clock.advance(timedelta(days=8))
    for token in ("", "garbled", pair.access.reveal(), pair.refresh.reveal()):
        getattr(place, verb)(token)
    pair = place.login("ann")
    for _ in range(2):
        getattr(place, verb)(pair.refresh.reveal())


def test_everywhere_means_everywhere(place: Place) -> None:
    """Every session, and tokens that belong to none; a login in the same moment is good."""
    pairs = [place.login("ann") for _ in range(3)]
    other = place.login("bob")
    alone = place.signer.sign(place.signer.claims(TokenKind.ACCESS, "ann"))
    place.clock.advance(timedelta(seconds=1.5))
    assert place.logout_everywhere("ann") == 3
    after = place.login("ann")
    assert not any(map(place.is_good, pairs))
    with pytest.raises(TokenError, match="revoked"):
        place.verifier.verify(alone)
    assert place.is_good(other)
    assert place.is_good(after)
    assert place.is_good(place.refresh(after.refresh.reveal()))
    assert [each.id for each in place.sessions("ann")] == [after.session]
    assert place.logout_everywhere("nobody") == 0


def test_a_user_ends_its_own_sessions_only(place: Place) -> None:
    """By id, from the list; another's is not found."""
    pair = place.login("ann")
    assert not place.end("bob", pair.session)
    assert place.is_good(pair)
    assert place.end("ann", pair.session)
    assert not place.is_good(pair)
    assert not place.end("ann", pair.session)


def test_a_session_is_named(place: Place) -> None:
    """By its user, and not beyond all measure."""
    pair = place.login("ann")
    assert place.rename("ann", pair.session, "phone")
    assert not place.rename("bob", pair.session, "mine")
    assert [each.name for each in place.sessions("ann")] == ["phone"]
    with pytest.raises(ValueError, match="at most 200"):
        place.rename("ann", pair.session, "x" * 201)
    with pytest.raises(ValueError, match="at most 200"):
        place.login("ann", name="x" * 201)


def test_a_session_ends_when_nobody_uses_it(place: Place) -> None:
    """With its refresh token; and however often it is refreshed, at its absolute end."""
    idle = place.login("ann")
    busy = place.login("ann")
    for _ in range(5):
        place.clock.advance(timedelta(days=6))
        busy = place.refresh(busy.refresh.reveal()) if place.sessions("ann") else busy
    with pytest.raises(TokenError, match="expired"):
        place.refresh(idle.refresh.reveal())
    with pytest.raises(TokenError):
        place.refresh(busy.refresh.reveal())
    assert place.sessions("ann") == []


def test_an_access_token_ends_with_its_session(place: Place) -> None:
    """Also one that is issued shortly before the absolute end."""
    pair = place.login("ann")
    (session,) = place.sessions("ann")
    while place.clock() + 6 * 86_400 * 10**6 < session.ends_us:
        place.clock.advance(timedelta(days=6))
        pair = place.refresh(pair.refresh.reveal())
    left = timedelta(microseconds=session.ends_us - place.clock())
    place.clock.advance(left - timedelta(minutes=1))
    pair = place.refresh(pair.refresh.reveal())
    assert pair.access_expires_us == session.ends_us
    assert place.is_good(pair)
    place.clock.advance(timedelta(minutes=1))
    with pytest.raises(TokenError, match="expired"):
        place.verifier.verify(pair.access.reveal())


@pytest.mark.parametrize(("session", "claim"), [("", "sid"), ("s", "jti")])
def test_a_refresh_token_of_no_session_is_refused(place: Place, session: str, claim: str) -> None:
    """Nobody could rotate it."""
    claims = place.signer.claims(TokenKind.REFRESH, "ann", session=session)
    object.__setattr__(claims, "token_id", "")
    with pytest.raises(TokenError, match="missing_claim") as caught:
        place.refresh(place.signer.sign(claims))
    assert caught.value.claim == claim
    place.logout(place.signer.sign(claims))


def test_a_user_revoked_by_hand_is_out(place: Place) -> None:
    """The same revocations, whoever fills them."""
    pair = place.login("ann")
    place.clock.advance(timedelta(seconds=2))
    place.revocations.revoke(of_user("ann", until_us=place.clock() + 10**13))
    assert not place.is_good(pair)
    with pytest.raises(TokenError, match="revoked"):
        place.refresh(pair.refresh.reveal())


def test_an_expired_access_token_still_logs_out(place: Place) -> None:
    """Its session goes on without it: whoever shows it wants that to end."""
    pair = place.login("ann")
    place.clock.advance(timedelta(minutes=16))
    place.logout(pair.access.reveal())
    assert place.sessions("ann") == []
    with pytest.raises(TokenError):
        place.refresh(pair.refresh.reveal())


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\x00", "\x7f"])
def test_names_can_be_shown_and_stored(place: Place, name: str) -> None:
    """Half a character, or one that moves a terminal's cursor, is no name."""
    pair = place.login("ann", name="Marta\u2019s t\u00e9l\u00e9phone \U0001f600")
    with pytest.raises(ValueError, match="control characters"):
        place.login("ann", name=name)
    with pytest.raises(ValueError, match="control characters"):
        place.rename("ann", pair.session, name)
    assert len(place.sessions("ann")) == 1

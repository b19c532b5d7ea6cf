"""Login, refresh and logout: the steps, written once for sync and async.

Each is a flow of calls to the verifier, the store of sessions and the revocations. What is
revoked is revoked before anything else is tried: if a store fails half-way, a token is
refused too early, never too late.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Call, Flow
from socialflow_core._kit.secrets import Secret

from ._interface import ReusedError, SpentError, TokenError, TokenKind
from ._revocation import of_session, of_token, of_user
from ._store import Issued, Outcome, Session, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from ._interface import (
        AsyncRevocations,
        AsyncVerifier,
        Claims,
        Json,
        Revocations,
        Signer,
        Standing,
        Verifier,
    )
    from ._store import AsyncSessionStore, SessionStore

__all__ = ["Parts", "SessionOptions", "TokenPair"]

_US = timedelta(microseconds=1)
_SECOND_US = 1_000_000
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# It may be good as the other kind. What is expired or revoked is so as either.
_OTHER_KIND = frozenset(
    {"wrong_kind", "bad_signature", "unknown_key", "wrong_audience", "wrong_issuer"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How sessions last.

    Attributes:
        grace: How long a refresh token that was consumed is still answered by its
            successor: for a client whose answer was lost, and for two that race.
        longest: When a session ends, however often it is refreshed. If it is not, it ends
            with its refresh token.
        name_length: How many characters the name of a session may have.

    Raises:
        ValueError: If *grace* is negative, or another is not positive.
    """

    grace: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(days=90)
    name_length: int = 200

    def __post_init__(self) -> None:
        if self.grace < timedelta(0):
            raise ValueError("grace must not be negative")
        if self.longest < timedelta(seconds=1):
            raise ValueError("longest must be at least a second")
        if self.name_length < 1:
            raise ValueError("name_length must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a client gets.

    Attributes:
        access: Shown with each request.
        refresh: Shown for the next pair.
        session: Which session they belong to.
        access_expires_us: When the first ends.
        refresh_expires_us: When the second ends.
    """

    access: Secret
    refresh: Secret
    session: str
    access_expires_us: int
    refresh_expires_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the service is composed of; its flows call the sync and the async alike."""

    signer: Signer
    verifier: Verifier | AsyncVerifier
    store: SessionStore | AsyncSessionStore
    revocations: Revocations | AsyncRevocations
    options: SessionOptions
    new_id: Callable[[], str]

    def login(
        self, subject: str, name: str, own: Mapping[str, Json] | None
    ) -> Flow[Call[Any], TokenPair]:
        """Begin a session."""
        self._check_name(name)
        session = self.new_id()
        access, refresh = self._fresh(subject, session, own)
        began = refresh.issued_us
        # Tokens tell whole seconds: an end between two of them could not be told.
        ends = (began + self.options.longest // _US) // _SECOND_US * _SECOND_US
        refresh = replace(refresh, expires_us=min(refresh.expires_us, ends))
        begun = Session(
            id=session,
            subject=subject,
            name=name,
            began_us=began,
            used_us=began,
            expires_us=refresh.expires_us,
            ends_us=ends,
        )
        yield Call(lambda: self.store.begin(begun, _issued(refresh)))
        return self._pair(access, refresh)

    def refresh(self, token: str) -> Flow[Call[Any], TokenPair]:
        """Consume a refresh token for a new pair."""
        # Certain, whatever the policy: what it is exchanged for is younger than any
        # revocation that was missed.
        claims: Claims = yield Call(
            lambda: self.verifier.verify(token, TokenKind.REFRESH, failure="ask")
        )
        session = claims.session
        if not session or not claims.token_id:
            raise TokenError("missing_claim", claim="jti" if session else "sid")
        access, refresh = self._fresh(claims.subject, session, claims.own)
        until = max(access.expires_us, refresh.expires_us)
        turned: Turn = yield Call(
            lambda: self.store.turn(
                session,
                claims.token_id,
                _issued(refresh),
                grace=self.options.grace,
                until_us=until,
            )
        )
        if turned.outcome is Outcome.REUSED:
            yield Call(lambda: self.revocations.revoke(of_session(session, until_us=until)))
            raise ReusedError(subject=claims.subject, session=session)
        if turned.token is None:
            raise TokenError("revoked", claim="sid")
        # What was revoked meanwhile is older than the new tokens, which would escape it.
        standing: Standing = yield Call(lambda: self.revocations.standing(claims, failure="open"))
        if standing.revoked:
            yield from self._end([session])
            raise TokenError("revoked", claim="sid")
        token_id, issued, expires = turned.token
        refresh = replace(refresh, token_id=token_id, issued_us=issued, expires_us=expires)
        return self._pair(access, refresh)

    def revoke(self, token: str) -> Flow[Call[Any], None]:
        """Revoke a token as RFC 7009 says: a refresh token takes its session along."""
        return self._refuse(token, {TokenKind.REFRESH})

    def logout(self, token: str) -> Flow[Call[Any], None]:
        """End the session of a token; without one, revoke the token."""
        return self._refuse(token, {TokenKind.REFRESH, TokenKind.ACCESS})

    def logout_everywhere(self, subject: str) -> Flow[Call[Any], int]:
        """End all sessions of a user, and revoke whatever else was issued to it."""
        # Since now by the clock that dates tokens: by that of a store which is ahead, those of
        # the login that follows would be refused.
        since, _ = self.signer.lasts(TokenKind.REFRESH)
        everything = of_user(subject, until_us=self._until(), since_us=since)
        yield Call(lambda: self.revocations.revoke(everything))
        # Sessions by their ids as well: no clock can be wrong about those. A store lists so
        # many at a time, and none that has ended.
        ended: set[str] = set()
        while True:
            sessions: Sequence[Session] = yield Call(lambda: self.store.sessions(subject))
            living = [session.id for session in sessions if session.id not in ended]
            if not living:
                return len(ended)
            yield from self._end(living)
            ended.update(living)

    def end(self, subject: str, session: str) -> Flow[Call[Any], bool]:
        """End one session of a user; False if there is none such."""
        is_theirs: bool = yield Call(lambda: self.store.owns(subject, session))
        if is_theirs:
            yield from self._end([session])
        return is_theirs

    def sessions(self, subject: str) -> Flow[Call[Any], Sequence[Session]]:
        """The sessions of a user."""
        sessions: Sequence[Session] = yield Call(lambda: self.store.sessions(subject))
        return sessions

    def rename(self, subject: str, session: str, name: str) -> Flow[Call[Any], bool]:
        """Name a session of a user."""
        self._check_name(name)
        renamed: bool = yield Call(lambda: self.store.rename(subject, session, name))
        return renamed

    def _refuse(self, token: str, whole: Container[TokenKind]) -> Flow[Call[Any], None]:
        """Refuse a token from now on; of kinds that are *whole*, with its session.

        One that is revoked already is so again, with its session, and so is one that has
        expired; one that was never good is refused anyway.
        """
        claims: Claims | None = None
        for kind in (TokenKind.REFRESH, TokenKind.ACCESS):
            try:
                claims = yield Call(partial(self._verify, token, kind))
            except SpentError as error:
                # Revoked by a try that failed half-way, maybe; or its session goes on.
                claims = error.claims
            except TokenError as error:
                if error.reason in _OTHER_KIND:
                    continue
            break
        if claims is None:
            return
        if claims.session and claims.kind in whole:
            yield from self._end([claims.session])
        else:
            revocation = of_token(claims)
            yield Call(lambda: self.revocations.revoke(revocation))

    def _end(self, sessions: Sequence[str]) -> Flow[Call[Any], None]:
        until = self._until()
        gone = [of_session(session, until_us=until) for session in sessions]
        end = Call(lambda: self.store.end(*sessions, until_us=until))
        try:
            yield Call(lambda: self.revocations.revoke(*gone))
        except UnavailableError:
            yield end  # what is ended is not refreshed, whoever knows that it is revoked
            raise
        yield end

    def _verify(self, token: str, kind: TokenKind) -> object:
        # Whether it is revoked already does not matter, so neither does who could tell.
        return self.verifier.verify(token, kind, failure="open")

    def _fresh(
        self, subject: str, session: str, own: Mapping[str, Json] | None
    ) -> tuple[Claims, Claims]:
        access = self.signer.claims(TokenKind.ACCESS, subject, session=session, own=own)
        refresh = self.signer.claims(TokenKind.REFRESH, subject, session=session, own=own)
        return access, refresh

    def _until(self) -> int:
        """When the last token that is issued now will have ended."""
        return max(self.signer.lasts(kind)[1] for kind in TokenKind)

    def _pair(self, access: Claims, refresh: Claims) -> TokenPair:
        # No token outlasts its session, which ends with its refresh token at the latest.
        access = replace(access, expires_us=min(access.expires_us, refresh.expires_us))
        return TokenPair(
            access=Secret(self.signer.sign(access)),
            refresh=Secret(self.signer.sign(refresh)),
            session=refresh.session,
            access_expires_us=access.expires_us,
            refresh_expires_us=refresh.expires_us,
        )

    def _check_name(self, name: str) -> None:
        told: object = name
        if not isinstance(told, str) or len(told) > self.options.name_length:
            raise ValueError(f"a name is a text of at most {self.options.name_length} characters")
        if _UNSPEAKABLE.search(told):
            raise ValueError("a name has no control characters and no half of a surrogate pair")


def _issued(claims: Claims) -> Issued:
    return Issued(claims.token_id, claims.issued_us, claims.expires_us)

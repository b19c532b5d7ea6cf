"""Sessions of users: login, refresh, logout, and the list of devices.

```python
from socialflow_core.auth import TokenRules
from socialflow_core.auth.jwt import KeyRing, TokenIssuer, TokenKey, TokenVerifier
from socialflow_core.auth.memory import MemoryRevocations, MemorySessions
from socialflow_core.auth.sessions import Sessions

rules, revocations = TokenRules(), MemoryRevocations()
access = KeyRing(TokenKey("HS256", "a secret of at least thirty-two bytes"))
refresh = KeyRing(TokenKey("HS256", "another secret, and just as long as it"))
issuer = TokenIssuer(rules, access=access, refresh=refresh)
verifier = TokenVerifier(rules, access=access, refresh=refresh, revocations=revocations)

sessions = Sessions(issuer, verifier, MemorySessions(), revocations)
pair = sessions.login("ann", name="Firefox on Linux")
pair = sessions.refresh(pair.refresh.reveal())
sessions.logout(pair.refresh.reveal())
```

It is composed of what signs and verifies tokens, of a store of sessions, and of the same
revocations that the verifier asks.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from socialflow_core._kit.flow import Call, Flow, arun, run
from socialflow_core._kit.observe import Fact, fact

from ._interface import ReusedError
from ._sessions import Parts, SessionOptions, TokenPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._interface import (
        AsyncRevocations,
        AsyncVerifier,
        Json,
        Revocations,
        Signer,
        Verifier,
    )
    from ._store import AsyncSessionStore, Session, SessionStore

__all__ = ["AsyncSessions", "Sessions"]

ResultT = TypeVar("ResultT")


def _new_id() -> str:
    return uuid.uuid4().hex


def _tell_reuse() -> None:
    """Report what looks like a theft; whose it was is in the error."""
    reason = "a refresh token came again after its grace: its session is ended"
    fact(Fact(block="auth", state="event", name="reuse", reason=reason))


class Sessions:
    """The sessions of users. Thread-safe, as far as its parts are.

    Args:
        signer: Makes tokens of both kinds.
        verifier: Tells whether to believe one.
        store: Keeps sessions.
        revocations: Keeps what is refused; the verifier asks the same.
        options: How long sessions last.

    Every method raises `UnavailableError` if a store does not answer. What was to be revoked
    is refused in this process even so; call again, for elsewhere it may not be.
    """

    def __init__(
        self,
        signer: Signer,
        verifier: Verifier,
        store: SessionStore,
        revocations: Revocations,
        *,
        options: SessionOptions | None = None,
    ) -> None:
        self._parts = Parts(
            signer=signer,
            verifier=verifier,
            store=store,
            revocations=revocations,
            options=options or SessionOptions(),
            new_id=_new_id,
        )

    def login(
        self, subject: str, *, name: str = "", own: Mapping[str, Json] | None = None
    ) -> TokenPair:
        """Begin a session, once you know who it is.

        Args:
            subject: Whose it is (`sub`).
            name: What the list of devices shows.
            own: Claims of yours, for all of its tokens.

        Raises:
            ValueError: If one of these cannot be said in a token, or the name is too long.
        """
        return _run(self._parts.login(subject, name, own))

    def refresh(self, token: str) -> TokenPair:
        """Consume a refresh token for a new pair.

        The same token gives the same refresh token again, for as long as the grace is: so a
        client that lost the answer asks again, and of two that ask at once both go on.

        Raises:
            TokenError: If it is not good, or its session has ended.
            ReusedError: If it was consumed before that; the session is ended now.
        """
        try:
            return _run(self._parts.refresh(token))
        except ReusedError:
            _tell_reuse()
            raise

    def revoke(self, token: str) -> None:
        """Revoke a token as an endpoint of RFC 7009 does.

        A refresh token takes its session along, an access token goes alone. A token that is
        unknown, expired or garbled is a success, and nothing happens.
        """
        _run(self._parts.revoke(token))

    def logout(self, token: str) -> None:
        """End the session of a token of either kind. See `revoke` about one that is not good."""
        _run(self._parts.logout(token))

    def logout_everywhere(self, subject: str) -> int:
        """End all sessions of a user, and revoke every other token of it; how many there were."""
        return _run(self._parts.logout_everywhere(subject))

    def end(self, subject: str, session: str) -> bool:
        """End one session of a user; False if the user has no such session."""
        return _run(self._parts.end(subject, session))

    def sessions(self, subject: str) -> Sequence[Session]:
        """The sessions of a user that have not ended, the one used last at the beginning."""
        return _run(self._parts.sessions(subject))

    def rename(self, subject: str, session: str, name: str) -> bool:
        """Name a session; False if the user has no such session.

        Raises:
            ValueError: If the name is too long.
        """
        return _run(self._parts.rename(subject, session, name))


class AsyncSessions:
    """`Sessions`, awaited."""

    def __init__(
        self,
        signer: Signer,
        verifier: AsyncVerifier,
        store: AsyncSessionStore,
        revocations: AsyncRevocations,
        *,
        options: SessionOptions | None = None,
    ) -> None:
        self._parts = Parts(
            signer=signer,
            verifier=verifier,
            store=store,
            revocations=revocations,
            options=options or SessionOptions(),
            new_id=_new_id,
        )

    async def login(
        self, subject: str, *, name: str = "", own: Mapping[str, Json] | None = None
    ) -> TokenPair:
        """See `Sessions.login`."""
        return await _arun(self._parts.login(subject, name, own))

    async def refresh(self, token: str) -> TokenPair:
        """See `Sessions.refresh`."""
        try:
            return await _arun(self._parts.refresh(token))
        except ReusedError:
            _tell_reuse()
            raise

    async def revoke(self, token: str) -> None:
        """See `Sessions.revoke`."""
        await _arun(self._parts.revoke(token))

    async def logout(self, token: str) -> None:
        """See `Sessions.logout`."""
        await _arun(self._parts.logout(token))

    async def logout_everywhere(self, subject: str) -> int:
        """See `Sessions.logout_everywhere`."""
        return await _arun(self._parts.logout_everywhere(subject))

    async def end(self, subject: str, session: str) -> bool:
        """See `Sessions.end`."""
        return await _arun(self._parts.end(subject, session))

    async def sessions(self, subject: str) -> Sequence[Session]:
        """See `Sessions.sessions`."""
        return await _arun(self._parts.sessions(subject))

    async def rename(self, subject: str, session: str, name: str) -> bool:
        """See `Sessions.rename`."""
        return await _arun(self._parts.rename(subject, session, name))


def _run(flow: Flow[Call[Any], ResultT]) -> ResultT:
    return run(flow, lambda effect: effect.function())


async def _arun(flow: Flow[Call[Any], ResultT]) -> ResultT:
    return await arun(flow, lambda effect: effect.function())

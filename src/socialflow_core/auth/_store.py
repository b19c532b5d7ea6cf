"""What a store of sessions promises: values and protocols, beside those of `_interface`.

A session is what a login begins and a logout ends: one device, one browser. Its refresh
tokens are a chain, of which one at a time is good: each is consumed for its successor. No
token is stored, only its id and its times.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

__all__ = [
    "AsyncRefreshChains",
    "AsyncSessionBook",
    "AsyncSessionStore",
    "Issued",
    "Outcome",
    "RefreshChains",
    "Session",
    "SessionBook",
    "SessionStore",
    "Turn",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login, on one device.

    Attributes:
        id: Its own name (`sid`).
        subject: Whose it is.
        name: What its user calls it; may be empty.
        began_us: When it was begun.
        used_us: When it was refreshed last.
        expires_us: When it ends if it is not refreshed.
        ends_us: When it ends in any case.
    """

    id: str
    subject: str
    name: str
    began_us: int
    used_us: int
    expires_us: int
    ends_us: int


class Issued(NamedTuple):
    """What is kept of a refresh token: enough to sign the same one again.

    Attributes:
        token_id: Its `jti`.
        issued_us: Its `iat`.
        expires_us: Its `exp`.
    """

    token_id: str
    issued_us: int
    expires_us: int


class Outcome(Enum):
    """What became of a refresh token that was presented."""

    ROTATED = "rotated"
    """It was the current one; its successor is now."""

    REPLAYED = "replayed"
    """It was consumed a moment ago; its successor is told again."""

    REUSED = "reused"
    """It was consumed before; the session is ended and revoked."""

    UNKNOWN = "unknown"
    """There is no such session, or not any more."""


class Turn(NamedTuple):
    """The answer to a refresh token.

    Attributes:
        outcome: What became of it.
        token: The current one now; None if the session is not there any more.
    """

    outcome: Outcome
    token: Issued | None


class RefreshChains(Protocol):
    """The refresh tokens that are good. Thread-safe; each method is one atomic step.

    Every method raises `UnavailableError` if the store does not answer.
    """

    def begin(self, session: Session, first: Issued, /) -> None:
        """Begin a session, of which *first* is the current token."""
        ...

    def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """Consume a refresh token for its successor; see `_rotation.turn`, which decides.

        Args:
            session: Its session.
            presented: The id of the token; its signature and times have been verified.
            successor: What follows it, if it is the current one; its end is brought forward
                to that of the session.
            grace: How long a consumed token is still answered by its successor.
            until_us: When the last token of the session has ended, if it must be revoked.
        """
        ...

    def end(self, /, *sessions: str, until_us: int) -> None:
        """End sessions; what is not there is ended. See `turn` about *until_us*."""
        ...


class SessionBook(Protocol):
    """The sessions of users, to show them. Thread-safe.

    Every method raises `UnavailableError` if the store does not answer.
    """

    def sessions(self, subject: str, /) -> Sequence[Session]:
        """Those of a user that have not ended, the one used last at the beginning.

        Of very many, a thousand.
        """
        ...

    def owns(self, subject: str, session: str, /) -> bool:
        """Whether the user has such a session."""
        ...

    def rename(self, subject: str, session: str, name: str, /) -> bool:
        """Name a session; False if the user has no such session."""
        ...


class SessionStore(RefreshChains, SessionBook, Protocol):
    """Both of them."""


class AsyncRefreshChains(Protocol):
    """`RefreshChains`, awaited."""

    async def begin(self, session: Session, first: Issued, /) -> None:
        """See `RefreshChains.begin`."""
        ...

    async def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """See `RefreshChains.turn`."""
        ...

    async def end(self, /, *sessions: str, until_us: int) -> None:
        """See `RefreshChains.end`."""
        ...


class AsyncSessionBook(Protocol):
    """`SessionBook`, awaited."""

    async def sessions(self, subject: str, /) -> Sequence[Session]:
        """See `SessionBook.sessions`."""
        ...

    async def owns(self, subject: str, session: str, /) -> bool:
        """See `SessionBook.owns`."""
        ...

    async def rename(self, subject: str, session: str, name: str, /) -> bool:
        """See `SessionBook.rename`."""
        ...


class AsyncSessionStore(AsyncRefreshChains, AsyncSessionBook, Protocol):
    """`SessionStore`, awaited."""

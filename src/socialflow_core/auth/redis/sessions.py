"""Sessions shared by every process, in Redis or Valkey. Extra `[redis]`.

The turn of a refresh token is one script: it consumes the token, sets its successor, and
if the token was consumed before, ends and revokes the session in the same step.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from socialflow_core.auth._revocation import SKEW_US, digest_of, subject_digest
from socialflow_core.auth._scripts import BEGIN, END, LIST, OWNS, RENAME, TURN
from socialflow_core.auth._store import Issued, Outcome, Session, Turn
from socialflow_core.redislink import Script
from socialflow_core.redislink.redis import AsyncRedisLink, RedisLink

from .asking import link_options
from .held import MOST_TOLD, PREFIX, Keys, nonce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socialflow_core.redislink import Argument, AsyncLink, Link

__all__ = ["AsyncRedisSessions", "RedisSessions"]

_US = timedelta(microseconds=1)
_DEADLINE = timedelta(milliseconds=100)
_BEGIN, _TURN, _END, _LIST, _OWNS, _RENAME = map(Script, (BEGIN, TURN, END, LIST, OWNS, RENAME))


class _Words:
    """KEYS and ARGV of each step, and how its answer reads."""

    def __init__(self, prefix: str) -> None:
        self._keys = Keys.of(prefix)
        self._session = f"{prefix}:session:"
        self._list = f"{prefix}:list:"

    def begin(self, session: Session, first: Issued) -> tuple[list[str], list[Argument]]:
        owner = subject_digest(session.subject).hex()
        args: list[Argument] = [self._list, SKEW_US, session.id, owner, session.subject]
        args += [session.name, session.began_us, session.used_us, session.ends_us]
        args += [first.expires_us, first.token_id, first.issued_us]
        return [self._session + session.id], args

    def turn(
        self, session: str, presented: str, successor: Issued, grace: timedelta, until_us: int
    ) -> tuple[list[str], list[Argument]]:
        args: list[Argument] = [self._list, SKEW_US, session, presented, *successor]
        args += [grace // _US, MOST_TOLD, digest_of(session), until_us + SKEW_US, nonce()]
        args.append(digest_of(presented))
        return [*self._keys, self._session + session], args

    def end(self, sessions: Sequence[str], until_us: int) -> tuple[list[str], list[Argument]]:
        args: list[Argument] = [self._list, MOST_TOLD, len(sessions)]
        for session in sessions:
            args += (session, digest_of(session), until_us + SKEW_US, nonce())
        return [*self._keys, *(self._session + session for session in sessions)], args

    def listed(self, subject: str) -> tuple[list[str], list[Argument]]:
        return [self._list + subject_digest(subject).hex()], [self._session]

    def owned(self, subject: str, session: str) -> tuple[list[str], list[Argument]]:
        return [self._session + session], [subject]

    def rename(self, subject: str, session: str, name: str) -> tuple[list[str], list[Argument]]:
        return [self._session + session], [subject, name]


def _turned(told: Sequence[bytes]) -> Turn:
    outcome, *token = told
    if not token:
        return Turn(Outcome(outcome.decode()), None)
    token_id, issued, expires = token
    return Turn(Outcome(outcome.decode()), Issued(token_id.decode(), int(issued), int(expires)))


def _sessions(told: Sequence[Sequence[Any]]) -> list[Session]:
    found = []
    for session_id, subject, name, *moments in told:
        began, used, expires, ends = map(int, moments)
        found.append(
            Session(
                id=session_id.decode(),
                subject=subject.decode(),
                name=name.decode(),
                began_us=began,
                used_us=used,
                expires_us=expires,
                ends_us=ends,
            )
        )
    return sorted(found, key=lambda session: -session.used_us)


class RedisSessions:
    """See `SessionStore`. Thread-safe and fork-safe; each method is one round trip.

    Args:
        link: The way to Redis; `from_url` makes one.
        prefix: That of the revocations, so that a session that is ended is revoked in the
            same step.
    """

    def __init__(self, link: Link, *, prefix: str = PREFIX) -> None:
        self._link = link
        self._words = _Words(prefix)

    @classmethod
    def from_url(cls, url: str, *, deadline: timedelta = _DEADLINE, prefix: str = PREFIX) -> Self:
        """Keep them in the Redis or Valkey at *url*; see `RedisLink.from_url`."""
        return cls(RedisLink.from_url(url, link_options(prefix, deadline)), prefix=prefix)

    def begin(self, session: Session, first: Issued, /) -> None:
        """See `RefreshChains.begin`."""
        self._link.call(_BEGIN, *self._words.begin(session, first))

    def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """See `RefreshChains.turn`."""
        item = self._words.turn(session, presented, successor, grace, until_us)
        return _turned(self._link.call(_TURN, *item))

    def end(self, /, *sessions: str, until_us: int) -> None:
        """See `RefreshChains.end`."""
        self._link.call(_END, *self._words.end(sessions, until_us))

    def sessions(self, subject: str, /) -> list[Session]:
        """See `SessionBook.sessions`; at most a thousand."""
        return _sessions(self._link.call(_LIST, *self._words.listed(subject)))

    def owns(self, subject: str, session: str, /) -> bool:
        """See `SessionBook.owns`."""
        return bool(self._link.call(_OWNS, *self._words.owned(subject, session)))

    def rename(self, subject: str, session: str, name: str, /) -> bool:
        """See `SessionBook.rename`."""
        return bool(self._link.call(_RENAME, *self._words.rename(subject, session, name)))

    def close(self) -> None:
        """Close the link; calling it twice is fine."""
        self._link.close()


class AsyncRedisSessions:
    """`RedisSessions`, awaited."""

    def __init__(self, link: AsyncLink, *, prefix: str = PREFIX) -> None:
        self._link = link
        self._words = _Words(prefix)

    @classmethod
    def from_url(cls, url: str, *, deadline: timedelta = _DEADLINE, prefix: str = PREFIX) -> Self:
        """See `RedisSessions.from_url`."""
        return cls(AsyncRedisLink.from_url(url, link_options(prefix, deadline)), prefix=prefix)

    async def begin(self, session: Session, first: Issued, /) -> None:
        """See `RefreshChains.begin`."""
        await self._link.call(_BEGIN, *self._words.begin(session, first))

    async def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """See `RefreshChains.turn`."""
        item = self._words.turn(session, presented, successor, grace, until_us)
        return _turned(await self._link.call(_TURN, *item))

    async def end(self, /, *sessions: str, until_us: int) -> None:
        """See `RefreshChains.end`."""
        await self._link.call(_END, *self._words.end(sessions, until_us))

    async def sessions(self, subject: str, /) -> list[Session]:
        """See `SessionBook.sessions`; at most a thousand."""
        return _sessions(await self._link.call(_LIST, *self._words.listed(subject)))

    async def owns(self, subject: str, session: str, /) -> bool:
        """See `SessionBook.owns`."""
        return bool(await self._link.call(_OWNS, *self._words.owned(subject, session)))

    async def rename(self, subject: str, session: str, name: str, /) -> bool:
        """See `SessionBook.rename`."""
        return bool(await self._link.call(_RENAME, *self._words.rename(subject, session, name)))

    async def aclose(self) -> None:
        """Close the link of this event loop; calling it twice is fine."""
        await self._link.aclose()

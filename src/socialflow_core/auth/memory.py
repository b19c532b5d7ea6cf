"""Revocations and sessions kept in this process: for one worker, and for tests."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.forks import renew_in_forks

from ._interface import Standing
from ._known import Known, judge
from ._revocation import SKEW_US, dated, entry_of
from ._rotation import Chain, turn
from ._store import Outcome, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from socialflow_core._kit.clock import Clock

    from ._interface import Claims, Revocation, RevocationFailure
    from ._revocation import Entry
    from ._store import Issued, Turn

__all__ = [
    "AsyncMemoryRevocations",
    "AsyncMemorySessions",
    "MemoryRevocations",
    "MemorySessions",
]

_SOURCE = "memory"
# Made once: a check that makes its answer takes twice as long.
_GOOD, _REVOKED = Standing(False, _SOURCE), Standing(True, _SOURCE)
_US = timedelta(microseconds=1)


class MemoryRevocations:
    """See `Revocations`. Thread-safe; a check takes no lock, and what has ended is forgotten.

    One entry takes about 100 bytes.

    Attributes:
        known: For reading; `learn` adds to it.

    Args:
        clock: Microseconds since 1970-01-01 UTC.
    """

    def __init__(self, *, clock: Clock = unix_us) -> None:
        self._clock = clock
        self.known = Known()
        self._renew_lock()
        renew_in_forks(self, MemoryRevocations._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self.known)

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`; it is always certain, so *failure* does not matter."""
        del failure
        return _REVOKED if judge(claims, self.known) else _GOOD

    def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        self.learn([entry_of(revocation) for revocation in revocations])

    def learn(self, entries: Iterable[Entry]) -> list[Entry]:
        """Take over what is kept elsewhere; answers what was new here."""
        with self._lock:
            now = self._clock()
            held = [dated(each, now) for each in entries]
            news = [each for each in held if each.kept_us > now and self.known.add(each)]
            self.known.forget(now)
        return news


class AsyncMemoryRevocations:
    """`MemoryRevocations`, awaited: nothing in it ever waits.

    Args:
        revocations: Where they are kept; several facades can share it, sync and async.
    """

    def __init__(self, revocations: MemoryRevocations | None = None) -> None:
        self._revocations = MemoryRevocations() if revocations is None else revocations

    async def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        return self._revocations.standing(claims, failure=failure)

    async def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        self._revocations.revoke(*revocations)


class MemorySessions:
    """See `SessionStore`. Thread-safe.

    What has ended is forgotten when its user's sessions are next looked at, or when a new
    session is begun, a few at a time.

    Args:
        clock: Microseconds since 1970-01-01 UTC.
    """

    def __init__(self, *, clock: Clock = unix_us) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[Session, Chain]] = {}
        self._of: dict[str, set[str]] = {}
        self._renew_lock()
        renew_in_forks(self, MemorySessions._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def begin(self, session: Session, first: Issued, /) -> None:
        """See `RefreshChains.begin`."""
        with self._lock:
            # The two kept longest are looked at for each new one, so none is scanned for.
            for oldest in [*islice(self._kept, 2)]:
                kept = self._kept.pop(oldest)
                self._kept[oldest] = kept
                self._drop_ended(oldest)
            self._kept[session.id] = session, Chain(first, session.ends_us)
            self._of.setdefault(session.subject, set()).add(session.id)

    def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """See `RefreshChains.turn`."""
        del until_us  # who revokes is told by the outcome
        with self._lock:
            self._drop_ended(session)
            kept = self._kept.get(session)
            chain, turned = turn(
                kept and kept[1],
                presented,
                successor,
                now_us=self._clock(),
                grace_us=grace // _US,
            )
            if chain is None:
                self._drop(session)
            elif kept and turned.outcome is Outcome.ROTATED:
                told, used = chain.current, successor.issued_us
                changed = replace(kept[0], used_us=used, expires_us=told.expires_us)
                self._kept[session] = changed, chain
        return turned

    def end(self, /, *sessions: str, until_us: int) -> None:
        """See `RefreshChains.end`."""
        del until_us
        with self._lock:
            for session in sessions:
                self._drop(session)

    def sessions(self, subject: str, /) -> list[Session]:
        """See `SessionBook.sessions`."""
        with self._lock:
            for session in [*self._of.get(subject, ())]:
                self._drop_ended(session)
            now = self._clock()
            mine = [self._kept[session][0] for session in self._of.get(subject, ())]
        living = [session for session in mine if session.expires_us > now]
        return sorted(living, key=lambda session: -session.used_us)

    def owns(self, subject: str, session: str, /) -> bool:
        """See `SessionBook.owns`."""
        with self._lock:
            return session in self._of.get(subject, ())

    def rename(self, subject: str, session: str, name: str, /) -> bool:
        """See `SessionBook.rename`."""
        with self._lock:
            kept = self._kept.get(session)
            if kept is None or kept[0].subject != subject:
                return False
            self._kept[session] = replace(kept[0], name=name), kept[1]
        return True

    def _drop_ended(self, session: str) -> None:
        kept = self._kept.get(session)
        if kept is not None and kept[0].expires_us + SKEW_US <= self._clock():
            self._drop(session)

    def _drop(self, session: str) -> None:
        kept = self._kept.pop(session, None)
        if kept is not None:
            ids = self._of[kept[0].subject]
            ids.discard(session)
            if not ids:
                del self._of[kept[0].subject]


class AsyncMemorySessions:
    """`MemorySessions`, awaited: nothing in it ever waits.

    Args:
        sessions: Where they are kept; several facades can share it, sync and async.
    """

    def __init__(self, sessions: MemorySessions | None = None) -> None:
        self._sessions = MemorySessions() if sessions is None else sessions

    async def begin(self, session: Session, first: Issued, /) -> None:
        """See `RefreshChains.begin`."""
        self._sessions.begin(session, first)

    async def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """See `RefreshChains.turn`."""
        return self._sessions.turn(session, presented, successor, grace=grace, until_us=until_us)

    async def end(self, /, *sessions: str, until_us: int) -> None:
        """See `RefreshChains.end`."""
        self._sessions.end(*sessions, until_us=until_us)

    async def sessions(self, subject: str, /) -> list[Session]:
        """See `SessionBook.sessions`."""
        return self._sessions.sessions(subject)

    async def owns(self, subject: str, session: str, /) -> bool:
        """See `SessionBook.owns`."""
        return self._sessions.owns(subject, session)

    async def rename(self, subject: str, session: str, name: str, /) -> bool:
        """See `SessionBook.rename`."""
        return self._sessions.rename(subject, session, name)

"""What the suites of session stores are made of."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.clock import unix_us
from socialflow_core.auth._store import Issued, Session, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socialflow_core.auth._store import AsyncSessionStore

__all__ = ["GRACE", "SECOND_US", "WEEK_US", "BlockingSessions", "session_of"]

GRACE = timedelta(seconds=30)
SECOND_US = 1_000_000
WEEK_US = 7 * 86_400 * SECOND_US


def session_of(subject: str = "ann", *, name: str = "", began_us: int | None = None) -> Session:
    """A new session that lasts four weeks at most."""
    began = unix_us() if began_us is None else began_us
    return Session(
        id=uuid.uuid4().hex,
        subject=subject,
        name=name,
        began_us=began,
        used_us=began,
        expires_us=began + WEEK_US,
        ends_us=began + 4 * WEEK_US,
    )


class BlockingSessions:
    """An async store, driven as a sync one on an event loop of its own; close it."""

    def __init__(self, store: AsyncSessionStore) -> None:
        self._store = store
        self._runner = asyncio.Runner()

    def begin(self, session: Session, first: Issued, /) -> None:
        """See `RefreshChains.begin`."""
        self._run("begin", session, first)

    def turn(
        self, session: str, presented: str, successor: Issued, /, *, grace: timedelta, until_us: int
    ) -> Turn:
        """See `RefreshChains.turn`."""
        turned: Turn = self._run(
            "turn", session, presented, successor, grace=grace, until_us=until_us
        )
        return turned

    def turns(
        self, session: str, presented: str, successors: Sequence[Issued], until_us: int
    ) -> list[Turn]:
        """Turn with each of *successors* at once."""

        async def all_at_once() -> list[Turn]:
            turns = [
                self._store.turn(session, presented, each, grace=GRACE, until_us=until_us)
                for each in successors
            ]
            return await asyncio.gather(*turns)

        return self._runner.run(all_at_once())

    def end(self, /, *sessions: str, until_us: int) -> None:
        """See `RefreshChains.end`."""
        self._run("end", *sessions, until_us=until_us)

    def sessions(self, subject: str, /) -> Sequence[Session]:
        """See `SessionBook.sessions`."""
        found: Sequence[Session] = self._run("sessions", subject)
        return found

    def owns(self, subject: str, session: str, /) -> bool:
        """See `SessionBook.owns`."""
        owned: bool = self._run("owns", subject, session)
        return owned

    def rename(self, subject: str, session: str, name: str, /) -> bool:
        """See `SessionBook.rename`."""
        renamed: bool = self._run("rename", subject, session, name)
        return renamed

    def close(self) -> None:
        """Close the store, if it can be closed, and the event loop."""
        if hasattr(self._store, "aclose"):
            self._run("aclose")
        self._runner.close()

    def _run(self, verb: str, *args: object, **more: object) -> Any:
        async def call() -> Any:
            return await getattr(self._store, verb)(*args, **more)

        return self._runner.run(call())

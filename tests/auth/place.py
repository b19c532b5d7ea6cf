"""A service of sessions, and all that it is composed of."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from socialflow_core.auth._interface import TokenError
from socialflow_core.auth._sessions import SessionOptions
from socialflow_core.auth.memory import (
    AsyncMemoryRevocations,
    AsyncMemorySessions,
    MemoryRevocations,
    MemorySessions,
)
from socialflow_core.auth.sessions import AsyncSessions, Sessions
from socialflow_core.testing.clock import ManualClock
from tests.auth.simple import AsyncSimpleVerifier, SimpleSigner, SimpleVerifier

if TYPE_CHECKING:
    from socialflow_core.auth._sessions import TokenPair

GRACE = timedelta(seconds=30)
OPTIONS = SessionOptions(grace=GRACE, longest=timedelta(days=30))


class Place:
    """A service, and all that it is composed of; the async one is driven as a sync one."""

    def __init__(self, *, is_async: bool) -> None:
        self.clock = ManualClock()
        self.revocations = MemoryRevocations(clock=self.clock)
        self.store = MemorySessions(clock=self.clock)
        self.signer = SimpleSigner(self.clock)
        self.verifier = SimpleVerifier(self.revocations, self.clock)
        self._runner = asyncio.Runner() if is_async else None
        self.service: Any
        if is_async:
            revocations = AsyncMemoryRevocations(self.revocations)
            self.service = AsyncSessions(
                self.signer,
                AsyncSimpleVerifier(revocations, self.clock),
                AsyncMemorySessions(self.store),
                revocations,
                options=OPTIONS,
            )
        else:
            self.service = Sessions(
                self.signer, self.verifier, self.store, self.revocations, options=OPTIONS
            )

    def __getattr__(self, verb: str) -> Any:
        """A method of the service."""
        method = getattr(self.service, verb)

        def call(*args: object, **more: object) -> Any:
            answer = method(*args, **more)
            return self._runner.run(answer) if self._runner else answer

        return call

    def is_good(self, pair: TokenPair) -> bool:
        """Whether the access token passes."""
        try:
            self.verifier.verify(pair.access.reveal())
        except TokenError:
            return False
        return True

    def close(self) -> None:
        """Close the event loop."""
        if self._runner is not None:
            self._runner.close()

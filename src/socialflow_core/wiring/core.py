"""From settings to blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from .rate_limits import RateLimits
from .shared import Shared
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from socialflow_core.auth import (
        AsyncRevocations,
        AsyncSessionStore,
        AsyncVerifier,
        Revocations,
        SessionStore,
        Signer,
        Verifier,
    )
    from socialflow_core.auth.sessions import AsyncSessions, Sessions
    from socialflow_core.cache import AsyncCache, Cache
    from socialflow_core.config.settings import Settings
    from socialflow_core.locks import AsyncLocks, Locks
    from socialflow_core.ratelimit import AsyncRateLimiter, RateLimiter

    from .capability import Capability

__all__ = ["Core", "Own"]


class Own(TypedDict, total=False):
    """Blocks of your own, in the place of those that a `Core` would build."""

    rate_limiter: RateLimiter
    async_rate_limiter: AsyncRateLimiter
    token_issuer: Signer
    token_verifier: Verifier
    async_token_verifier: AsyncVerifier
    revocations: Revocations
    async_revocations: AsyncRevocations
    session_store: SessionStore
    async_session_store: AsyncSessionStore
    sessions: Sessions
    async_sessions: AsyncSessions
    cache: Cache
    async_cache: AsyncCache
    locks: Locks
    async_locks: AsyncLocks


class Core(RateLimits, Tokens, Shared):
    """The blocks of one service: the real engine where configured, else the embedded one.

    Building it builds nothing and imports no vendor's package; the first use of a block
    does. An argument replaces a block, in tests or in an application that has its own.
    """

    def __init__(self, settings: Settings, **own: Unpack[Own]) -> None:
        super().__init__(settings, own)

    @classmethod
    def from_env(
        cls, groups: Iterable[str] | None = None, *, environ: Mapping[str, str] | None = None
    ) -> Self:
        """Build it from the environment and `.env`, for these *groups* of settings.

        Raises:
            ConfigError: With every fault that they have.
        """
        from socialflow_core.config.settings import load  # noqa: PLC0415 -- loads pydantic

        return cls(load(groups, environ=environ))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release what the blocks hold, the last built first; calling it twice is fine.

        A service with an event loop awaits `aclose` instead.
        """
        self._resources.close()

    async def aclose(self) -> None:
        """`close`, and what belongs to this event loop."""
        try:
            await self._loop_resources.aclose()
        finally:
            self.close()

    def report(self) -> tuple[Capability, ...]:
        """What this service does, by which engine, and what it lacks."""
        return (self._report_rate_limits(), self._report_revocations(), self._report_cache())

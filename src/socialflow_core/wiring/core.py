"""From settings to blocks."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from .built import built
from .capability import Capability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from socialflow_core._kit.grammar import RateParts
    from socialflow_core.config.settings import Settings
    from socialflow_core.ratelimit import (
        AsyncRateLimiter,
        ClientIdentity,
        Limit,
        RateLimiter,
    )
    from socialflow_core.ratelimit.memory import MemoryRateLimiter

__all__ = ["Core", "Tiers"]


class Tiers(NamedTuple):
    """The three limits of the system: RATE_LIMIT_AUTH, RATE_LIMIT_AI, RATE_LIMIT_GENERAL."""

    auth: Limit
    ai: Limit
    general: Limit


class Core:
    """The blocks of one service: the real engine where configured, else the embedded one.

    Building it builds nothing and imports no vendor's package; the first use of a block
    does. An argument replaces a block, in tests or in an application that has its own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        rate_limiter: RateLimiter | None = None,
        async_rate_limiter: AsyncRateLimiter | None = None,
    ) -> None:
        self.settings = settings
        self._resources = ExitStack()
        given = {"rate_limiter": rate_limiter, "async_rate_limiter": async_rate_limiter}
        vars(self).update({name: block for name, block in given.items() if block is not None})

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
        """Release what the blocks hold, the last built first; calling it twice is fine."""
        self._resources.close()

    @built
    def _memory_rate_limiter(self) -> MemoryRateLimiter:
        from socialflow_core.ratelimit.memory import MemoryRateLimiter  # noqa: PLC0415 -- on use

        return MemoryRateLimiter()

    @built
    def rate_limiter(self) -> RateLimiter:
        """Counts hits; shares its counts with `async_rate_limiter`."""
        return self._memory_rate_limiter

    @built
    def async_rate_limiter(self) -> AsyncRateLimiter:
        """Counts hits; shares its counts with `rate_limiter`."""
        from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter  # noqa: PLC0415 -- on use

        return AsyncMemoryRateLimiter(self._memory_rate_limiter)

    @built
    def tiers(self) -> Tiers:
        """The limits by which callers are judged."""
        from socialflow_core.ratelimit import Limit, Rate  # noqa: PLC0415 -- on use

        def limit(name: str, rate: RateParts) -> Limit:
            return Limit(name, Rate(rate.limit, per=rate.per))

        redis = self.settings.redis
        return Tiers(
            auth=limit("auth", redis.rate_limit_auth),
            ai=limit("ai", redis.rate_limit_ai),
            general=limit("general", redis.rate_limit_general),
        )

    @built
    def client_identity(self) -> ClientIdentity:
        """Tells callers apart, by TRUSTED_PROXIES."""
        from socialflow_core.ratelimit import ClientIdentity  # noqa: PLC0415 -- on use

        return ClientIdentity(trusted_proxies=self.settings.redis.trusted_proxies)

    def report(self) -> tuple[Capability, ...]:
        """What this service does, by which engine, and what it lacks."""
        return (self._rate_limits(),)

    def _rate_limits(self) -> Capability:
        if self.settings.redis.rate_limit_store == "memory":
            return Capability(name="rate-limits", state="enabled", engine="memory")
        return Capability(
            name="rate-limits",
            state="degraded",
            engine="memory",
            reason="RATE_LIMIT_STORE is redis, which this version does not offer yet: limits"
            " are per process, and the effective limit multiplies by the replica count",
        )

"""From settings to blocks."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
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

_LOST = (
    "Redis does not answer: limits are per process, and the effective limit multiplies by the"
    " replica count"
)


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
        self._loop_resources = AsyncExitStack()
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
        """Release what the blocks hold, the last built first; calling it twice is fine.

        A service with an event loop awaits `aclose` instead.
        """
        self._resources.close()

    async def aclose(self) -> None:
        """`close`, and what belongs to this event loop."""
        await self._loop_resources.aclose()
        self.close()

    @built
    def _memory_rate_limiter(self) -> MemoryRateLimiter:
        from socialflow_core.ratelimit.memory import MemoryRateLimiter  # noqa: PLC0415 -- on use

        return MemoryRateLimiter()

    @built
    def rate_limiter(self) -> RateLimiter:
        """Counts hits; shares its counts with `async_rate_limiter`.

        Raises:
            MissingExtraError: If RATE_LIMIT_STORE is redis, and the extra is not installed.
        """
        redis = self.settings.redis
        if redis.rate_limit_store == "memory":
            return self._memory_rate_limiter
        from socialflow_core.ratelimit.redis import RedisRateLimiter  # noqa: PLC0415 -- loads redis

        limiter = RedisRateLimiter.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._resources.callback(limiter.close)
        return limiter

    @built
    def async_rate_limiter(self) -> AsyncRateLimiter:
        """Counts hits; shares its counts with `rate_limiter`.

        Raises:
            MissingExtraError: See `rate_limiter`.
        """
        redis = self.settings.redis
        if redis.rate_limit_store == "memory":
            from socialflow_core.ratelimit.memory import (  # noqa: PLC0415 -- on use
                AsyncMemoryRateLimiter,
            )

            return AsyncMemoryRateLimiter(self._memory_rate_limiter)
        from socialflow_core.ratelimit.redis import (  # noqa: PLC0415 -- loads redis
            AsyncRedisRateLimiter,
        )

        limiter = AsyncRedisRateLimiter.from_url(redis.url.reveal(), deadline=redis.redis_deadline)
        self._loop_resources.push_async_callback(limiter.aclose)
        return limiter

    @built
    def tiers(self) -> Tiers:
        """The limits by which callers are judged."""
        from socialflow_core.ratelimit import Limit, Rate  # noqa: PLC0415 -- on use

        redis = self.settings.redis

        def limit(name: str, rate: RateParts) -> Limit:
            return Limit(name, Rate(rate.limit, per=rate.per), failure=redis.rate_limit_failure)

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
        engine = self.settings.redis.rate_limit_store
        limiters = [vars(self).get(name) for name in ("rate_limiter", "async_rate_limiter")]
        lost = any(getattr(limiter, "is_available", True) is False for limiter in limiters)
        return Capability(
            name="rate-limits",
            state="degraded" if lost else "enabled",
            engine=engine,
            reason=_LOST if lost else "",
        )

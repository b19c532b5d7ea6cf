"""Rate limits, from RATE_LIMIT_* and TRUSTED_PROXIES."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .base import Base
from .built import built

if TYPE_CHECKING:
    from socialflow_core._kit.grammar import RateParts
    from socialflow_core.ratelimit import AsyncRateLimiter, ClientIdentity, Limit, RateLimiter
    from socialflow_core.ratelimit.memory import MemoryRateLimiter

    from .capability import Capability

__all__ = ["RateLimits", "Tiers"]

_LOST = (
    "Redis does not answer: limits are per process, and the effective limit multiplies by the"
    " replica count"
)


class Tiers(NamedTuple):
    """The three limits of the system: RATE_LIMIT_AUTH, RATE_LIMIT_AI, RATE_LIMIT_GENERAL."""

    auth: Limit
    ai: Limit
    general: Limit


class RateLimits(Base):
    """Who may ask how often."""

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

    def _report_rate_limits(self) -> Capability:
        engine = self.settings.redis.rate_limit_store
        blocks = ("rate_limiter", "async_rate_limiter")
        return self._capability("rate-limits", engine, blocks, _LOST)

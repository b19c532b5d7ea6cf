"""Makers of the limiters on Redis that tests of either kind share."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.redis import (
    AsyncLeasingRateLimiter,
    AsyncRedisRateLimiter,
    LeasingRateLimiter,
    RedisRateLimiter,
)
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import AsyncRedisLink, RedisLink
from tests.redislink.limiters import Awaited, Direct, Limiter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey

__all__ = ["LOGIN", "MINUTE", "PATIENT", "PATIENT_LINK", "Make", "making", "making_leases"]

MINUTE = timedelta(minutes=1)
# What counts is counted exactly; how long that takes is another matter.
PATIENT = timedelta(seconds=10)
PATIENT_LINK = LinkOptions(deadline=PATIENT)
LOGIN = Limit("login", Rate(3, per=MINUTE))


class Make(Protocol):
    """Makes a limiter that the test's end closes."""

    def __call__(self, **options: Any) -> Limiter:
        """Count in the shared server."""
        ...


@contextmanager
def making(kind: str, valkey: Valkey) -> Iterator[Make]:
    """A maker of limiters of that kind, "sync" or not."""
    with ExitStack() as stack:

        def make(**options: Any) -> Limiter:
            limiter: Limiter
            if kind == "sync":
                link = RedisLink.from_url(valkey.url, PATIENT_LINK)
                limiter = Direct(RedisRateLimiter(link, **options))
            else:
                alink = AsyncRedisLink.from_url(valkey.url, PATIENT_LINK)
                limiter = Awaited(AsyncRedisRateLimiter(alink, **options))
            stack.callback(limiter.close)
            return limiter

        yield make


@contextmanager
def making_leases(kind: str, valkey: Valkey) -> Iterator[Make]:
    """The same, of limiters that lease."""
    with ExitStack() as stack:

        def make(**options: Any) -> Limiter:
            limiter: Limiter
            if kind == "sync":
                inner = RedisRateLimiter(RedisLink.from_url(valkey.url, PATIENT_LINK))
                limiter = Direct(LeasingRateLimiter(inner, **options))
            else:
                ainner = AsyncRedisRateLimiter(AsyncRedisLink.from_url(valkey.url, PATIENT_LINK))
                limiter = Awaited(AsyncLeasingRateLimiter(ainner, **options))
            stack.callback(limiter.close)
            return limiter

        yield make

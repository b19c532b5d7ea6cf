"""What the tests of caches in Redis share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from socialflow_core.cache.redis import RedisCache

__all__ = ["Make", "local_hit"]

_HOUR = timedelta(hours=1)


class Make(Protocol):
    """Makes a cache that the test's end closes."""

    def __call__(self, *, local: bool = False, **options: Any) -> RedisCache:
        """Keep things in the shared server."""
        ...


def local_hit(cache: RedisCache, key: str = "a", **how: Any) -> Any:
    """Wait until *key* is in the local tier; its value."""
    found: list[Any] = []

    def hit() -> bool:
        cached = cache.lookup(key, lambda: "computed", ttl=_HOUR, **how)
        found[:] = [cached.value]
        return cached.source == "local"

    wait_until(hit, "it is in the local tier")
    return found[0]

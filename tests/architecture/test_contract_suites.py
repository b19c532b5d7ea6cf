"""The public contract suites need no vendor: they run where only `[testing]` is installed.

`nox -s alone` runs this file in such an environment; every adapter has its own run of
the suites in `tests/<block>/test_contract.py`.
"""

from socialflow_core._kit.clock import Clock
from socialflow_core.auth import Revocations, SessionStore
from socialflow_core.auth.memory import MemoryRevocations, MemorySessions
from socialflow_core.cache import Cache
from socialflow_core.cache.memory import MemoryCache
from socialflow_core.ratelimit import RateLimiter
from socialflow_core.ratelimit.memory import MemoryRateLimiter
from socialflow_core.testing.cache import CacheContract
from socialflow_core.testing.ratelimit import RateLimiterContract
from socialflow_core.testing.revocations import RevocationsContract
from socialflow_core.testing.sessions import SessionStoreContract


class TestRateLimiter(RateLimiterContract):
    """As a user would write it."""

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one."""
        return MemoryRateLimiter(clock=clock)


class TestRevocations(RevocationsContract):
    """As a user would write it."""

    def revocations(self, clock: Clock) -> Revocations:
        """Fresh ones."""
        return MemoryRevocations(clock=clock)


class TestSessions(SessionStoreContract):
    """As a user would write it."""

    def store(self) -> SessionStore:
        """A fresh one."""
        return MemorySessions()


class TestCache(CacheContract):
    """As a user would write it."""

    def cache(self) -> Cache:
        """A fresh one."""
        return MemoryCache()

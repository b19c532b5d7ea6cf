"""The public contract suites need no vendor: they run where only `[testing]` is installed.

`nox -s alone` runs this file in such an environment; every adapter has its own run of
the suites in `tests/<block>/test_contract.py`.
"""

from socialflow_core._kit.clock import Clock
from socialflow_core.ratelimit import RateLimiter
from socialflow_core.ratelimit.memory import MemoryRateLimiter
from socialflow_core.testing.ratelimit import RateLimiterContract


class TestRateLimiter(RateLimiterContract):
    """As a user would write it."""

    def limiter(self, clock: Clock) -> RateLimiter:
        """A fresh one."""
        return MemoryRateLimiter(clock=clock)

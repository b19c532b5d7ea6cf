"""Keys that are known to be at their limit, to be refused without asking the store."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.ratelimit._core import later
from socialflow_core.ratelimit._interface import Decision, Strategy

if TYPE_CHECKING:
    from socialflow_core.ratelimit._interface import Limit

__all__ = ["Denials", "now_us"]

_SOURCE = "deny-cache"
_MOST = 16  # of one key; a service judges it by a few sets of limits


def now_us() -> int:
    """Microseconds of this process's own clock, which never goes back."""
    return time.monotonic_ns() // 1000


class _Denial(NamedTuple):
    """Refuse costs from *cost* to *most*, until *until* by our clock."""

    until: int
    at: int
    cost: int
    most: int
    decision: Decision


class Denials:
    """What was refused lately. Thread-safe.

    Args:
        ttl_us: How long at most to refuse without asking.
        max_keys: How many keys to remember.
    """

    def __init__(self, ttl_us: int, max_keys: int) -> None:
        self._ttl_us = ttl_us
        self._max_keys = max_keys
        self._denied: dict[str, dict[tuple[Limit, ...], _Denial]] = {}
        self._renew_lock()
        renew_in_forks(self, Denials._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def find(self, key: str, limits: tuple[Limit, ...], cost: int) -> Decision | None:
        """The refusal of a hit that is known to be one.

        It need not have been checked: what makes no sense is not found.
        """
        if not self._denied or type(key) is not str or type(cost) is not int:
            return None
        found = self._denied.get(key)
        denial = found.get(limits) if found else None
        if denial is None or not denial.cost <= cost <= denial.most:
            return None
        now = now_us()
        if now >= denial.until:
            return None
        return later(denial.decision, now - denial.at, _SOURCE)

    def add(
        self, key: str, limits: tuple[Limit, ...], cost: int, decision: Decision, at: int
    ) -> None:
        """Remember what the store refused when our clock stood *at*."""
        until = at + min(decision.retry_us, self._ttl_us)
        # A dearer hit waits longer for anything but a window that ends as a whole.
        fixed = all(limit.strategy is Strategy.FIXED_WINDOW for limit in limits)
        most = min(limit.rate.limit for limit in limits) if fixed else cost
        with self._lock:
            if len(self._denied) >= self._max_keys:
                self._denied.clear()  # costs a trip for each key, and no answer
            denials = self._denied.setdefault(key, {})
            if len(denials) >= _MOST:
                denials.clear()
            denials[limits] = _Denial(until, at, cost, most, decision)

    def forget(self, key: str) -> None:
        """Ask again about *key*."""
        if self._denied:
            self._denied.pop(key, None)

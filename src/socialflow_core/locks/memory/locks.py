"""A table of who holds what in this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.locks._core import next_fence
from socialflow_core.locks._interface import TRIES, TTL

from .akeeper import AsyncKeeper
from .keeper import Keeper

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from socialflow_core._kit.clock import Clock
    from socialflow_core.locks._interface import AsyncHeld, Held, Tries

__all__ = ["AsyncMemoryLocks", "MemoryLocks"]


class _Table:
    """Thread-safe; empty again in a forked child."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._fence = 0
        self._begin()
        renew_in_forks(self, _Table._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, object] = {}

    def take(self, name: str, who: object) -> int:
        """The fence, or 0 if somebody else holds it."""
        with self._lock:
            if self._holders.setdefault(name, who) is not who:
                return 0
            self._fence = next_fence(self._fence, self._clock())
            return self._fence

    def is_held(self, name: str, who: object) -> bool:
        """Whether *who* holds it."""
        with self._lock:
            return self._holders.get(name) is who

    def free(self, name: str, who: object = None) -> bool:
        """Free it if *who* holds it, or whoever does; answer whether somebody did."""
        with self._lock:
            if name not in self._holders or (who and self._holders[name] is not who):
                return False
            del self._holders[name]
            return True


class _Grip:
    """See `Grip`."""

    def __init__(self, table: _Table, name: str) -> None:
        self._table = table
        self._name = name
        self.fence = 0

    def take(self) -> bool:
        """See `Grip.take`."""
        self.fence = self._table.take(self._name, self)
        return self.fence > 0

    def renew(self) -> bool:
        """See `Grip.renew`."""
        return self._table.is_held(self._name, self)

    def release(self) -> bool:
        """See `Grip.release`."""
        return self._table.free(self._name, self)


class _AsyncGrip:
    """See `AsyncGrip`."""

    def __init__(self, table: _Table, name: str) -> None:
        self._grip = _Grip(table, name)

    @property
    def fence(self) -> int:
        """See `Grip.fence`."""
        return self._grip.fence

    async def take(self) -> bool:
        """See `Grip.take`."""
        return self._grip.take()

    async def renew(self) -> bool:
        """See `Grip.renew`."""
        return self._grip.renew()

    async def release(self) -> bool:
        """See `Grip.release`."""
        return self._grip.release()


class MemoryLocks:
    """See `Locks`.

    A holder cannot die alone here, so no lock runs out; one whose handle was forgotten is
    released when it would be renewed next.

    Args:
        clock: Microseconds since 1970-01-01 UTC, the floor of the fences.
    """

    def __init__(self, *, clock: Clock = unix_us) -> None:
        self._table = _Table(clock)
        self._keeper = Keeper(lambda name, _: _Grip(self._table, name), lasting=True)

    def lock(self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES) -> Held:
        """See `Locks.lock`."""
        return self._keeper.lock(name, ttl, tries)

    def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> Held | None:
        """See `Locks.try_lock`."""
        return self._keeper.try_lock(name, ttl)

    def take_away(self, name: str) -> bool:
        """Free the lock whoever holds it, who learns of it at the next renewal; for tests.

        It is what a store does that forgets. Answers whether somebody held it.
        """
        return self._table.free(name)


class AsyncMemoryLocks:
    """`MemoryLocks`, awaited; over *locks* the two worlds share one table."""

    def __init__(self, locks: MemoryLocks | None = None, *, clock: Clock = unix_us) -> None:
        self._locks = locks or MemoryLocks(clock=clock)
        table = self._locks._table  # noqa: SLF001 -- of the same module
        self._keeper = AsyncKeeper(lambda name, _: _AsyncGrip(table, name), lasting=True)

    def lock(
        self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES
    ) -> AbstractAsyncContextManager[AsyncHeld]:
        """See `AsyncLocks.lock`."""
        return self._keeper.lock(name, ttl, tries)

    async def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> AsyncHeld | None:
        """See `AsyncLocks.try_lock`."""
        return await self._keeper.try_lock(name, ttl)

    def take_away(self, name: str) -> bool:
        """See `MemoryLocks.take_away`."""
        return self._locks.take_away(name)

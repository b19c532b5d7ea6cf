"""Keeps locks alive from event loops; the twin of `keeper`.

A timer of the loop for each lock, and a task for each renewal. Nothing here waits for a
store that hangs, except whoever takes or releases.
"""

from __future__ import annotations

import asyncio
import random
import warnings
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Call, Sleep, arun
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import count
from socialflow_core.locks._core import ONCE, Tenure, acquiring, check_name, ttl_in_us
from socialflow_core.locks._interface import LockTakenError

from .lease import AsyncGrip, Lease, elapsed_us, tell_lost, tell_unreleased

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from datetime import timedelta
    from types import TracebackType

    from socialflow_core.locks._interface import Tries

__all__ = ["AsyncKeeper", "TaskHeld"]

TaskLease: TypeAlias = Lease[AsyncGrip, asyncio.Event]

_SECOND = 1_000_000
_PATIENCE = 2.0  # seconds for what is given back at the end
_GONE = "the store does not know it any more: it ran out, or was taken away"
_SILENT = "its ttl could have passed without a confirmed renewal"


class TaskHeld:
    """See `AsyncHeld`."""

    __slots__ = ("_keeper", "_lease")

    def __init__(self, keeper: AsyncKeeper, lease: TaskLease) -> None:
        self._keeper = keeper
        self._lease = lease

    @property
    def fence(self) -> int:
        """See `Held.fence`."""
        return self._lease.grip.fence

    @property
    def lost(self) -> asyncio.Event:
        """See `Held.lost`."""
        return self._lease.lost

    @property
    def is_lost(self) -> bool:
        """See `Held.is_lost`."""
        return self._keeper.is_lost(self._lease)

    async def release(self) -> bool:
        """See `AsyncHeld.release`."""
        return await self._keeper.release(self._lease)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.release()

    def __repr__(self) -> str:
        return f"<TaskHeld fence={self.fence}{' lost' if self._lease.lost.is_set() else ''}>"

    def __del__(self) -> None:
        if not (self._lease.is_over or self._lease.lost.is_set()):
            self._lease.is_forgotten = True
            warnings.warn(f"unreleased {self!r}", ResourceWarning, source=self, stacklevel=2)


class AsyncKeeper:
    """Takes locks and keeps them, each on the loop that took it.

    Args:
        grip: Begins a claim to a lock of that name, for that many microseconds.
        lasting: Whether the store keeps a lock as long as this process is there.
    """

    def __init__(self, grip: Callable[[str, int], AsyncGrip], *, lasting: bool = False) -> None:
        self._grip = grip
        self._lasting = lasting
        self._leases: set[TaskLease] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        renew_in_forks(self, AsyncKeeper._begin_in_child)

    def _begin_in_child(self) -> None:
        for lease in self._leases:
            lease.is_over = True
            lease.lost = asyncio.Event()  # nobody waits for it, so it needs no loop
            lease.lost.set()
        self._leases, self._tasks = set(), set()

    @asynccontextmanager
    async def lock(self, name: str, ttl: timedelta, tries: Tries) -> AsyncIterator[TaskHeld]:
        """See `AsyncLocks.lock`."""
        held = await self._take(name, ttl, tries)
        try:
            yield held
        finally:
            await held.release()

    async def try_lock(self, name: str, ttl: timedelta) -> TaskHeld | None:
        """See `AsyncLocks.try_lock`."""
        try:
            return await self._take(name, ttl, ONCE)
        except LockTakenError:
            return None

    async def _take(self, name: str, ttl: timedelta, tries: Tries) -> TaskHeld:
        ttl_us = ttl_in_us(ttl)
        grip = self._grip(check_name(name), ttl_us)
        sent_us = 0

        async def perform(effect: Call[Any] | Sleep) -> object:
            nonlocal sent_us
            if isinstance(effect, Sleep):
                await asyncio.sleep(effect.duration.total_seconds())
                return None
            sent_us = elapsed_us()
            return await self._unless_cancelled(grip)

        try:
            await arun(acquiring(name, tries, Call(grip.take), random.random), perform)  # noqa: S311 -- a wait is no secret
        except LockTakenError:
            count("locks.refused")
            raise
        tenure = Tenure.begin(ttl_us, sent_us, lasting=self._lasting)
        if tenure.is_over(elapsed_us()):  # the answer took longer than the lock lasts
            self._spawn(_given_back(grip))
            raise UnavailableError("the lock store", sent=True)
        lease = Lease(grip, tenure, asyncio.Event())
        self._leases.add(lease)
        self._plan(lease)
        count("locks.acquired")
        return TaskHeld(self, lease)

    async def _unless_cancelled(self, grip: AsyncGrip) -> bool:
        """One try; if it is cancelled, what it may have taken is given back."""
        taking = self._spawn(grip.take())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            giving = self._spawn(_given_back(grip, taking))
            # The loop may end next, or the client be closed.
            with suppress(asyncio.CancelledError):
                await asyncio.wait((giving,), timeout=_PATIENCE)
            raise

    def is_lost(self, lease: TaskLease) -> bool:
        """See `Held.is_lost`."""
        if not lease.is_over and lease.tenure.is_over(elapsed_us()):
            self._lose(lease, _SILENT)
        return lease.lost.is_set()

    async def release(self, lease: TaskLease) -> bool:
        """See `AsyncHeld.release`."""
        if lease.is_over:
            return False
        held = not self.is_lost(lease)
        lease.is_over = True
        lease.end()
        self._leases.discard(lease)
        return await asyncio.shield(self._spawn(_given_back(lease.grip))) and held

    def _spawn(self, work: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task

    async def settle(self) -> None:
        """Wait, not for long, until what this loop gives back is given back."""
        loop = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        if tasks:
            await asyncio.wait(tasks, timeout=_PATIENCE)

    def _lose(self, lease: TaskLease, reason: str) -> None:
        self._leases.discard(lease)
        lease.end()
        if not (lease.is_over or lease.lost.is_set()):
            lease.lost.set()
            tell_lost(reason)

    def _plan(self, lease: TaskLease) -> None:
        delay = (lease.tenure.wake_us - elapsed_us()) / _SECOND
        lease.end = asyncio.get_running_loop().call_later(delay, self._wake, lease).cancel

    def _wake(self, lease: TaskLease) -> None:
        if lease.is_over or self.is_lost(lease):
            return
        if lease.is_forgotten:
            self._spawn(self.release(lease))
            return
        now = elapsed_us()
        if lease.tenure.next_us <= now:
            lease.tenure = lease.tenure.asked(now)
            if not lease.is_asking:
                lease.is_asking = True
                self._spawn(self._renew(lease, now))
        self._plan(lease)

    async def _renew(self, lease: TaskLease, sent_us: int) -> bool:
        try:
            ours = await lease.grip.renew()
        except UnavailableError:
            count("locks.unconfirmed")
            return False
        finally:
            lease.is_asking = False
        if not ours:
            self._lose(lease, _GONE)
        elif not self.is_lost(lease):
            lease.tenure = lease.tenure.renewed(sent_us)
        return ours


async def _given_back(grip: AsyncGrip, taking: asyncio.Task[bool] | None = None) -> bool:
    """Release, and never fail; after *taking*, if that succeeds."""
    try:
        if taking is not None:
            # One that was cancelled itself may have reached the store.
            with suppress(asyncio.CancelledError):
                if not await taking:
                    return False
        return await grip.release()
    except UnavailableError:
        tell_unreleased()
        return False

"""Keeps locks alive from threads: everything about a held lock but its store.

One thread for each `Keeper` looks at the clock, and asks no store: whatever hangs, `lost`
comes in time. Each renewal has a thread of its own, as it may hang; most locks are released
before their first. What there is to tell of a loss is told with no lock held: whoever hears
it may ask, or release.
"""

from __future__ import annotations

import random
import threading
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Call, Sleep, run
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import count
from socialflow_core.locks._core import ONCE, Tenure, acquiring, check_name, ttl_in_us
from socialflow_core.locks._interface import LockTakenError

from .lease import Grip, Lease, elapsed_us, tell_lost, tell_unreleased

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from types import TracebackType

    from socialflow_core.locks._interface import Tries

__all__ = ["Keeper", "ThreadHeld"]

ThreadLease: TypeAlias = Lease[Grip, threading.Event]

_SECOND = 1_000_000
_LINGER = 5.0  # seconds without a lock, after which the thread ends
_GONE = "the store does not know it any more: it ran out, or was taken away"
_SILENT = "its ttl could have passed without a confirmed renewal"


class ThreadHeld:
    """See `Held`."""

    __slots__ = ("_keeper", "_lease")

    def __init__(self, keeper: Keeper, lease: ThreadLease) -> None:
        self._keeper = keeper
        self._lease = lease

    @property
    def fence(self) -> int:
        """See `Held.fence`."""
        return self._lease.grip.fence

    @property
    def lost(self) -> threading.Event:
        """See `Held.lost`."""
        return self._lease.lost

    @property
    def is_lost(self) -> bool:
        """See `Held.is_lost`."""
        return self._keeper.is_lost(self._lease)

    def release(self) -> bool:
        """See `Held.release`."""
        return self._keeper.release(self._lease)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<ThreadHeld fence={self.fence}{' lost' if self._lease.lost.is_set() else ''}>"

    def __del__(self) -> None:
        # It may run in the midst of anything, so it only leaves word; the keeper releases.
        if not (self._lease.is_over or self._lease.lost.is_set()):
            self._lease.is_forgotten = True
            warnings.warn(f"unreleased {self!r}", ResourceWarning, source=self, stacklevel=2)


class Keeper:
    """Takes locks and keeps them.

    Args:
        grip: Begins a claim to a lock of that name, for that many microseconds.
        lasting: Whether the store keeps a lock as long as this process is there.
    """

    def __init__(self, grip: Callable[[str, int], Grip], *, lasting: bool = False) -> None:
        self._grip = grip
        self._lasting = lasting
        self._begin()
        renew_in_forks(self, Keeper._begin_in_child)

    def _begin(self) -> None:
        # Reentrant, for a signal's handler may release in the midst of anything.
        self._changed = threading.Condition(threading.RLock())
        self._untold: list[str] = []
        self._leases: set[ThreadLease] = set()
        self._thread: threading.Thread | None = None
        self._planned_us = 0

    def _begin_in_child(self) -> None:
        for lease in self._leases:
            lease.is_over = True
            lease.lost = threading.Event()  # somebody may have been about to set the other one
            lease.lost.set()
        self._begin()

    def lock(self, name: str, ttl: timedelta, tries: Tries) -> ThreadHeld:
        """See `Locks.lock`."""
        ttl_us = ttl_in_us(ttl)
        grip = self._grip(check_name(name), ttl_us)
        sent_us = 0

        def take() -> bool:
            nonlocal sent_us
            sent_us = elapsed_us()
            return grip.take()

        def perform(effect: Call[Any] | Sleep) -> object:
            if isinstance(effect, Call):
                return effect.function()
            time.sleep(effect.duration.total_seconds())
            return None

        try:
            run(acquiring(name, tries, Call(take), random.random), perform)  # noqa: S311 -- a wait is no secret
            return self._hold(grip, Tenure.begin(ttl_us, sent_us, lasting=self._lasting))
        except LockTakenError:
            count("locks.refused")
            raise
        except Exception:
            raise
        except BaseException:  # Ctrl-C: it may be taken, and nobody would know
            _given_back(grip)
            raise

    def try_lock(self, name: str, ttl: timedelta) -> ThreadHeld | None:
        """See `Locks.try_lock`."""
        try:
            return self.lock(name, ttl, ONCE)
        except LockTakenError:
            return None

    def _hold(self, grip: Grip, tenure: Tenure) -> ThreadHeld:
        lease = Lease(grip, tenure, threading.Event())
        if tenure.is_over(elapsed_us()):  # the answer took longer than the lock lasts
            _given_back(grip)
            raise UnavailableError("the lock store", sent=True)
        try:
            self._keep(lease)
            count("locks.acquired")
            return ThreadHeld(self, lease)
        except BaseException as error:
            with self._changed:
                lease.is_over = True
                self._leases.discard(lease)
            if not isinstance(error, RuntimeError):
                raise
            _given_back(grip)
            raise UnavailableError("a thread that renews locks", sent=True) from error

    def _keep(self, lease: ThreadLease) -> None:
        with self._changed:
            self._leases.add(lease)
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="locks", daemon=True)
                thread.start()
                self._thread = thread
            elif lease.tenure.wake_us < self._planned_us:
                self._changed.notify()

    def is_lost(self, lease: ThreadLease) -> bool:
        """See `Held.is_lost`."""
        if lease.lost.is_set() or lease.is_over:
            return lease.lost.is_set()
        if not lease.tenure.is_over(elapsed_us()):
            return False
        with self._changed:
            lost = self._lose_if_over(lease)
        self._tell()
        return lost

    def release(self, lease: ThreadLease) -> bool:
        """See `Held.release`."""
        with self._changed:
            if lease.is_over:
                return False
            held = not self._lose_if_over(lease)
            lease.is_over = True
            self._leases.discard(lease)
        self._tell()
        return _given_back(lease.grip) and held

    def _lose_if_over(self, lease: ThreadLease) -> bool:
        if not lease.lost.is_set() and lease.tenure.is_over(elapsed_us()):
            self._lose(lease, _SILENT)
        return lease.lost.is_set()

    def _lose(self, lease: ThreadLease, reason: str) -> None:
        self._leases.discard(lease)
        if not (lease.is_over or lease.lost.is_set()):
            lease.lost.set()
            self._untold.append(reason)

    def _tell(self) -> None:
        while self._untold:
            with suppress(IndexError):  # another thread tells it
                tell_lost(self._untold.pop())

    def _watch(self) -> None:
        while (due := self._due()) is not None:
            self._tell()
            for lease in due:
                renewal = threading.Thread(
                    target=self._renew, args=(lease,), name="locks-renewal", daemon=True
                )
                try:
                    renewal.start()
                except RuntimeError:  # there are too many: once more, in a third of the pause
                    count("locks.unconfirmed")
                    with self._changed:
                        lease.is_asking = False

    def _due(self) -> list[ThreadLease] | None:
        """Wait until locks are to be renewed, and answer which; None if there is no lock."""
        with self._changed:
            while True:
                now = elapsed_us()
                for lease in [*self._leases]:
                    self._lose_if_over(lease)
                due = [each for each in self._leases if each.tenure.next_us <= now]
                for lease in due:
                    lease.tenure = lease.tenure.asked(now)
                due = [lease for lease in due if not lease.is_asking]
                if due or self._untold:
                    for lease in due:
                        lease.is_asking = True
                    return due
                if self._leases:
                    self._planned_us = min(lease.tenure.wake_us for lease in self._leases)
                    self._changed.wait((self._planned_us - now) / _SECOND)
                else:
                    self._planned_us = now + 10**15  # whatever comes is sooner
                    if not self._changed.wait(_LINGER) and not self._leases:
                        self._thread = None
                        return None

    def _renew(self, lease: ThreadLease) -> None:
        if lease.is_forgotten:
            self.release(lease)
            return
        sent_us, ours = elapsed_us(), None
        try:
            ours = lease.grip.renew()
        except UnavailableError:
            count("locks.unconfirmed")
        finally:
            with self._changed:
                lease.is_asking = False
                if ours is False:
                    self._lose(lease, _GONE)
                elif ours and not self._lose_if_over(lease):
                    lease.tenure = lease.tenure.renewed(sent_us)
                self._changed.notify()
            self._tell()


def _given_back(grip: Grip) -> bool:
    try:
        return grip.release()
    except UnavailableError:
        tell_unreleased()
        return False

"""What is known of one held lock, for the handle and for whoever keeps it alive."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from socialflow_core._kit.observe import Fact, count, fact

if TYPE_CHECKING:
    from collections.abc import Callable

    from socialflow_core.locks._core import Tenure

__all__ = ["AsyncGrip", "Grip", "Lease", "elapsed_us", "tell_lost", "tell_unreleased"]

GripT = TypeVar("GripT")
EventT = TypeVar("EventT")

if sys.platform == "linux":

    def elapsed_us() -> int:
        """Microseconds by a clock that never jumps, and goes on while the machine sleeps."""
        # The plain monotonic clock of Linux stands still then, and the store's does not.
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

else:

    def elapsed_us() -> int:
        """Microseconds by a clock that never jumps."""
        return time.monotonic_ns() // 1000


class Grip(Protocol):
    """One claim to one lock, at its store. Raises `UnavailableError` if that does not answer."""

    @property
    def fence(self) -> int:
        """The number that came with the lock, once it is taken."""
        ...

    def take(self) -> bool:
        """Try to get it; trying again after an answer that was lost is safe."""
        ...

    def renew(self) -> bool:
        """Have it for another ttl; False if it is not ours any more."""
        ...

    def release(self) -> bool:
        """Give it back; False if it is not ours any more."""
        ...


class AsyncGrip(Protocol):
    """`Grip`, awaited."""

    @property
    def fence(self) -> int:
        """See `Grip.fence`."""
        ...

    async def take(self) -> bool:
        """See `Grip.take`."""
        ...

    async def renew(self) -> bool:
        """See `Grip.renew`."""
        ...

    async def release(self) -> bool:
        """See `Grip.release`."""
        ...


def _nothing() -> None:
    return None


class Lease(Generic[GripT, EventT]):
    """The state of one held lock; who changes it sees to it that nobody else does.

    Attributes:
        grip: The claim at the store.
        tenure: How long it can be counted on.
        lost: Set when it can no longer be counted on, for good.
        is_over: Whether it was released, or belongs to the parent of this process.
        is_forgotten: Whether its handle is gone and it was not released.
        is_asking: Whether a renewal is under way.
        end: Ends what waits for the next renewal.
    """

    __slots__ = ("end", "grip", "is_asking", "is_forgotten", "is_over", "lost", "tenure")

    def __init__(self, grip: GripT, tenure: Tenure, lost: EventT) -> None:
        self.grip = grip
        self.tenure = tenure
        self.lost = lost
        self.is_over = False
        self.is_forgotten = False
        self.is_asking = False
        self.end: Callable[[], object] = _nothing


def tell_lost(reason: str) -> None:
    """Tell that a lock was lost; without its name, which may say too much."""
    count("locks.lost")
    fact(Fact(block="locks", state="degraded", name="lock", reason=reason))


def tell_unreleased() -> None:
    """Tell that the store could not be told of a release."""
    reason = "the store is away: a lock could not be released, and ends with its ttl"
    fact(Fact(block="locks", state="degraded", name="lock", reason=reason))

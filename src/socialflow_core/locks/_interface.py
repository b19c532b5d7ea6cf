"""What a lock promises: values, protocols and errors, no behaviour.

```
CoreError
├── LockTakenError      somebody else holds it; `name` and `tries` say what was tried
└── UnavailableError    the store did not answer
```

Bad arguments raise `ValueError` before the store is asked.

A lock that can end while its holder sleeps proves nothing by itself: a process can stop for
longer than *ttl* between looking and writing. What is written under a lock should carry its
`fence`, and whoever takes it should refuse a number below one that it has seen.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from socialflow_core._kit.errors import CoreError

__all__ = [
    "TRIES",
    "TTL",
    "AsyncHeld",
    "AsyncLocks",
    "AsyncSignal",
    "Held",
    "LockTakenError",
    "Locks",
    "Signal",
    "Tries",
]

TTL = timedelta(seconds=30)
"""How long a lock outlives a holder that died, unless said otherwise."""

_ZERO = timedelta(0)
_MOST_TRIES = 10_000


class LockTakenError(CoreError):
    """Somebody else holds the lock, and held it at every try.

    Attributes:
        name: The lock.
        tries: How often it was tried.
    """

    def __init__(self, name: str, *, tries: int) -> None:
        super().__init__(f"the lock is taken; tried {tries} times")
        self.name = name
        self.tries = tries


@dataclass(frozen=True, slots=True)
class Tries:
    """How often to try, and how long to wait between two tries: *wait*, give or take *spread*.

    The spread keeps those who wait from asking all at once.

    Raises:
        ValueError: If *count* is not a whole number from 1 to 10,000, or a duration is
            negative, or *spread* is longer than *wait*.
    """

    count: int = 3
    wait: timedelta = field(default=timedelta(milliseconds=200), kw_only=True)
    spread: timedelta = field(default=timedelta(milliseconds=200), kw_only=True)

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= _MOST_TRIES:
            raise ValueError("count must be a whole number from 1 to 10,000")
        if not _ZERO <= self.spread <= self.wait:
            raise ValueError("wait must not be negative, nor spread, which is at most wait")


TRIES = Tries()
"""Three tries, 200 ms apart, give or take 200 ms."""


class Signal(Protocol):
    """Something that happens once and stays so; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether it has happened."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it happens, at most *timeout* seconds; answer whether it has."""
        ...


class AsyncSignal(Protocol):
    """`Signal`, awaited; `asyncio.Event` is one."""

    def is_set(self) -> bool:
        """See `Signal.is_set`."""
        ...

    async def wait(self) -> bool:
        """Wait until it happens."""
        ...


class Held(AbstractContextManager["Held"], Protocol):
    """A lock that is held until it is released, or lost. As a context it releases itself.

    It is kept alive in the background. One that is forgotten, neither released nor lost,
    warns (`ResourceWarning`) and is released when it would be renewed next. A forked child does
    not hold what its parent holds: there it is lost, and releasing it does nothing.
    """

    @property
    def fence(self) -> int:
        """A number above that of everyone who held this lock before; below 2**53."""
        ...

    @property
    def lost(self) -> Signal:
        """Happens when the lock can no longer be counted on; it never does after a release."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether the lock can no longer be counted on, by the clock of this very moment.

        Right also where `lost` comes late: in a process that was stopped and goes on.
        """
        ...

    def release(self) -> bool:
        """Let others have it; answers whether it was held until now, and is free.

        False: it was lost or released before, or the store does not answer; then it ends
        with its *ttl*. What somebody else holds by now is left alone.
        """
        ...


class AsyncHeld(AbstractAsyncContextManager["AsyncHeld"], Protocol):
    """`Held`, awaited; it belongs to the event loop that took it."""

    @property
    def fence(self) -> int:
        """See `Held.fence`."""
        ...

    @property
    def lost(self) -> AsyncSignal:
        """See `Held.lost`."""
        ...

    @property
    def is_lost(self) -> bool:
        """See `Held.is_lost`."""
        ...

    async def release(self) -> bool:
        """See `Held.release`. Cancelling it does not stop the release."""
        ...


class Locks(Protocol):
    """Locks by name. Thread-safe and fork-safe; not reentrant: nobody gets a lock twice.

    *name* is 1 to 200 characters. *ttl*, from 100 ms to a day, is how long the lock outlives
    a holder that died; while the holder lives it is renewed every third of it.

    Every method raises:
        ValueError: If the name or the ttl makes no sense.
        UnavailableError: If the store does not answer. The lock may have been taken then,
            by nobody; it ends with its ttl.
    """

    def lock(self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES) -> Held:
        """Take the lock; for a `with` statement.

        Raises:
            LockTakenError: If somebody else held it at every try.
        """
        ...

    def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> Held | None:
        """Take the lock if it is free now; None if it is not."""
        ...


class AsyncLocks(Protocol):
    """`Locks`, awaited."""

    def lock(
        self,
        name: str,
        /,
        *,
        ttl: timedelta = TTL,
        tries: Tries = TRIES,
    ) -> AbstractAsyncContextManager[AsyncHeld]:
        """See `Locks.lock`; for an `async with` statement, which is what takes it."""
        ...

    async def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> AsyncHeld | None:
        """See `Locks.try_lock`. If it is cancelled, the lock is not kept."""
        ...

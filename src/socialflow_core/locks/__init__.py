"""One at a time: in this process, on this machine, or across all of them.

>>> from socialflow_core.locks.memory import MemoryLocks
>>> locks = MemoryLocks()
>>> with locks.lock("nightly-report") as held:
...     held.is_lost, locks.try_lock("nightly-report")
(False, None)
"""

from socialflow_core._kit.errors import UnavailableError

from ._interface import (
    TRIES,
    TTL,
    AsyncHeld,
    AsyncLocks,
    AsyncSignal,
    Held,
    Locks,
    LockTakenError,
    Signal,
    Tries,
)

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
    "UnavailableError",
]

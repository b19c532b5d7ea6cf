"""When to try again, when to renew, when a lock counts as lost, and what names may be.

Times are microseconds of a clock that never jumps and goes on while the machine sleeps,
from any origin; only fences are drawn from the wall clock.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Call, Flow, Sleep

from ._interface import LockTakenError, Tries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = [
    "ONCE",
    "Attempts",
    "Tenure",
    "acquiring",
    "check_name",
    "file_name",
    "next_fence",
    "ttl_in_us",
]

Attempts: TypeAlias = "Flow[Call[bool | Awaitable[bool]] | Sleep, None]"

ONCE = Tries(1)

_US = timedelta(microseconds=1)
_SHORTEST = timedelta(milliseconds=100)
_LONGEST = timedelta(days=1)
_MOST_NAME = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
# Clocks of two machines do not run alike. Redlock's allowance (redis.io, "Distributed locks
# with Redis"): one hundredth of the ttl, and two milliseconds for what expiring rounds.
_DRIFT_PARTS = 100
_DRIFT_US = 2_000
_NEVER = 2**62


def check_name(name: str) -> str:
    """Answer *name*, if it can be one.

    Raises:
        ValueError: If it is not a text of 1 to 200 characters that UTF-8 can say.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= _MOST_NAME:
        raise ValueError("name must be a text of 1 to 200 characters")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise ValueError("name must be a text that UTF-8 can say")
    return name


def ttl_in_us(ttl: timedelta) -> int:
    """*ttl* in microseconds.

    Raises:
        ValueError: If it is not from 100 milliseconds to a day.
    """
    if not isinstance(ttl, timedelta) or not _SHORTEST <= ttl <= _LONGEST:
        raise ValueError("ttl must be a timedelta from 100 milliseconds to a day")
    return ttl // _US


def file_name(name: str) -> str:
    """The name of the file for the lock *name*: readable, and never that of another lock.

    >>> file_name("org/7: report")
    'org-7-report-a18de0666582f4c2d30f04a521f2f522.lock'
    """
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{_UNSAFE.sub('-', name)[:60].lstrip('.')}-{digest}.lock"


def next_fence(last: int, now_us: int) -> int:
    """The number after *last*; also after every earlier one, if *last* was forgotten.

    The wall clock is its floor, which has gone on when a store comes back empty.
    """
    return max(last + 1, now_us)


def acquiring(
    name: str, tries: Tries, take: Call[bool | Awaitable[bool]], chance: Callable[[], float]
) -> Attempts:
    """Try until *take* answers True.

    A try that finds the store away counts as one, for the next may find it back.

    Args:
        name: The lock, for the error.
        tries: How often, and how long to wait between.
        take: One try.
        chance: Answers a number from 0 to 1, for the spread of the waits.

    Raises:
        LockTakenError: If the last try found the lock taken.
        UnavailableError: If the last try found the store away.
    """
    away: UnavailableError | None = None
    for number in range(tries.count):
        if number:
            yield Sleep(tries.wait + (2 * chance() - 1) * tries.spread)
        try:
            taken = yield take
        except UnavailableError as error:
            away = error
            continue
        if taken:
            return
        away = None
    raise away or LockTakenError(name, tries=tries.count)


@dataclass(frozen=True, slots=True)
class Tenure:
    """How long a lock can be counted on, and when to see to it.

    Attributes:
        ttl_us: How long the store keeps the lock after it was asked to.
        since_us: When the last request that the store confirmed was *sent*: the store heard
            it later, so the lock ends there after it ends here.
        next_us: When to ask again.
        lasting: Whether the store keeps the lock as long as the holder's process is there,
            so that silence ends nothing.
    """

    ttl_us: int
    since_us: int
    next_us: int
    lasting: bool = False

    @classmethod
    def begin(cls, ttl_us: int, sent_us: int, *, lasting: bool = False) -> Tenure:
        """Begin with the request that was *sent* then, and confirmed."""
        return cls(ttl_us, sent_us, sent_us + ttl_us // 3, lasting)

    @property
    def ends_us(self) -> int:
        """The moment from which somebody else could hold the lock."""
        if self.lasting:
            return _NEVER
        return self.since_us + self.ttl_us - self.ttl_us // _DRIFT_PARTS - _DRIFT_US

    @property
    def wake_us(self) -> int:
        """When there is something to do next."""
        return min(self.next_us, self.ends_us)

    def is_over(self, now_us: int) -> bool:
        """Whether somebody else could hold the lock now."""
        return now_us >= self.ends_us

    def asked(self, now_us: int) -> Tenure:
        """A renewal is sent now; unless it is confirmed, the next follows in a ninth of the ttl."""
        return replace(self, next_us=now_us + self.ttl_us // 9)

    def renewed(self, sent_us: int) -> Tenure:
        """The store confirmed the renewal that was sent then; an older one changes nothing."""
        return Tenure.begin(self.ttl_us, max(self.since_us, sent_us), lasting=self.lasting)

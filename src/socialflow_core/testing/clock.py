"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["ManualClock"]

_US = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ManualClock:
    """Answers microseconds since 1970-01-01 UTC, as every block's `clock` argument does.

    >>> clock = ManualClock(1_800_000_000_000_000)
    >>> clock.advance(timedelta(seconds=1))
    >>> clock()
    1800000001000000
    >>> clock.set(datetime(2030, 1, 1, tzinfo=UTC))
    >>> clock()
    1893456000000000
    """

    def __init__(self, now_us: int = 1_800_000_000_000_000) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        """The time, as it was set."""
        return self.now_us

    def advance(self, by: timedelta) -> None:
        """Go on, or back if *by* is negative."""
        self.now_us += by // _US

    def set(self, moment: datetime) -> None:
        """Jump to *moment*, which has to know its time zone."""
        self.now_us = (moment - _EPOCH) // _US

"""The one place that reads the machine's clock.

Pure code takes time as an argument; adapters take a `Clock` and pass it this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Clock", "unix_us"]

Clock: TypeAlias = Callable[[], int]
"""Answers the time in whole microseconds since 1970-01-01 UTC."""


def unix_us() -> int:
    """Microseconds since 1970-01-01 UTC, by the machine's wall clock."""
    return time.time_ns() // 1000

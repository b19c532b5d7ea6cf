"""Wait for something to become true: no longer than needed, and never for ever."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["wait_until"]

_PAUSE = 0.005


def wait_until(
    condition: Callable[[], bool], what: str, *, within: timedelta = timedelta(seconds=10)
) -> None:
    """Ask *condition* again and again until it holds; *what* names it in the error.

    >>> from socialflow_core.testing.poll import wait_until
    >>> wait_until(lambda: True, "the sun is up")

    Raises:
        TimeoutError: If it does not hold *within* that time.
    """
    deadline = time.monotonic() + within.total_seconds()
    while not condition():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {within.total_seconds():g} s in vain: {what}")
        time.sleep(_PAUSE)

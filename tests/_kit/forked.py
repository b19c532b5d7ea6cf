"""Work that is done in a forked child, apart from whatever needs an extra."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(work: Callable[[], bool]) -> bool:
    """Whether *work* is true in a forked child, which ends then."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads do not survive a fork is the point
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

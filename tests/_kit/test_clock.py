"""The machine's clock."""

import time

from socialflow_core._kit.clock import unix_us


def test_it_counts_microseconds_of_unix_time() -> None:
    """It lies between two readings of the wall clock taken around it."""
    before = time.time_ns() // 1000
    now = unix_us()
    assert before <= now <= time.time_ns() // 1000

"""A clock in the test's hands."""

from datetime import UTC, datetime, timedelta

import pytest

from socialflow_core.testing.clock import ManualClock


def test_it_stands_still_until_it_is_told() -> None:
    """It goes on, back, and to a moment, to the microsecond."""
    clock = ManualClock(5)
    clock.advance(timedelta(seconds=1))
    assert clock() == clock() == 1_000_005
    clock.advance(-timedelta(microseconds=6))
    assert clock() == 999_999
    clock.set(datetime(2027, 1, 15, 8, tzinfo=UTC))
    assert clock() == 1_800_000_000_000_000


def test_a_moment_without_a_zone_is_refused() -> None:
    """Nobody has to guess which one was meant."""
    with pytest.raises(TypeError):
        ManualClock().set(datetime(2027, 1, 15, 8))  # noqa: DTZ001 -- the mistake under test

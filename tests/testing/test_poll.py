"""Waiting ends when it should, and never later."""

from datetime import timedelta

import pytest

from socialflow_core.testing.poll import wait_until


def test_it_ends_as_soon_as_the_condition_holds() -> None:
    """The condition is asked until it holds, and no more after that."""
    answers = iter([False, False, True])
    wait_until(lambda: next(answers), "the third answer")
    assert next(answers, None) is None


def test_it_gives_up_and_says_what_for() -> None:
    """What never holds is an error that names it."""
    with pytest.raises(TimeoutError, match=r"0\.01 s in vain: the moon is blue"):
        wait_until(lambda: False, "the moon is blue", within=timedelta(milliseconds=10))


def test_a_condition_that_holds_needs_no_time() -> None:
    """No time to wait is enough for what holds already."""
    wait_until(lambda: True, "the sun is up", within=timedelta(0))

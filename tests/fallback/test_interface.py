"""What the breaker's values accept, and what its error tells."""

import pickle
from datetime import timedelta

import pytest

from socialflow_core._kit.errors import CoreError
from socialflow_core.fallback import BreakerPolicy, CircuitOpenError

NOTHING = timedelta(0)


def test_the_defaults_are_a_valid_policy() -> None:
    """A policy needs no argument."""
    assert BreakerPolicy() == BreakerPolicy(error_percent=50, minimum_calls=5)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"error_percent": 0}, "error_percent must be from 1 to 100"),
        ({"error_percent": 101}, "error_percent must be from 1 to 100"),
        ({"minimum_calls": 0}, "minimum_calls must be at least 1"),
        ({"consecutive_failures": 0}, "consecutive_failures must be at least 1"),
        ({"successes_to_close": -1}, "successes_to_close must be at least 1"),
        ({"window": timedelta(microseconds=9)}, "window must be at least 10 microseconds"),
        ({"cooldown": NOTHING}, "cooldown must be at least a microsecond"),
    ],
)
def test_a_policy_checks_itself(wrong: dict[str, object], complaint: str) -> None:
    """What makes no sense is refused when it is written, by name."""
    with pytest.raises(ValueError, match=complaint):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]  # -- the mistake under test


@pytest.mark.parametrize("wait", [None, timedelta(seconds=3)])
def test_the_error_keeps_its_data(wait: timedelta | None) -> None:
    """Name and wait are there to act on, also on the other side of a process pool."""
    error = CircuitOpenError("translation", wait)
    assert isinstance(error, CoreError)
    again = pickle.loads(pickle.dumps(error))
    assert (again.name, again.retry_after, str(again)) == ("translation", wait, str(error))

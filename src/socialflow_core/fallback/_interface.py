"""What a circuit breaker promises: its policy, its states and its errors.

```
CoreError
└── CircuitOpenError    the call was not made, because the service is known to be down
```
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from socialflow_core._kit.errors import CoreError

__all__ = ["BreakerPolicy", "CircuitOpenError", "CircuitState"]

_US = timedelta(microseconds=1)


class CircuitState(Enum):
    """Where a circuit stands; `socialflow_core.fallback.TRANSITIONS` says what leads where."""

    CLOSED = "closed"
    """Calls are made and counted."""
    OPEN = "open"
    """Calls are refused until the cooldown is over."""
    HALF_OPEN = "half-open"
    """One call is made to see whether the service is back; the others are refused."""
    FORCED_OPEN = "forced-open"
    """Calls are refused until somebody closes the circuit."""


class CircuitOpenError(CoreError):
    """The call was not made: the service failed lately and is being left alone.

    Attributes:
        name: The breaker's name.
        retry_after: How long until a call will be let through; None if that is up to
            whoever forced the circuit open.
    """

    def __init__(self, name: str, retry_after: timedelta | None) -> None:
        super().__init__(f"the circuit {name} is open")
        self.name = name
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a circuit opens, and how it closes again.

    It opens when more than *error_percent* of at least *minimum_calls* calls failed
    within *window* (kept in ten buckets), or when *consecutive_failures* calls failed
    in a row; the latter is off if None. After *cooldown* one call probes;
    *successes_to_close* probes in a row close the circuit, one failure opens it again.

    Raises:
        ValueError: If a number or duration is not positive, or *error_percent* is above 100.
    """

    error_percent: int = 50
    minimum_calls: int = 5
    window: timedelta = timedelta(seconds=10)
    cooldown: timedelta = timedelta(seconds=30)
    consecutive_failures: int | None = None
    successes_to_close: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.error_percent <= 100:  # noqa: PLR2004 -- percent
            raise ValueError("error_percent must be from 1 to 100")
        for name in ("minimum_calls", "consecutive_failures", "successes_to_close"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.window < 10 * _US:
            raise ValueError("window must be at least 10 microseconds: it has ten buckets")
        if self.cooldown < _US:
            raise ValueError("cooldown must be at least a microsecond")

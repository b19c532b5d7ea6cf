"""The circuit breaker as a state machine: pure, with the time as an argument.

Time is in microseconds of any clock that does not go backwards. Not thread-safe:
`socialflow_core.fallback.breaker` holds the lock and the clock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, NamedTuple, TypeAlias

from ._interface import BreakerPolicy, CircuitState

__all__ = ["TRANSITIONS", "Outcome", "StateMachine", "Ticket"]

_US = timedelta(microseconds=1)
_BUCKETS = 10

Outcome: TypeAlias = Literal["success", "failure", "ignored"]

_CLOSED, _OPEN = CircuitState.CLOSED, CircuitState.OPEN
_HALF_OPEN, _FORCED = CircuitState.HALF_OPEN, CircuitState.FORCED_OPEN

# What may follow what, and why. `StateMachine` takes no other step.
TRANSITIONS: dict[CircuitState, dict[str, CircuitState]] = {
    _CLOSED: {"too many failures": _OPEN, "forced": _FORCED},
    _OPEN: {"cooldown over": _HALF_OPEN, "forced": _FORCED, "closed by hand": _CLOSED},
    _HALF_OPEN: {
        "probe succeeded": _CLOSED,
        "probe failed": _OPEN,
        "forced": _FORCED,
        "closed by hand": _CLOSED,
    },
    _FORCED: {"closed by hand": _CLOSED},
}


class Ticket(NamedTuple):
    """The answer to a call that asks to be made.

    Attributes:
        allowed: Whether to make it. If so, settle the ticket with its outcome.
        era: Which stay in a state, or which probe; outcomes of an earlier one do not count.
        retry_us: Until a call will be let through; None if a person has to decide that.
    """

    allowed: bool
    era: int
    retry_us: int | None = 0


class StateMachine:
    """One circuit: `admit` before a call, `settle` after it."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._cooldown = policy.cooldown // _US
        self._bucket = policy.window // _US // _BUCKETS
        self.state = _CLOSED
        self._era = 0
        self._calls = [0] * _BUCKETS
        self._failed = [0] * _BUCKETS
        self._newest = 0  # the number, since the clock's zero, of the newest bucket
        self._in_a_row = 0
        self._until = 0  # OPEN: end of the cooldown; HALF_OPEN: end of the probe's turn
        self._probed = 0  # successful probes so far
        self._probing = False

    def admit(self, now: int) -> Ticket:
        """May a call be made? In half-open state one at a time may, as a probe."""
        if self.state is _CLOSED:
            return Ticket(allowed=True, era=self._era)
        if self.state is _FORCED:
            return Ticket(allowed=False, era=self._era, retry_us=None)
        if self.state is _OPEN and now >= self._until:
            self._enter(_HALF_OPEN)
            self._probing, self._probed = False, 0
        # A probe that never reports (its thread died) loses its turn after a cooldown, and
        # its say: each has an era of its own.
        if self.state is _HALF_OPEN and (not self._probing or now >= self._until):
            self._era += 1
            self._probing, self._until = True, now + self._cooldown
            return Ticket(allowed=True, era=self._era)
        return Ticket(allowed=False, era=self._era, retry_us=self._until - now)

    def settle(self, ticket: Ticket, outcome: Outcome, now: int) -> None:
        """Report how an admitted call ended; "ignored" says nothing about the service."""
        if not ticket.allowed or ticket.era != self._era:
            return
        if self.state is _HALF_OPEN:
            self._settle_probe(outcome, now)
        elif outcome != "ignored":
            self._count(failed=outcome == "failure", now=now)

    def force_open(self) -> None:
        """Refuse every call until `close` or `reset`."""
        self._enter(_FORCED)

    def close(self) -> None:
        """Let calls through again, and forget what failed."""
        self._enter(_CLOSED)
        self._calls, self._failed = [0] * _BUCKETS, [0] * _BUCKETS
        self._in_a_row = 0

    def reset(self) -> None:
        """Forget what failed: close, unless the circuit was forced open."""
        if self.state is not _FORCED:
            self.close()

    def retry_us(self, now: int) -> int | None:
        """Microseconds until a call will be let through; None if a person has to decide."""
        if self.state is _FORCED:
            return None
        waits = self.state is _OPEN or (self.state is _HALF_OPEN and self._probing)
        return max(0, self._until - now) if waits else 0

    def rates(self, now: int) -> tuple[int, int]:
        """Calls and failures within the window that ends now."""
        self._roll(now)
        return sum(self._calls), sum(self._failed)

    def _enter(self, state: CircuitState) -> None:
        self.state = state
        self._era += 1

    def _open(self, now: int) -> None:
        self._enter(_OPEN)
        self._until = now + self._cooldown

    def _settle_probe(self, outcome: Outcome, now: int) -> None:
        self._probing = False
        if outcome == "failure":
            self._open(now)
        elif outcome == "success":
            self._probed += 1
            if self._probed >= self._policy.successes_to_close:
                self.close()

    def _count(self, *, failed: bool, now: int) -> None:
        self._roll(now)
        place = self._newest % _BUCKETS
        self._calls[place] += 1
        if not failed:
            self._in_a_row = 0
            return
        self._failed[place] += 1
        self._in_a_row += 1
        if self._is_too_much():
            self._open(now)

    def _is_too_much(self) -> bool:
        policy, calls = self._policy, sum(self._calls)
        if policy.consecutive_failures and self._in_a_row >= policy.consecutive_failures:
            return True
        return calls >= policy.minimum_calls and (
            100 * sum(self._failed) > policy.error_percent * calls
        )

    def _roll(self, now: int) -> None:
        """Empty the buckets that time has passed by since the newest one."""
        number = now // self._bucket
        for passed in range(self._newest + 1, min(number, self._newest + _BUCKETS) + 1):
            self._calls[passed % _BUCKETS] = self._failed[passed % _BUCKETS] = 0
        self._newest = max(self._newest, number)

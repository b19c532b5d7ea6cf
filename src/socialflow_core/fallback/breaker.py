"""A circuit breaker for this process: thread-safe, for sync and async calls alike."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import Fact, fact

from ._breaker import StateMachine
from ._interface import BreakerPolicy, CircuitOpenError, CircuitState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ._breaker import Outcome, Ticket

__all__ = ["Breaker"]

_US = timedelta(microseconds=1)
P = ParamSpec("P")
ResultT = TypeVar("ResultT")


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def _always(_: Exception) -> bool:
    return True


class Breaker:
    """Leaves a failing service alone for a while, then asks it once whether it is back.

    The lock is held around the state, never around a call.

    Args:
        name: Names it in errors and reports.
        policy: When it opens and closes.
        counts: Whether an exception says that the service is down. One that does not
            (a refused argument, say) is neither a success nor a failure.
        clock: Microseconds of a clock that does not go backwards.
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy | None = None,
        *,
        counts: Callable[[Exception], bool] = _always,
        clock: Callable[[], int] = _monotonic_us,
    ) -> None:
        self.name = name
        self._machine = StateMachine(policy or BreakerPolicy())
        self._counts = counts
        self._clock = clock
        self._renew_lock()
        renew_in_forks(self, Breaker._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = Lock()

    @property
    def state(self) -> CircuitState:
        """Where the circuit stands; a cooldown that is over shows at the next call."""
        return self._machine.state

    @property
    def retry_after(self) -> timedelta | None:
        """How long until a call will be let through; None if it was forced open."""
        with self._lock:
            wait = self._machine.retry_us(self._clock())
        return None if wait is None else wait * _US

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Surround a call, sync or async: `with breaker.guard(): await ask()`.

        Raises:
            CircuitOpenError: If the call is not to be made now.
        """
        ticket = self._admit()
        outcome: Outcome = "ignored"  # also for a cancellation, which says nothing
        try:
            yield
            outcome = "success"
        except Exception as error:
            outcome = "failure" if self._counts(error) else "ignored"
            raise
        finally:
            self._settle(ticket, outcome)

    def call(self, function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Call *function* under `guard`."""
        with self.guard():
            return function(*args, **kwargs)

    async def acall(
        self, function: Callable[P, Awaitable[ResultT]], *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """Await *function* under `guard`."""
        with self.guard():
            return await function(*args, **kwargs)

    def open(self) -> None:
        """Refuse every call until `close`."""
        self._change(self._machine.force_open)

    def close(self) -> None:
        """Let calls through again, and forget what failed."""
        self._change(self._machine.close)

    def reset(self) -> None:
        """Forget what failed: close the circuit, unless it was forced open."""
        self._change(self._machine.reset)

    def _admit(self) -> Ticket:
        with self._lock:
            ticket = self._machine.admit(self._clock())
        if not ticket.allowed:
            wait = ticket.retry_us
            raise CircuitOpenError(self.name, None if wait is None else wait * _US)
        return ticket

    def _settle(self, ticket: Ticket, outcome: Outcome) -> None:
        self._change(lambda: self._machine.settle(ticket, outcome, self._clock()))

    def _change(self, step: Callable[[], None]) -> None:
        with self._lock:
            was_closed = self._machine.state is CircuitState.CLOSED
            step()
            is_closed = self._machine.state is CircuitState.CLOSED
        if was_closed and not is_closed:
            fact(Fact(block="fallback", state="degraded", name=self.name, reason="circuit open"))
        elif is_closed and not was_closed:
            fact(Fact(block="fallback", state="recovered", name=self.name, reason="circuit closed"))

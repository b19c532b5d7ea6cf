"""Computations under way in this process, and who waits for them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from socialflow_core.cache._flow import Outcome

    from .table import Ticket

__all__ = ["AsyncFlight", "Flight", "Flights", "Here", "Landing", "Place", "computing", "waiting"]

Place: TypeAlias = tuple[str, int]
"""A key, and which codec reads it."""

Landing: TypeAlias = "Outcome | BaseException | None"
"""What a flight brings; None if it was broken off, and whoever waits has to ask again."""


class Flight:
    """One computation, for threads."""

    __slots__ = ("_event", "_landed", "landing", "ticket", "waits_for")

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.waits_for: list[AnyFlight] = []
        self.landing: Landing = None
        self._landed = False
        self._event: threading.Event | None = None

    def wait(self, lock: threading.Lock, limit: float | None) -> bool:
        """Wait until it has landed; False if that takes longer than *limit* seconds."""
        with lock:
            if self._landed:
                return True
            event = self._event
            if event is None:
                event = self._event = threading.Event()
        return event.wait(limit)

    def land(self, lock: threading.Lock, landing: Landing) -> None:
        """Wake whoever waits, and tell them; the first time counts."""
        with lock:
            if self._landed:
                return
            self.landing, self._landed = landing, True
            event = self._event
        if event is not None:
            event.set()


class Flights:
    """The computations of all threads, one for each key."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._flying: dict[Place, Flight] = {}

    def join(self, place: Place, flight: Flight) -> Flight:
        """The flight of *place*: *flight*, if there is none yet."""
        return self._flying.setdefault(place, flight)

    def land(self, place: Place, flight: Flight, landing: Landing) -> None:
        """It is over for all but who leads it: the next who asks begins another one."""
        if self._flying.get(place) is flight:
            del self._flying[place]
        flight.land(self.lock, landing)


class AsyncFlight:
    """One computation, for the tasks of one event loop.

    Attributes:
        has_landed: Whether it is over for whoever waits.
    """

    __slots__ = ("_future", "_landing", "has_landed", "ticket", "waits_for")

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self.waits_for: list[AnyFlight] = []
        self._future: asyncio.Future[None] | None = None  # made when somebody waits
        self._landing: Landing = None
        self.has_landed = False

    async def wait(self, limit: float | None) -> Landing:
        """What it brings.

        Raises:
            TimeoutError: If that takes longer than *limit* seconds.
        """
        if not self.has_landed:
            if self._future is None:
                self._future = asyncio.get_running_loop().create_future()
            # Who is cancelled here leaves the future to the others.
            await asyncio.wait((self._future,), timeout=limit)
        if not self.has_landed:
            raise TimeoutError
        return self._landing

    def land(self, landing: Landing) -> None:
        """Wake whoever waits, and tell them; the first time counts."""
        if self.has_landed:
            return
        self._landing, self.has_landed = landing, True
        if self._future is not None:
            self._future.set_result(None)


class Here:
    """What one event loop has under way."""

    def __init__(self) -> None:
        self.flights: dict[Place, AsyncFlight] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.releases: set[asyncio.Task[None]] = set()

    def land(self, place: Place, flight: AsyncFlight, landing: Landing) -> None:
        """It is over: the next who asks begins another one."""
        if self.flights.get(place) is flight:
            del self.flights[place]
        flight.land(landing)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run *work* in a task of its own."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self.tasks.discard)
        return task


AnyFlight: TypeAlias = Flight | AsyncFlight
_above: ContextVar[tuple[AnyFlight, ...]] = ContextVar("socialflow_core.cache.above", default=())


@contextmanager
def computing(flight: AnyFlight) -> Iterator[None]:
    """Inside, *flight* is being computed by this thread or task, or those that it starts."""
    token = _above.set((*_above.get(), flight))
    try:
        yield
    finally:
        _above.reset(token)


@contextmanager
def waiting(flight: AnyFlight, lock: AbstractContextManager[object]) -> Iterator[None]:
    """Inside, whoever computes here waits for *flight*; *lock* keeps other threads out.

    Raises:
        RuntimeError: If *flight* waits for what is being computed here, by whatever detour.
    """
    above = _above.get()
    if not above:
        yield
        return
    with lock:
        if _leads_to(flight, above):
            raise RuntimeError("compute asks for the key that it is to compute")
        for each in above:
            each.waits_for.append(flight)
    try:
        yield
    finally:
        with lock:
            for each in above:
                each.waits_for.remove(flight)


def _leads_to(flight: AnyFlight, ends: tuple[AnyFlight, ...]) -> bool:
    ahead, seen = [flight], set()
    while ahead:
        one = ahead.pop()
        if any(one is end for end in ends):
            return True
        if id(one) not in seen:
            seen.add(id(one))
            ahead += one.waits_for
    return False

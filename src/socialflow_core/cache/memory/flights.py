"""Computations under way in this process, and who waits for them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.cache._flow import Outcome

    from .table import Ticket

__all__ = ["AsyncFlight", "Flight", "Flights", "Landing", "Place", "computing", "refuse_circle"]

Place: TypeAlias = tuple[str, int]
"""A key, and which codec reads it."""

Landing: TypeAlias = "Outcome | BaseException | None"
"""What a flight brings; None if it was broken off, and whoever waits has to ask again."""


class Flight:
    """One computation, for threads."""

    __slots__ = ("_event", "_landed", "landing", "ticket")

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
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

    __slots__ = ("_future", "_landing", "has_landed", "ticket")

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
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


_above: ContextVar[tuple[object, ...]] = ContextVar("socialflow_core.cache.above", default=())


@contextmanager
def computing(flight: object) -> Iterator[None]:
    """Inside, *flight* is being computed by this thread or task, or those that it starts."""
    token = _above.set((*_above.get(), flight))
    try:
        yield
    finally:
        _above.reset(token)


def refuse_circle(flight: object) -> None:
    """Refuse to wait for what waits for us.

    Raises:
        RuntimeError: If *flight* is what is being computed here.
    """
    if any(flight is other for other in _above.get()):
        raise RuntimeError("compute asks for the key that it is to compute")

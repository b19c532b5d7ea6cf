"""Whether Redis answers: a circuit that one failure opens and a background probe closes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.fallback import CircuitState
from socialflow_core.fallback.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from datetime import timedelta

__all__ = ["AsyncWatch", "Watch", "away", "in_background"]

ResultT = TypeVar("ResultT")


def away(*, sent: bool | None) -> UnavailableError:
    """The one error of a link."""
    return UnavailableError("Redis", sent=sent)


def in_background(work: Callable[[], ResultT]) -> Future[ResultT]:
    """Start *work* on a daemon thread: a process that ends does not wait for Redis."""
    future: Future[ResultT] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- told to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="socialflow-redislink", daemon=True).start()
    return future


class Watch:
    """For threads.

    Args:
        probe: Answers whether the server is back; called on a thread of its own.
        interval: How long to wait before each probe.
    """

    on_recovered: Callable[[], None] | None = None

    def __init__(self, probe: Callable[[], bool], interval: timedelta) -> None:
        self._probe = probe
        self._interval = interval.total_seconds()
        self._breaker = Breaker("redis")
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._breaker.state is CircuitState.CLOSED

    @property
    def is_closed(self) -> bool:
        """Whether nobody watches any more."""
        return self._closed.is_set()

    def lose(self) -> None:
        """The server failed: stop asking and begin to probe, unless that is so already."""
        with self._lock:
            if not self.is_available or self.is_closed:
                return
            self._breaker.open()
        in_background(self._until_back)

    def close(self) -> None:
        """End probing."""
        self._closed.set()

    def _until_back(self) -> None:
        while not self._closed.wait(self._interval):
            if self._probe():
                self._breaker.close()
                if self.on_recovered is not None:
                    self.on_recovered()
                return


class AsyncWatch:
    """For the tasks of one event loop; see `Watch`."""

    on_recovered: Callable[[], Awaitable[None]] | None = None

    def __init__(self, probe: Callable[[], Awaitable[bool]], interval: timedelta) -> None:
        self._probe = probe
        self._interval = interval.total_seconds()
        self._breaker = Breaker("redis")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_available(self) -> bool:
        """See `Watch.is_available`."""
        return self._breaker.state is CircuitState.CLOSED

    def lose(self) -> None:
        """See `Watch.lose`."""
        if self.is_available:
            self._breaker.open()
            self.start(self._until_back())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* on the loop until it ends or `aclose` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """End probing and whatever else was started."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_back(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if await self._probe():
                self._breaker.close()
                if self.on_recovered is not None:
                    await self.on_recovered()
                return

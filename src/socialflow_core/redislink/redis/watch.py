"""Whether Redis answers: a circuit that one failure opens and a background probe closes."""

from __future__ import annotations

import asyncio
import logging
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
_LOG = logging.getLogger("socialflow_core.redislink")


def away(*, sent: bool | None) -> UnavailableError:
    """The one error of a link."""
    return UnavailableError("Redis", sent=sent)


def in_background(work: Callable[[], ResultT]) -> Future[ResultT]:
    """Start *work* on a daemon thread: a process that ends does not wait for Redis.

    Where no thread can be started, the future holds an OSError.
    """
    future: Future[ResultT] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- told to whoever asks for the result
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="socialflow-redislink", daemon=True).start()
    except RuntimeError as error:  # there are too many, or the interpreter ends
        future.set_exception(OSError(str(error)))
    return future


class _Circuit:
    """What both kinds of watch know: whether to ask, and what to say when probing fails."""

    def __init__(self) -> None:
        self._breaker = Breaker("redis")
        self._said = False
        self.is_closed = False
        """Whether nobody watches any more."""

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._breaker.state is CircuitState.CLOSED and not self.is_closed

    def _open(self) -> bool:
        """Open the circuit, unless it is; whether it was this call that did."""
        if not self.is_available:
            return False
        self._said = False
        self._breaker.open()
        return True

    def _failed(self, what: str, error: Exception) -> None:
        # Its class only: what a credential provider says may hold what it provides.
        if not self._said:
            self._said = True
            _LOG.warning("%s failed: %s", what, type(error).__name__)


class Watch(_Circuit):
    """For threads.

    Args:
        probe: Answers whether the server is back; called on a thread of its own.
        interval: How long to wait before each probe.
        recovered: Called on that thread when it is.
    """

    def __init__(
        self, probe: Callable[[], bool], interval: timedelta, recovered: Callable[[], None]
    ) -> None:
        super().__init__()
        self._probe = probe
        self._interval = interval.total_seconds()
        self._recovered = recovered
        self._lock = threading.Lock()
        self._end = threading.Event()

    def lose(self) -> None:
        """The server failed: stop asking and begin to probe, unless that is so already."""
        with self._lock:
            if not self._open():
                return
        in_background(self._until_back).add_done_callback(self._end_probing)

    def close(self) -> None:
        """End probing."""
        self.is_closed = True
        self._end.set()

    def _end_probing(self, probing: Future[None]) -> None:
        if probing.exception() is not None:
            # No thread could be had, so nobody probes: the next call finds out for itself.
            self._breaker.close()

    def _until_back(self) -> None:
        while not self._end.wait(self._interval):
            try:
                if not self._probe():
                    continue
            except Exception as error:  # noqa: BLE001 -- a credential provider may raise anything
                self._failed("a probe", error)
                continue
            self._breaker.close()
            try:
                self._recovered()
            except Exception as error:  # noqa: BLE001 -- the server is back all the same
                self._failed("telling of the recovery", error)
            return


class AsyncWatch(_Circuit):
    """For the tasks of one event loop; see `Watch`."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[bool]],
        interval: timedelta,
        recovered: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__()
        self._probe = probe
        self._interval = interval.total_seconds()
        self._recovered = recovered
        self._tasks: set[asyncio.Task[None]] = set()

    def lose(self) -> None:
        """See `Watch.lose`."""
        if self._open():
            self.start(self._until_back())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* on the loop until it ends or `aclose` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """End probing and whatever else was started."""
        self.is_closed = True
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_back(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                if not await self._probe():
                    continue
            except Exception as error:  # noqa: BLE001 -- as in `Watch`
                self._failed("a probe", error)
                continue
            self._breaker.close()
            try:
                await self._recovered()
            except Exception as error:  # noqa: BLE001 -- as in `Watch`
                self._failed("telling of the recovery", error)
            return

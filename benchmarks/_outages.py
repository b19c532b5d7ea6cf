"""What callers feel when the server freezes, dies and comes back, at 200 requests a second."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles
from typing import TYPE_CHECKING

from benchmarks._limiters import KEY, LIMITS
from socialflow_core.ratelimit import Strategy
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from socialflow_core.ratelimit import Decision
    from socialflow_core.testing.servers.valkey import Valkey

__all__ = ["DEADLINE", "Freezes", "Restarts", "freezes", "restarts"]

DEADLINE = timedelta(milliseconds=100)
_PAUSE_S = 1 / 200
_LIMIT = LIMITS[Strategy.FIXED_WINDOW]


@dataclass(frozen=True, slots=True)
class _Call:
    began: float
    took_ms: float
    source: str


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Calls that begin every 5 ms, whatever became of those before."""

    ask: Callable[[], Awaitable[Decision | None]]
    calls: list[_Call] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def flow(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            task = asyncio.create_task(self._call())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_PAUSE_S)

    async def until_shared(self) -> None:
        """Go on until the server counts again."""
        while self.calls[-1].source != "redis":
            await self.flow(_PAUSE_S)

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _call(self) -> None:
        began = time.perf_counter()
        try:
            decision = await self.ask()
        except Exception as error:  # noqa: BLE001 -- callers shall see none; counted
            self.errors.append(error)
            return
        took = (time.perf_counter() - began) * 1e3
        self.calls.append(_Call(began, took, decision.source if decision else "redis"))


@dataclass(slots=True)
class Freezes:
    """What some freezes cost, in milliseconds.

    Attributes:
        first: The first call after each freeze.
        meanwhile: The calls that began before the first one was given up.
        later_p99: Of the calls that began after that, in each freeze.
        idle_p99: Of calls that do nothing but let the loop turn, right before it.
    """

    first: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)
    later_p99: list[float] = field(default_factory=list)
    idle_p99: list[float] = field(default_factory=list)
    errors: int = 0


async def freezes(server: Valkey, times: int) -> Freezes:
    """Freeze the server for half a second, *times* times."""
    told = Freezes()
    limiter = AsyncRedisRateLimiter.from_url(server.url, deadline=DEADLINE)
    try:
        for _ in range(times):
            await _freeze(server, limiter, told)
    finally:
        await limiter.aclose()
    return told


async def _freeze(server: Valkey, limiter: AsyncRedisRateLimiter, told: Freezes) -> None:
    idle = _Traffic(_nothing)
    await idle.flow(0.5)
    await idle.end()
    traffic = _Traffic(lambda: limiter.hit(KEY, _LIMIT))
    await traffic.flow(0.1)
    server.freeze()
    frozen = time.perf_counter()
    await traffic.flow(0.6)
    server.thaw()
    thawed = time.perf_counter()
    await traffic.until_shared()
    await traffic.end()
    during = sorted(
        (call for call in traffic.calls if frozen <= call.began < thawed), key=lambda c: c.began
    )
    given_up = during[0].began + during[0].took_ms / 1e3
    told.first.append(during[0].took_ms)
    told.meanwhile += [call.took_ms for call in during[1:] if call.began < given_up]
    told.later_p99.append(_p99([call.took_ms for call in during if call.began >= given_up]))
    told.idle_p99.append(_p99([call.took_ms for call in idle.calls]))
    told.errors += len(traffic.errors)


async def _nothing() -> None:
    await asyncio.sleep(0)


def _p99(figures: list[float]) -> float:
    return quantiles(figures, n=100, method="inclusive")[-1]


@dataclass(slots=True)
class Restarts:
    """What some restarts cost: errors seen, and seconds from "it answers" to "shared again"."""

    shared_after: list[float] = field(default_factory=list)
    errors: int = 0


async def restarts(server: Valkey, times: int) -> Restarts:
    """Kill the server and bring it back half a second later, *times* times."""
    told = Restarts()
    limiter = AsyncRedisRateLimiter.from_url(server.url, deadline=DEADLINE)
    try:
        for _ in range(times):
            traffic = _Traffic(lambda: limiter.hit(KEY, _LIMIT))
            await traffic.flow(0.2)
            server.kill()
            await traffic.flow(0.5)
            restarting = asyncio.create_task(asyncio.to_thread(server.restart))
            while not restarting.done():
                await traffic.flow(_PAUSE_S)
            await restarting
            back = time.perf_counter()
            await traffic.until_shared()
            await traffic.end()
            told.shared_after.append(max(0.0, time.perf_counter() - back))
            told.errors += len(traffic.errors)
    finally:
        await limiter.aclose()
    return told

"""What is special about event loops: cancellation, tasks, loops."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from socialflow_core.cache import Policy
from socialflow_core.cache.memory import AsyncMemoryCache, MemoryCache
from socialflow_core.testing.clock import ManualClock

_HOUR = timedelta(hours=1)


class Gate:
    """A computation that waits to be let go."""

    def __init__(self, value: object = 7) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.calls = 0
        self.value = value

    async def __call__(self) -> object:
        """Compute."""
        self.calls += 1
        self.begun.set()
        await self.open.wait()
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def test_cancelling_who_came_first_disturbs_nobody() -> None:
    """The computation goes on for those who wait for it."""

    async def main() -> None:
        cache, gate = AsyncMemoryCache(), Gate()
        first = asyncio.create_task(cache.get_or_compute("a", gate, ttl=_HOUR))
        await gate.begun.wait()
        others = [asyncio.create_task(cache.get_or_compute("a", gate, ttl=_HOUR)) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        others[0].cancel()
        gate.open.set()
        assert await asyncio.gather(*others[1:]) == [7] * 4
        assert (first.cancelled(), others[0].cancelled(), gate.calls) == (True, True, 1)
        assert (await cache.lookup("a", gate, ttl=_HOUR)).source == "memory"
        await cache.aclose()

    asyncio.run(main())


def test_when_all_are_cancelled_the_value_is_kept() -> None:
    """It was nearly there."""

    async def main() -> None:
        cache, gate = AsyncMemoryCache(), Gate()
        task = asyncio.create_task(cache.get_or_compute("a", gate, ttl=_HOUR))
        await gate.begun.wait()
        task.cancel()
        gate.open.set()
        for _ in range(9):
            await asyncio.sleep(0)
        assert (await cache.lookup("a", gate, ttl=_HOUR)).source == "memory"
        assert gate.calls == 1

    asyncio.run(main())


def test_closing_ends_computations() -> None:
    """Who waits is cancelled; nothing is left running."""

    async def main() -> None:
        cache, gate = AsyncMemoryCache(), Gate()
        task = asyncio.create_task(cache.get_or_compute("a", gate, ttl=_HOUR))
        await gate.begun.wait()
        await cache.aclose()
        with pytest.raises(asyncio.CancelledError):
            await task
        await cache.aclose()

    asyncio.run(main())


def test_closing_at_any_moment_leaves_nobody_waiting() -> None:
    """Also when the computation was about to begin."""

    async def close_after(turns: int) -> None:
        cache, gate = AsyncMemoryCache(), Gate()
        tasks = [asyncio.create_task(cache.get_or_compute("a", gate, ttl=_HOUR)) for _ in range(2)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await cache.aclose()
        gate.open.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
        await cache.aclose()

    for turns in range(6):
        asyncio.run(close_after(turns))


def test_an_error_reaches_every_task() -> None:
    """As it is."""

    async def main() -> None:
        cache, gate = AsyncMemoryCache(), Gate(LookupError("gone"))
        tasks = [asyncio.create_task(cache.get_or_compute("a", gate, ttl=_HOUR)) for _ in range(5)]
        await gate.begun.wait()
        gate.open.set()
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert {str(error) for error in told} == {"gone"}
        assert gate.calls == 1

    asyncio.run(main())


def test_an_error_of_cancelling_reaches_every_task() -> None:
    """What is awaited while computing may have been cancelled: that is no reason to begin anew."""

    async def main() -> None:
        cache, calls = AsyncMemoryCache(), []

        async def compute() -> int:
            calls.append(1)
            await asyncio.sleep(0)
            raise asyncio.CancelledError

        tasks = [cache.get_or_compute("a", compute, ttl=_HOUR) for _ in range(20)]
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in told} == {asyncio.CancelledError}
        assert len(calls) == 1

    asyncio.run(main())


def test_computing_ahead_of_time_holds_up_one_task() -> None:
    """The others have the value that is still fresh."""

    async def main() -> None:
        cache, gate = AsyncMemoryCache(), Gate("new")
        policy = Policy(early=100.0)
        cache._front._uniform = lambda: 1.0 - 1e-12  # sure to be early

        async def slow() -> str:
            await asyncio.sleep(0.05)
            return "old"

        await cache.get_or_compute("a", slow, ttl=timedelta(seconds=60), policy=policy)

        def ask() -> asyncio.Task[object]:
            return asyncio.create_task(
                cache.get_or_compute("a", gate, ttl=timedelta(seconds=60), policy=policy)
            )

        tasks = [ask() for _ in range(10)]
        done, computing = await asyncio.wait(tasks, timeout=0.5)
        assert [task.result() for task in done] == ["old"] * 9
        gate.open.set()
        assert [await task for task in computing] == ["new"]

    asyncio.run(main())


def test_an_invalidation_overtakes_a_computation() -> None:
    """Who asks after it gets a value from after it."""

    async def main() -> None:
        cache, old, new = AsyncMemoryCache(), Gate("old"), Gate("new")
        new.open.set()
        first = asyncio.create_task(cache.get_or_compute("a", old, ttl=_HOUR))
        await old.begun.wait()
        await cache.invalidate("a")
        second = asyncio.create_task(cache.get_or_compute("a", new, ttl=_HOUR))
        await asyncio.sleep(0)
        old.open.set()
        assert [await first, await second] == ["old", "new"]

    asyncio.run(main())


def test_a_circle_is_refused() -> None:
    """Also over another key, in tasks of their own."""

    async def main() -> None:
        cache = AsyncMemoryCache()

        async def one() -> object:
            return await cache.get_or_compute("b", two, ttl=_HOUR)

        async def two() -> object:
            return await cache.get_or_compute("a", one, ttl=_HOUR)

        with pytest.raises(RuntimeError, match="asks for the key"):
            await cache.get_or_compute("a", one, ttl=_HOUR)

    asyncio.run(main())


def test_waiting_has_an_end_if_wanted() -> None:
    """Then one computes by oneself."""

    async def main() -> None:
        cache, slow, own = AsyncMemoryCache(), Gate(), Gate(8)
        own.open.set()
        first = asyncio.create_task(cache.get_or_compute("a", slow, ttl=_HOUR))
        await slow.begun.wait()
        policy = Policy(wait=timedelta(milliseconds=10))
        assert await cache.get_or_compute("a", own, ttl=_HOUR, policy=policy) == 8
        slow.open.set()
        assert await first == 7

    asyncio.run(main())


def test_stale_while_it_is_computed_anew() -> None:
    """In a task of its own; and if that fails, stale still."""

    async def main() -> None:
        clock = ManualClock()
        cache = AsyncMemoryCache(MemoryCache(clock=clock))
        policy = Policy(stale_while_revalidate=_HOUR)
        values = iter([1, LookupError(), 2])

        async def compute() -> object:
            value = next(values)
            if isinstance(value, LookupError):
                raise value
            return value

        async def ask() -> object:
            return await cache.get_or_compute("a", compute, ttl=_HOUR, policy=policy)

        assert await ask() == 1
        clock.advance(_HOUR)
        assert await ask() == 1
        for _ in range(9):
            await asyncio.sleep(0)
        assert await ask() == 1
        for _ in range(9):
            await asyncio.sleep(0)
        assert await ask() == 2
        await cache.aclose()

    asyncio.run(main())


def test_sync_and_async_share_what_they_keep() -> None:
    """One process, one cache; and several event loops."""
    sync = MemoryCache()
    cache = AsyncMemoryCache(sync)

    async def compute() -> int:
        return 7

    assert asyncio.run(cache.get_or_compute("a", compute, ttl=_HOUR)) == 7
    assert sync.get_or_compute("a", lambda: 8, ttl=_HOUR) == 7
    assert asyncio.run(cache.lookup("a", compute, ttl=_HOUR)).source == "memory"


def test_a_computation_that_is_cancelled_leaves_no_claim() -> None:
    """The next who asks computes at once."""

    async def main() -> None:
        sync = MemoryCache()
        cache = AsyncMemoryCache(sync)

        async def cancelled() -> object:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await cache.get_or_compute("a", cancelled, ttl=_HOUR)
        assert not sync.store._claims
        await cache.aclose()

    asyncio.run(main())

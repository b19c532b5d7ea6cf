"""Who is interrupted leaves no claim, and no one waiting."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.cache import Cached, Claim, Policy, Query, Reply
from socialflow_core.cache.memory import (
    AsyncMemoryCache,
    AsyncMemoryStore,
    MemoryCache,
    MemoryStore,
)
from socialflow_core.cache.memory.aengine import AsyncEngine
from socialflow_core.cache.memory.engine import Engine
from socialflow_core.cache.redis import AsyncRedisCache

if TYPE_CHECKING:
    from socialflow_core.testing.servers.valkey import Valkey

_HOUR = timedelta(hours=1)


class Interrupted(MemoryStore):
    """A store whose first answer is interrupted by Ctrl-C."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.table, lambda: 0)
        self.reads = 0

    def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        self.reads += 1
        reply = super().read(query)
        if self.reads == 1:
            raise KeyboardInterrupt
        return reply


def test_an_interrupt_while_the_store_is_asked() -> None:
    """The claim is ended: the next who asks computes at once."""
    memory = MemoryCache()
    store = Interrupted(memory.store)
    cache = Engine(store, memory._front)
    with pytest.raises(KeyboardInterrupt):
        cache.get_or_compute("a", lambda: 1, ttl=_HOUR)
    assert store.read(Query("a", (), "token", 1)).claim is Claim.MINE


def test_an_interrupt_while_a_value_is_computed() -> None:
    """Who waits for it computes instead."""
    cache, computing, go_on = MemoryCache(), threading.Event(), threading.Event()

    def interrupted() -> int:
        computing.set()
        go_on.wait(10)
        raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_compute, "a", interrupted, ttl=_HOUR)
        assert computing.wait(10)
        second = pool.submit(cache.get_or_compute, "a", lambda: 2, ttl=_HOUR)
        go_on.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(10)
        assert second.result(10) == 2


class Slow(AsyncMemoryStore):
    """A store that answers when it is let."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        reply = await super().read(query)
        self.asked.set()
        await self.answer.wait()
        return reply


def test_a_cancelled_task_while_the_store_is_asked() -> None:
    """The claim is ended, and who waits asks again."""

    async def main() -> None:
        memory = MemoryCache()
        store = Slow(memory.store)
        cache = AsyncEngine(store, memory._front)

        async def compute() -> int:
            return 7

        first = asyncio.create_task(cache.get_or_compute("a", compute, ttl=_HOUR))
        await store.asked.wait()
        second = asyncio.create_task(cache.get_or_compute("a", compute, ttl=_HOUR))
        await asyncio.sleep(0)
        first.cancel()
        store.answer.set()
        assert await second == 7
        assert first.cancelled()
        assert not memory.store._claims

    asyncio.run(main())


def test_a_cancelled_task_while_redis_is_asked(valkey: Valkey) -> None:
    """The next who asks need not wait for its claim to run out."""

    async def main() -> Cached[int]:
        cache = AsyncRedisCache.from_url(valkey.url, deadline=timedelta(seconds=10))

        async def compute() -> int:
            return 7

        await cache.get_or_compute("warm", compute, ttl=_HOUR)
        task = asyncio.create_task(cache.get_or_compute("a", compute, ttl=_HOUR))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        policy = Policy(wait=timedelta(seconds=5))
        cached: Cached[int] = await cache.lookup("a", compute, ttl=_HOUR, policy=policy)
        await cache.aclose()
        return cached

    cached = asyncio.run(main())
    assert (cached.value, cached.reason) == (7, "")


def test_a_refresh_too_many_waits_for_the_next_time() -> None:
    """Only so many threads compute in the background; a stale value is good enough meanwhile."""
    now = [0]
    cache = MemoryCache(clock=lambda: now[0])
    policy = Policy(stale_while_revalidate=_HOUR, lock_ttl=_HOUR)
    go_on = threading.Event()

    def slow() -> int:
        go_on.wait(10)
        return 2

    how: dict[str, Any] = {"ttl": _HOUR, "policy": policy}
    for key in "abcdefgh":
        cache.get_or_compute(key, lambda: 1, **how)
    now[0] = 3_600_000_000
    assert [cache.get_or_compute(key, slow, **how) for key in "abcdefgh"] == [1] * 8
    assert len(cache.store._claims) == 4
    go_on.set()


def test_sync_and_async_hits_say_the_same() -> None:
    """From the table, with the value that cannot change."""
    sync = MemoryCache()
    cache = AsyncMemoryCache(sync)

    async def compute() -> list[int]:
        return [7]

    async def main() -> list[Any]:
        return [await cache.get_or_compute("a", compute, ttl=_HOUR) for _ in range(4)]

    assert asyncio.run(main()) == [[7]] * 4
    assert sync.lookup("a", list, ttl=_HOUR).value == [7]
    wrong: Any = []
    with pytest.raises(TypeError, match="a key is a str"):
        sync.lookup(wrong, list, ttl=_HOUR)
    with pytest.raises(ValueError, match="at most 100 tags"):
        sync.lookup("a", list, ttl=_HOUR, tags=tuple(map(str, range(101))))

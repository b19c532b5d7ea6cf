"""An invalidation holds, after restarts, in forked workers, for many keys; and nobody hangs."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.cache import Policy
from socialflow_core.cache.memory import AsyncMemoryCache, MemoryCache
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache
from socialflow_core.testing.cache import BlockingCache
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests._kit.forked import in_child

if TYPE_CHECKING:
    from tests.cache.kit import Make

_HOUR = timedelta(hours=1)
_PATIENT = timedelta(seconds=10)


@pytest.mark.parametrize("kind", ["sync", "local", "async"])
def test_a_restart_that_nobody_noticed(kind: str, tmp_path: Any) -> None:
    """Nobody asked meanwhile: what the server remembers from before is not believed all the same."""
    with Valkey(config={"dir": str(tmp_path)}) as server:
        cache: Any
        if kind == "async":
            cache = BlockingCache(AsyncRedisCache.from_url(server.url, local=False))
        else:
            cache = RedisCache.from_url(server.url, local=kind == "local")
        try:
            cache.get_or_compute("a", lambda: "old", ttl=_HOUR)
            server.command("SAVE")
            assert cache.invalidate("a")
            server.kill()
            server.restart()
            assert server.command("EXISTS", "{cache1}:e:a") == 1
            assert cache.get_or_compute("a", lambda: "new", ttl=_HOUR) == "new"
            wait_until(
                lambda: not cache.lookup("a", lambda: "new", ttl=_HOUR).degraded, "it is kept"
            )
        finally:
            cache.close()


def test_many_keys_at_once(make: Make) -> None:
    """They are dropped in parts; what is computed between two of them is not kept."""
    cache, other = make(), make()
    cache.invalidate("warm")
    begun, finish = threading.Event(), threading.Event()
    truth = ["old"]

    def compute() -> str:
        seen = truth[0]
        begun.set()
        finish.wait()
        return seen

    computing = threading.Thread(target=lambda: other.get_or_compute("k7", compute, ttl=_HOUR))
    computing.start()
    begun.wait()
    truth[0] = "new"
    real, parts = cache._link.call, []

    def call(*what: Any) -> Any:
        reply = real(*what)
        parts.append(reply)
        finish.set()
        computing.join()
        return reply

    cache._link.call = call  # type: ignore[method-assign,assignment]  # -- the schedule of this test
    assert cache.invalidate(*(f"k{number}" for number in range(500)))
    assert len(parts) == 2
    assert other.get_or_compute("k7", lambda: truth[0], ttl=_HOUR) == "new"


def test_a_computation_that_outlasts_its_claim_and_an_invalidation(make: Make) -> None:
    """Who asks after the invalidation gets a value from after it, also while it computes."""
    cache, other = make(), make()
    policy = Policy(lock_ttl=timedelta(milliseconds=50))
    begun, finish = threading.Event(), threading.Event()
    truth = ["old"]

    def compute() -> str:
        seen = truth[0]
        begun.set()
        finish.wait(0.2)
        return seen

    leader = threading.Thread(
        target=lambda: cache.get_or_compute("a", compute, ttl=_HOUR, policy=policy)
    )
    leader.start()
    begun.wait()
    truth[0] = "new"
    assert other.invalidate("a")
    assert cache.get_or_compute("a", compute, ttl=_HOUR, policy=policy) == "new"
    leader.join()


def test_workers_forked_from_one_process(valkey: Valkey) -> None:
    """Each claims by tokens of its own, so a version that was dropped never comes again."""
    cache = AsyncRedisCache.from_url(valkey.url, deadline=_PATIENT, local=False)

    def ask(key: str, value: str) -> str:
        async def compute() -> str:
            return value

        return asyncio.run(cache.get_or_compute(key, compute, ttl=_HOUR, tags=("x",)))

    others = RedisCache.from_url(valkey.url, deadline=_PATIENT, local=False)
    others.get_or_compute("first", lambda: 1, ttl=_HOUR)  # the version of everything is theirs
    others.close()
    assert in_child(lambda: ask("one", "old") == "old")
    assert in_child(lambda: asyncio.run(cache.invalidate_tags("x")))
    assert in_child(lambda: ask("two", "other") == "other")
    assert in_child(lambda: ask("one", "new") == "new")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_computations_that_wait_for_each_other(kind: str) -> None:
    """One needs the other, and that the one: whoever closes the circle is told, and nobody hangs."""
    if kind == "sync":
        cache, both = MemoryCache(), threading.Barrier(2)

        def ask(key: str, other: str) -> int:
            def compute() -> int:
                both.wait()
                return cache.get_or_compute(other, lambda: 1, ttl=_HOUR)

            return cache.get_or_compute(key, compute, ttl=_HOUR)

        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(ask, "a", "b"), pool.submit(ask, "b", "a")]
            told = [each.exception(10) for each in asked]
    else:
        told = asyncio.run(_circle())
    assert {type(error) for error in told} == {RuntimeError}


async def _circle() -> list[Any]:
    cache, both = AsyncMemoryCache(), asyncio.Barrier(2)

    async def ask(key: str, other: str) -> int:
        async def compute() -> int:
            await both.wait()

            async def one() -> int:
                return 1

            return await cache.get_or_compute(other, one, ttl=_HOUR)

        return await cache.get_or_compute(key, compute, ttl=_HOUR)

    async with asyncio.timeout(10):
        told = await asyncio.gather(ask("a", "b"), ask("b", "a"), return_exceptions=True)
    return [*told]


def test_waiting_where_nothing_is_computed_is_no_circle() -> None:
    """The last waits for nobody: the others may wait for it, from within and from without."""
    cache = MemoryCache()
    go_on, asked = threading.Event(), threading.Event()

    def c() -> int:
        asked.set()
        go_on.wait()
        return 3

    def b() -> int:
        return cache.get_or_compute("c", c, ttl=_HOUR) + 1

    def a() -> int:
        return cache.get_or_compute("b", b, ttl=_HOUR) + 1

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get_or_compute, "c", c, ttl=_HOUR)
        asked.wait()
        others = [
            pool.submit(partial(cache.get_or_compute, key, work, ttl=_HOUR))
            for key, work in (("b", b), ("a", a))
        ]
        wait_until(lambda: len(cache._flights._flying) == 3, "all are under way")
        go_on.set()
        assert [each.result(10) for each in (first, *others)] == [3, 4, 5]

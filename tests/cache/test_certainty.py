"""An invalidation holds: after a restart, in forked workers, for many keys at once."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.cache import Policy
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache
from socialflow_core.testing.cache import BlockingCache
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable

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


def _in_child(work: Callable[[], str]) -> str:
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that threads do not survive a fork is the point
        child = os.fork()
    if child == 0:
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    told = os.read(read, 1000).decode()
    os.close(read)
    os.waitpid(child, 0)
    return told


def test_workers_forked_from_one_process(valkey: Valkey) -> None:
    """Each claims by tokens of its own, so a version that was dropped never comes again."""
    cache = AsyncRedisCache.from_url(valkey.url, deadline=_PATIENT, local=False)

    def ask(key: str, value: str) -> str:
        async def compute() -> str:
            return value

        return asyncio.run(cache.get_or_compute(key, compute, ttl=_HOUR, tags=("x",)))

    def drop() -> str:
        return str(asyncio.run(cache.invalidate_tags("x")))

    others = RedisCache.from_url(valkey.url, deadline=_PATIENT, local=False)
    others.get_or_compute("first", lambda: 1, ttl=_HOUR)  # the version of everything is theirs
    others.close()
    assert _in_child(lambda: ask("one", "old")) == "old"
    assert _in_child(drop) == "True"
    assert _in_child(lambda: ask("two", "other")) == "other"
    assert _in_child(lambda: ask("one", "new")) == "new"

"""Caches in Redis: one trip a hit, one computation for all processes, invalidation everywhere."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.cache import Codec, Policy
from socialflow_core.cache._script import Names
from socialflow_core.cache.msgspec import json_codec
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache, RedisCacheOptions
from socialflow_core.testing.cache import BlockingCache
from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from socialflow_core.testing.servers.valkey import Valkey
    from tests.cache.kit import Make

_HOUR = timedelta(hours=1)
_PATIENT = timedelta(seconds=10)


def test_a_hit_is_one_round_trip(make: Make, valkey: Valkey) -> None:
    """With as many tags as there are; and so is invalidating, whatever it costs others."""
    cache = make()
    for tags in ((), ("x",), ("x", "y", "z")):
        key = f"a{len(tags)}"
        for _ in range(2):
            cache.get_or_compute(key, lambda: 1, ttl=_HOUR, tags=tags)
        before = valkey.round_trips()
        for _ in range(20):
            assert cache.lookup(key, lambda: 2, ttl=_HOUR, tags=tags).source == "redis"
        assert valkey.round_trips() - before == 20
    cache.invalidate("unknown")  # loads the script
    before = valkey.round_trips()
    cache.invalidate("a0", "a1")
    cache.invalidate_tags("x", "y")
    assert valkey.round_trips() - before == 2
    assert "scan" not in valkey.calls()


def _ask_cold(url: str, gate: Any, told: Any, calls: Any) -> None:
    cache = RedisCache.from_url(url, deadline=_PATIENT)
    cache.get_or_compute("warm", lambda: 0, ttl=_HOUR)

    def compute() -> int:
        with calls.get_lock():
            calls.value += 1
        time.sleep(0.1)  # as something slow would take
        return 7

    gate.wait()
    values = []
    threads = [
        threading.Thread(
            target=lambda: values.append(cache.get_or_compute("cold", compute, ttl=_HOUR))
        )
        for _ in range(25)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(values)
    cache.close()


def test_a_hundred_callers_in_four_processes_compute_once(valkey: Valkey) -> None:
    """And all get it."""
    context = multiprocessing.get_context("fork")
    gate, told, calls = context.Barrier(4), context.Queue(), context.Value("i", 0)
    processes = [
        context.Process(target=_ask_cold, args=(valkey.url, gate, told, calls)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    values = [value for _ in processes for value in told.get(timeout=30)]
    for process in processes:
        process.join(10)
    assert (values, calls.value) == ([7] * 100, 1)


def _compute_for_ever(url: str, begun: Any, policy: Policy) -> None:
    cache = RedisCache.from_url(url, deadline=_PATIENT)

    def compute() -> int:
        begun.set()
        threading.Event().wait(60)
        return 1

    cache.get_or_compute("a", compute, ttl=_HOUR, policy=policy)


def test_a_process_that_dies_while_it_computes(make: Make, valkey: Valkey) -> None:
    """The others go on when its claim runs out."""
    policy = Policy(lock_ttl=timedelta(milliseconds=500))
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=_compute_for_ever, args=(valkey.url, begun, policy))
    process.start()
    assert begun.wait(10)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    patient = Policy(lock_ttl=timedelta(milliseconds=500), wait=_PATIENT)
    cached = make().lookup("a", lambda: 2, ttl=_HOUR, policy=patient)
    assert (cached.value, cached.reason) == (2, "")


def test_waiting_for_another_process_has_an_end(make: Make, valkey: Valkey) -> None:
    """Then one computes by oneself, and says so."""
    one, other = make(), make()
    computing, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        computing.set()
        go_on.wait(10)
        return 1

    thread = threading.Thread(target=lambda: one.get_or_compute("a", slow, ttl=_HOUR))
    thread.start()
    assert computing.wait(10)
    policy = Policy(wait=timedelta(milliseconds=20))
    cached = other.lookup("a", lambda: 2, ttl=_HOUR, policy=policy)
    go_on.set()
    thread.join()
    assert (cached.value, cached.degraded) == (2, True)
    assert other.get_or_compute("a", lambda: 3, ttl=_HOUR) == 1
    assert valkey.command("KEYS", "*:l:*") == []


def test_an_invalidation_elsewhere_overtakes_a_computation(make: Make) -> None:
    """What was being computed is not stored, here or there."""
    one, other = make(), make()
    for by_tag in (False, True):

        def compute() -> str:
            assert other.invalidate_tags("x") if by_tag else other.invalidate("a")  # noqa: B023 -- used at once
            return "old"

        assert one.get_or_compute("a", compute, ttl=_HOUR, tags=("x",)) == "old"
        assert other.get_or_compute("a", lambda: "new", ttl=_HOUR, tags=("x",)) == "new"
        other.invalidate("a")


def test_tags_come_and_go(make: Make, valkey: Valkey) -> None:
    """A version that was lost makes its entries missing, never valid again."""
    cache = make()
    numbers = itertools.count()

    def ask() -> int:
        return cache.get_or_compute("a", numbers.__next__, ttl=_HOUR, tags=("x",))

    assert [ask(), ask()] == [0, 0]
    entry = str(valkey.command("DUMP", "{cache1}:e:a"))
    assert entry
    valkey.command("COPY", "{cache1}:e:a", "kept")
    valkey.command("DEL", "{cache1}:t:x")  # as an eviction would
    assert [ask(), ask()] == [1, 1]
    valkey.command("COPY", "kept", "{cache1}:e:a", "REPLACE")
    assert ask() == 2
    ttl = valkey.command("TTL", "{cache1}:t:x")
    assert isinstance(ttl, int)
    assert 0 < ttl <= 86_400


def test_a_version_outlives_its_entries(make: Make, valkey: Valkey) -> None:
    """Those of long-lived entries are prolonged."""
    cache = make()
    cache.get_or_compute("a", lambda: 1, ttl=timedelta(days=30), tags=("x",))
    ttl, entry = (valkey.command("TTL", f"{{cache1}}:{name}") for name in ("t:x", "e:a"))
    assert isinstance(ttl, int)
    assert isinstance(entry, int)
    assert ttl > entry


def test_another_type_is_a_miss(make: Make) -> None:
    """A value that no longer fits its type is computed anew, and replaced."""
    cache = make()
    old: Codec[Any] = json_codec(dict[str, int])
    new: Codec[Any] = json_codec(dict[str, str])
    assert cache.get_or_compute("a", lambda: {"n": 1}, ttl=_HOUR, codec=old) == {"n": 1}
    cached = cache.lookup("a", lambda: {"n": "1"}, ttl=_HOUR, codec=new)
    assert (cached.value, cached.source, cached.reason) == ({"n": "1"}, "computed", "")
    assert cache.lookup("a", dict, ttl=_HOUR, codec=new).value == {"n": "1"}


def test_stale_and_early_take_one_trip_too(make: Make) -> None:
    """The claim comes with the entry."""
    cache = make()
    policy = Policy(stale_while_revalidate=_HOUR, early=0)
    short = timedelta(milliseconds=20)
    numbers = itertools.count()
    asked: dict[str, Any] = {"ttl": short, "policy": policy}
    assert cache.get_or_compute("a", numbers.__next__, **asked) == 0
    wait_until(lambda: cache.lookup("a", numbers.__next__, **asked).degraded, "it is stale")
    wait_until(lambda: cache.lookup("a", numbers.__next__, **asked).value > 0, "it is new")


def test_large_values_are_compressed(make: Make, valkey: Valkey) -> None:
    """In Redis; whoever asks does not notice."""
    cache = make(compress_above=100)
    for _ in range(2):
        assert cache.get_or_compute("a", lambda: "x" * 50_000, ttl=_HOUR) == "x" * 50_000
    length = valkey.command("STRLEN", "{cache1}:e:a")
    assert isinstance(length, int)
    assert length < 1000


def test_sync_and_async_share_what_they_keep(make: Make, valkey: Valkey) -> None:
    """What one kind stores, the other finds, and can drop."""
    sync = make()
    cache = BlockingCache(AsyncRedisCache.from_url(valkey.url, deadline=_PATIENT))
    try:
        assert sync.get_or_compute("a", lambda: 1, ttl=_HOUR) == 1
        assert cache.get_or_compute("a", lambda: 2, ttl=_HOUR) == 1
        assert cache.invalidate("a")
        assert sync.get_or_compute("a", lambda: 3, ttl=_HOUR) == 3
    finally:
        cache.close()


def test_names_are_checked() -> None:
    """A brace would end the hash tag."""
    for prefix in ("", "a{", "}"):
        with pytest.raises(ValueError, match="prefix"):
            Names(prefix)
    with pytest.raises(ValueError, match="at least 1"):
        RedisCacheOptions(compress_above=0)
    with pytest.raises(ValueError, match="heartbeat"):
        RedisCacheOptions(heartbeat=timedelta(0))

"""The table of a cache: its bounds hold, whatever is kept in it and whoever asks meanwhile."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.cache import RESPONSE, Codec, StoredResponse
from socialflow_core.cache.memory import MemoryCache

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR = timedelta(hours=1)
_BOUND = 4 * 2**20


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads that take turns a thousand times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("eager_threads")
def test_evicting_beside_threads_that_hit() -> None:
    """The least recently used makes room, and nobody gets an error."""
    cache, numbers = MemoryCache(max_entries=50), itertools.count()
    end = threading.Event()

    def hit() -> None:
        while not end.is_set():
            for number in range(40):
                cache.get_or_compute(f"h{number}", lambda: 1, ttl=_HOUR)

    def miss() -> None:
        for _ in range(4000):
            cache.get_or_compute(f"c{next(numbers)}", lambda: 1, ttl=_HOUR)

    with ThreadPoolExecutor(5) as pool:
        hits = [pool.submit(hit) for _ in range(3)]
        misses = [pool.submit(miss) for _ in range(2)]
        try:
            for each in misses:
                each.result()
        finally:
            end.set()
        for each in hits:
            each.result()
    table = cache.store.table
    assert len(table) == 50
    assert table.size == sum(held.size for held in table._held.values())


def _pairs(payload: bytes) -> tuple[tuple[int, int], ...]:
    return tuple((number + 1000, number + 2000) for number in range(len(payload) // 20))


PAIRS: Codec[Any] = Codec("pairs", lambda value: b"x" * (len(value) * 20), _pairs, immutable=True)


@pytest.mark.parametrize(
    ("codec", "value", "tags"),
    [
        (PAIRS, _pairs(b"x" * 40_000), 0),
        (RESPONSE, StoredResponse(200, (("A", "b"),), b"x" * 100_000), 0),
        (RESPONSE, StoredResponse(200, (), b""), 100),
    ],
)
def test_the_bound_of_bytes_is_one(codec: Codec[Any], value: Any, tags: int) -> None:
    """Values that are kept beside their bytes count, and so do tags."""
    gc.collect()
    tracemalloc.start()
    try:
        cache = MemoryCache(max_bytes=_BOUND)
        for number in range(300):
            names = tuple(f"{number}-{tag}-{'t' * 150}" for tag in range(tags))
            for _ in range(2):
                # A copy of its own each time, as computing makes one.
                cache.get_or_compute(
                    str(number),
                    lambda: codec.decode(codec.encode(value)),
                    ttl=_HOUR,
                    codec=codec,
                    tags=names,
                )
        gc.collect()
        assert cache.store.table.size <= _BOUND
        assert tracemalloc.get_traced_memory()[0] < 2 * _BOUND
    finally:
        tracemalloc.stop()


def test_what_is_not_kept_is_not_shared_either() -> None:
    """Whoever waited for it gets a value of their own, if it can be copied at all."""
    cache = MemoryCache(max_value_bytes=10)
    computing, go_on = threading.Event(), threading.Event()
    lock = threading.Lock()

    def ask(key: str, value: Any) -> list[Any]:
        def compute() -> Any:
            computing.set()
            go_on.wait()
            return value

        computing.clear()
        go_on.clear()
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(cache.get_or_compute, key, compute, ttl=_HOUR)]
            assert computing.wait(10)
            asked += [pool.submit(cache.get_or_compute, key, compute, ttl=_HOUR) for _ in range(2)]
            while sum(flight._event is not None for flight in cache._flights._flying.values()) < 1:
                computing.wait(0.001)
            go_on.set()
            return [each.result() for each in asked]

    found = ask("a", {"long": ["more than ten bytes"]})
    assert found[0] == found[1] == found[2]
    assert found[0] is not found[1]
    assert all(each is lock for each in ask("b", lock))

"""Caches in this process: by a model, by a clock in the test's hands, by threads and tasks."""

from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from socialflow_core.cache import TEXT, Policy
from socialflow_core.cache.memory import MemoryCache
from socialflow_core.cache.memory.table import Table, entry_mark
from socialflow_core.testing.clock import ManualClock

_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
TAGS = {"a": (), "b": ("x",), "c": ("y", "x"), "d": ("y",)}
KEYS = st.sampled_from(sorted(TAGS))


class Model(RuleBasedStateMachine):
    """A cache, and a dict that says what it has to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.cache = MemoryCache(clock=self.clock)
        self.known: dict[str, tuple[int, int]] = {}  # the value, and its end
        self.versions = itertools.count()

    @rule(key=KEYS, minutes=st.integers(1, 5))
    def ask(self, key: str, minutes: int) -> None:
        """A fresh value is handed out, any other computed."""
        fresh = next(self.versions)
        ttl = minutes * _MINUTE
        cached = self.cache.lookup(key, lambda: fresh, ttl=ttl, tags=TAGS[key])
        if key in self.known and self.clock() < self.known[key][1]:
            assert (cached.value, cached.source) == (self.known[key][0], "memory")
        else:
            assert (cached.value, cached.source) == (fresh, "computed")
            self.known[key] = fresh, self.clock() + ttl // timedelta(microseconds=1)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        """An error changes nothing."""

        def compute() -> int:
            raise LookupError(key)

        if key in self.known and self.clock() < self.known[key][1]:
            assert self.cache.get_or_compute(key, compute, ttl=_HOUR, tags=TAGS[key]) >= 0
        else:
            with pytest.raises(LookupError):
                self.cache.get_or_compute(key, compute, ttl=_HOUR, tags=TAGS[key])

    @rule(key=KEYS)
    def invalidate(self, key: str) -> None:
        """It is gone."""
        assert self.cache.invalidate(key)
        self.known.pop(key, None)

    @rule(tag=st.sampled_from("xyz"))
    def invalidate_tag(self, tag: str) -> None:
        """All of it is gone."""
        assert self.cache.invalidate_tags(tag)
        for key, tags in TAGS.items():
            if tag in tags:
                self.known.pop(key, None)

    @rule(seconds=st.integers(0, 200))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.clock.advance(timedelta(seconds=seconds))

    @invariant()
    def nothing_is_left_claimed(self) -> None:
        """Who computed has ended."""
        assert not self.cache.store._claims


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_fifty_threads_compute_once() -> None:
    """However slow that is, and all get it."""
    cache, gate, calls = MemoryCache(), threading.Barrier(50), []
    others_wait = threading.Event()

    def compute() -> int:
        calls.append(1)
        others_wait.wait(0.1)
        return 7

    def ask(_: int) -> int:
        gate.wait()
        return cache.get_or_compute("a", compute, ttl=_HOUR)

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(ask, range(50))) == {7}
    assert len(calls) == 1


def test_an_error_reaches_every_thread() -> None:
    """And the next one computes."""
    cache, gate = MemoryCache(), threading.Barrier(8)
    begun = threading.Event()

    def fail() -> int:
        begun.wait(0.1)
        raise LookupError("gone")

    def ask(_: int) -> object:
        gate.wait()
        try:
            return cache.get_or_compute("a", fail, ttl=_HOUR)
        except LookupError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"gone"}
    assert cache.get_or_compute("a", lambda: 1, ttl=_HOUR) == 1


def test_who_comes_after_an_invalidation_gets_no_older_value() -> None:
    """Even if the computation that it overtook is still under way."""
    cache = MemoryCache()
    computing, go_on = threading.Event(), threading.Event()

    def old() -> str:
        computing.set()
        go_on.wait(10)
        return "old"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_compute, "a", old, ttl=_HOUR, tags=("x",))
        assert computing.wait(10)
        cache.invalidate_tags("x")
        second = pool.submit(cache.get_or_compute, "a", lambda: "new", ttl=_HOUR, tags=("x",))
        go_on.set()
        assert [first.result(10), second.result(10)] == ["old", "new"]
    assert cache.get_or_compute("a", lambda: "newest", ttl=_HOUR, tags=("x",)) == "new"


def test_waiting_in_this_process_has_an_end_if_wanted() -> None:
    """Then one computes by oneself, and says so."""
    cache = MemoryCache()
    computing, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        computing.set()
        go_on.wait(10)
        return 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get_or_compute, "a", slow, ttl=_HOUR)
        assert computing.wait(10)
        policy = Policy(wait=timedelta(milliseconds=10))
        cached = cache.lookup("a", lambda: 2, ttl=_HOUR, policy=policy)
        go_on.set()
        assert (cached.value, cached.degraded, first.result(10)) == (2, True, 1)


def test_the_bounds_hold() -> None:
    """The least recently used go; what does not fit at all is not kept."""
    cache = MemoryCache(codec=TEXT, max_entries=3, max_bytes=5000)

    def has(key: str) -> bool:
        return cache.lookup(key, lambda: "computed", ttl=lambda _: None).value == "kept"

    for key in "abc":
        cache.get_or_compute(key, lambda: "kept", ttl=_HOUR)
    assert has("a")
    cache.get_or_compute("d", lambda: "kept", ttl=_HOUR)
    assert [key for key in "abcd" if has(key)] == ["a", "c", "d"]
    cached = cache.lookup("large", lambda: "x" * 6000, ttl=_HOUR)
    assert cached.reason.startswith("not stored")
    cache.get_or_compute("half", lambda: "x" * 4000, ttl=_HOUR)
    assert len(cache.store.table) <= 2
    assert cache.store.table.size <= 5000
    with pytest.raises(ValueError, match="at least 1"):
        MemoryCache(max_entries=0)


def test_marks_do_not_pile_up() -> None:
    """Those of keys that were only looked at are forgotten."""
    table = Table(10, 10_000, is_open=True)
    for number in range(5000):
        table.ticket(str(number), ())
    assert len(table._marks) < 2500
    ticket = table.ticket("a", ())
    table.kill([entry_mark("a")])
    assert ticket[0].dead


def test_what_cannot_change_is_handed_out_as_it_is() -> None:
    """No copy, no decoding."""
    cache = MemoryCache(codec=TEXT)
    values = [cache.get_or_compute("a", lambda: "x" * 99, ttl=_HOUR) for _ in range(4)]
    assert values[2] is values[3]


def test_a_forked_child_goes_on() -> None:
    """Also when a thread was computing, or held a lock, while it was forked."""
    cache = MemoryCache()
    computing, go_on = threading.Event(), threading.Event()
    cache.get_or_compute("b", lambda: 5, ttl=_HOUR)

    def slow() -> int:
        computing.set()
        go_on.wait(10)
        return 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get_or_compute, "a", slow, ttl=_HOUR)
        assert computing.wait(10)
        with cache.store._lock, cache.store.table._lock, cache._flights.lock:
            child = os.fork()
        if not child:
            found = cache.get_or_compute("a", lambda: 2, ttl=_HOUR)
            kept = cache.get_or_compute("b", lambda: 0, ttl=_HOUR)
            os._exit(0 if (found, kept) == (2, 5) else 1)
        assert os.waitpid(child, 0)[1] == 0
        go_on.set()
        assert first.result(10) == 1

"""What happens around the end of a value's life, by a clock in the test's hands."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.cache import Policy
from socialflow_core.cache.memory import MemoryCache
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from socialflow_core.cache import Cached

_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


def _numbering(cache: MemoryCache, policy: Policy) -> Callable[[], Cached[Any]]:
    numbers = itertools.count()
    return lambda: cache.lookup("a", numbers.__next__, ttl=_HOUR, policy=policy)


def test_a_stale_value_while_it_is_computed_anew() -> None:
    """Nobody waits; one computes in the background, and then the value is new."""
    clock = ManualClock()
    cache = MemoryCache(clock=clock)
    ask = _numbering(cache, Policy(stale_while_revalidate=_MINUTE))
    assert ask().value == 0
    clock.advance(_HOUR)
    stale = ask()
    assert (stale.value, stale.age, stale.degraded) == (0, _HOUR, True)
    wait_until(lambda: not ask().degraded, "it is computed anew")
    assert ask().value == 1
    clock.advance(_HOUR + _MINUTE)
    assert ask().source == "computed"


def test_no_thread_to_compute_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stale value is handed out, and whoever asks next tries again."""
    clock = ManualClock()
    cache = MemoryCache(clock=clock)
    ask = _numbering(cache, Policy(stale_while_revalidate=_MINUTE))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ask()
    clock.advance(_HOUR)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert {(ask().value, ask().degraded) for _ in range(9)} == {(0, True)}
    monkeypatch.undo()
    wait_until(lambda: not ask().degraded, "it is computed anew")


def test_computing_ahead_of_time_holds_up_one_caller() -> None:
    """The others have the value that is still fresh."""
    clock = ManualClock()
    cache = MemoryCache(clock=clock)
    policy = Policy(early=100.0)
    computing, go_on = threading.Event(), threading.Event()

    def first() -> str:
        clock.advance(_MINUTE)
        return "old"

    def again() -> str:
        computing.set()
        go_on.wait()
        return "new"

    def ask() -> str:
        return cache.get_or_compute("a", again, ttl=_HOUR, policy=policy)

    cache.get_or_compute("a", first, ttl=_HOUR, policy=policy)
    cache._front._uniform = lambda: 1.0 - 1e-12  # sure to be early
    found: list[str] = []
    one = threading.Thread(target=lambda: found.append(ask()))
    one.start()
    computing.wait()
    assert {ask() for _ in range(5)} == {"old"}
    go_on.set()
    one.join()
    assert found == ["new"]


def test_a_refresh_that_fails_leaves_the_stale_value() -> None:
    """Until its time is over; the claim ends, so that the next can try."""
    clock = ManualClock()
    cache = MemoryCache(clock=clock)
    policy = Policy(stale_while_revalidate=_MINUTE)
    tried = []

    def fail() -> int:
        tried.append(1)
        raise LookupError

    cache.get_or_compute("a", lambda: 1, ttl=_HOUR, policy=policy)
    clock.advance(_HOUR)

    def tried_twice() -> bool:
        assert cache.get_or_compute("a", fail, ttl=_HOUR, policy=policy) == 1
        return len(tried) > 1

    wait_until(tried_twice, "it is tried again")
    clock.advance(_MINUTE)
    wait_until(lambda: not cache.store._claims, "the last try has ended")
    with pytest.raises(LookupError):
        cache.get_or_compute("a", fail, ttl=_HOUR, policy=policy)


def test_a_stale_value_if_computing_fails() -> None:
    """Within its time, and with the reason."""
    clock = ManualClock()
    cache = MemoryCache(clock=clock)
    policy = Policy(stale_if_error=_MINUTE)

    def fail() -> int:
        raise LookupError

    cache.get_or_compute("a", lambda: 1, ttl=_HOUR, policy=policy)
    clock.advance(_HOUR)
    cached = cache.lookup("a", fail, ttl=_HOUR, policy=policy)
    assert (cached.value, "failed" in cached.reason) == (1, True)
    clock.advance(_MINUTE)
    with pytest.raises(LookupError):
        cache.lookup("a", fail, ttl=_HOUR, policy=policy)


def test_a_value_that_took_long_is_computed_early() -> None:
    """With the chance of XFetch: sooner or later one caller does, before the end."""
    clock = ManualClock()
    cache = MemoryCache(clock=clock)
    numbers = itertools.count()

    def slow() -> int:
        clock.advance(_MINUTE)
        return next(numbers)

    policy = Policy(early=1.0)
    cache.get_or_compute("a", slow, ttl=_HOUR, policy=policy)
    clock.advance(_HOUR - _MINUTE)
    ages = [cache.lookup("a", slow, ttl=_HOUR, policy=policy).age for _ in range(200)]
    # A chance of 1/e for each: never once in 200 times is less likely than 1e-39.
    assert timedelta(0) in ages
    never = Policy(early=0)
    cache.invalidate("a")
    cache.get_or_compute("a", slow, ttl=_HOUR, policy=never)
    clock.advance(_HOUR - timedelta(microseconds=1))
    found = {cache.get_or_compute("a", slow, ttl=_HOUR, policy=never) for _ in range(200)}
    assert len(found) == 1

"""Everything that happens to a Redis under a cache in use.

Whatever happens: no error reaches the caller, every answer is right, no call takes longer than
the deadline and its computation, what is amiss is said, and the server is used again when it is well.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core._kit.observe import subscribe
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache
from socialflow_core.testing.cache import BlockingCache
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from socialflow_core._kit.observe import Fact

_HOUR = timedelta(hours=1)
_DEADLINE = timedelta(milliseconds=200)
_SLACK = 0.25  # what a busy machine may add


@contextmanager
def killed(server: Valkey) -> Iterator[None]:
    """SIGKILL, and another process on the same port; it knows nothing."""
    server.kill()
    yield
    server.restart()


@contextmanager
def frozen(server: Valkey) -> Iterator[None]:
    """SIGSTOP, SIGCONT."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def flushed(server: Valkey) -> Iterator[None]:
    """FLUSHALL."""
    server.command("FLUSHALL")
    yield


@contextmanager
def scripts_flushed(server: Valkey) -> Iterator[None]:
    """SCRIPT FLUSH."""
    server.command("SCRIPT", "FLUSH")
    yield


@contextmanager
def full(server: Valkey) -> Iterator[None]:
    """Maxmemory is reached, with noeviction."""
    server.command("CONFIG", "SET", "maxmemory", 1)
    yield
    server.command("CONFIG", "SET", "maxmemory", 0)


@contextmanager
def read_only(server: Valkey) -> Iterator[None]:
    """It became the replica of another server."""
    with Valkey() as primary:
        server.command("CONFIG", "SET", "replica-read-only", "yes")
        server.command("REPLICAOF", primary.host, primary.port)
        yield
        server.command("REPLICAOF", "NO", "ONE")


@contextmanager
def cut_off(server: Valkey) -> Iterator[None]:
    """CLIENT KILL: every connection is gone, the one that hears invalidations too."""
    server.command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "yes")
    yield


FAULTS = {
    fault.__name__: fault
    for fault in (killed, frozen, flushed, scripts_flushed, full, read_only, cut_off)
}
UNSEEN = {"flushed", "scripts_flushed", "cut_off"}


@pytest.fixture
def server() -> Iterator[Valkey]:
    """A server of the test's own."""
    with Valkey() as server:
        yield server


class Truth:
    """What there is to know: each key's version."""

    def __init__(self) -> None:
        self.versions = dict.fromkeys("abc", 0)

    def check(self, cache: Any) -> list[Any]:
        """Ask for all, and see that all is right and quick; what was said."""
        told = []
        for key, version in self.versions.items():
            began = time.monotonic()
            compute = partial(int, version)
            cached = cache.lookup(key, compute, ttl=_HOUR, tags=("x",))
            assert time.monotonic() - began < _DEADLINE.total_seconds() + _SLACK
            assert cached.value == version
            told.append(cached)
        return told

    def change(self, cache: Any, *, by_tag: bool) -> None:
        """Change all, and say so."""
        for key in self.versions:
            self.versions[key] += 1
        if by_tag:
            cache.invalidate_tags("x")
        else:
            cache.invalidate(*self.versions)


def build(kind: str, url: str) -> Any:
    """A cache of that kind."""
    local = kind.endswith("local")
    if kind.startswith("sync"):
        return RedisCache.from_url(url, deadline=_DEADLINE, local=local)
    return BlockingCache(AsyncRedisCache.from_url(url, deadline=_DEADLINE, local=local))


@pytest.mark.parametrize("kind", ["sync", "async", "sync local", "async local"])
@pytest.mark.parametrize("name", FAULTS)
def test_answers_are_right_whatever_happens(server: Valkey, kind: str, name: str) -> None:
    """Before a fault, in it, and after it, invalidations of its time included."""
    cache, truth = build(kind, server.url), Truth()
    try:
        for _ in range(3):
            truth.check(cache)
        truth.change(cache, by_tag=False)
        truth.check(cache)
        told: list[Any] = []
        with FAULTS[name](server):
            for by_tag in (False, True):
                truth.check(cache)
                truth.change(cache, by_tag=by_tag)
                told = truth.check(cache)
            if name not in UNSEEN:
                assert all(cached.degraded for cached in told)

        def well() -> bool:
            return not any(cached.degraded for cached in truth.check(cache))

        wait_until(well, "the server is used again")
        wait_until(
            lambda: all(cached.source != "computed" for cached in truth.check(cache)),
            "values are kept again",
        )
    finally:
        cache.close()


def test_single_flight_holds_while_redis_is_away(server: Valkey) -> None:
    """Each process computes once for all of its callers."""
    cache = RedisCache.from_url(server.url, deadline=_DEADLINE, local=False)
    cache.get_or_compute("warm", lambda: 1, ttl=_HOUR)
    server.kill()
    gate, calls, told = threading.Barrier(20), [], []

    def compute() -> int:
        calls.append(1)
        time.sleep(0.1)  # as something slow would take
        return 7

    def ask() -> None:
        gate.wait()
        told.append(cache.lookup("a", compute, ttl=_HOUR))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ({cached.value for cached in told}, len(calls)) == ({7}, 1)
    assert all(cached.degraded for cached in told)
    cache.close()


def test_what_one_could_not_drop_others_do_not_see_for_long(server: Valkey) -> None:
    """An invalidation of an outage is made up for when Redis is back."""
    here, there = (RedisCache.from_url(server.url, deadline=_DEADLINE) for _ in range(2))
    try:
        for cache in (here, there):
            cache.get_or_compute("a", lambda: "old", ttl=_HOUR)
        server.freeze()
        try:
            assert here.invalidate("a") is False
        finally:
            server.thaw()
        wait_until(
            lambda: there.get_or_compute("a", lambda: "new", ttl=_HOUR) == "new",
            "it is made up for",
        )
    finally:
        here.close()
        there.close()


def test_a_server_that_remembers_too_much_is_not_believed(tmp_path: Any) -> None:
    """After a restart from a snapshot, what is in it may have been invalidated since."""
    with Valkey(config={"dir": str(tmp_path)}) as server:
        cache = RedisCache.from_url(server.url, deadline=_DEADLINE, local=False)
        try:
            cache.get_or_compute("a", lambda: "old", ttl=_HOUR)
            server.command("SAVE")
            cache.invalidate("a")
            server.kill()
            assert cache.lookup("b", lambda: 1, ttl=_HOUR).degraded
            server.restart()
            assert server.command("EXISTS", "{cache1}:e:a") == 1
            wait_until(
                lambda: not cache.lookup("b", lambda: 1, ttl=_HOUR).degraded, "it is used again"
            )
            wait_until(
                lambda: cache.get_or_compute("a", lambda: "new", ttl=_HOUR) == "new", "it is new"
            )
        finally:
            cache.close()


class Ear:
    """Hears all that a cache tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_fact(self, fact: Fact, /) -> None:
        """Hear."""
        self.told.append(repr(fact))

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """Hear."""
        self.told.append(f"{name} {by} {dict(attributes)}")

    def on_span(self, name: str, attributes: Mapping[str, object], /) -> Any:
        """Hear."""
        raise AssertionError(name, attributes)


def test_keys_and_values_are_told_to_nobody(
    server: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in logs, counters, facts or reasons; an outage is told once, and its end."""
    caplog.set_level(logging.DEBUG)
    ear, secret = Ear(), "s3cret-token"
    end = subscribe(ear)
    cache = RedisCache.from_url(server.url, deadline=_DEADLINE)
    try:

        def ask(value: object) -> str:
            return cache.lookup(secret, lambda: value, ttl=_HOUR, tags=(secret,)).reason

        reasons = [ask(object()), ask(secret), ask(secret)]
        server.kill()
        reasons += [ask(secret), ask(secret)]
        cache.invalidate(secret)
        server.restart()
        wait_until(lambda: not ask(secret), "it is back")
    finally:
        cache.close()
        end()
    everything = "\n".join([*ear.told, *reasons, caplog.text])
    assert secret not in everything
    store = [line for line in ear.told if "name='store'" in line]
    assert [("degraded" in line, "recovered" in line) for line in store] == [
        (True, False),
        (False, True),
    ]

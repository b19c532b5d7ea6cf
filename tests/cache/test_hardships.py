"""What threads, other writers, other users and late failures do to a cache in Redis."""

from __future__ import annotations

import struct
import threading
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis

from socialflow_core.cache import Policy
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache
from socialflow_core.redislink.redis import Endpoint, RedisLink
from socialflow_core.testing.cache import BlockingCache
from socialflow_core.testing.faults import Blackhole, Pass
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.servers.valkey import Valkey
from tests.cache.kit import local_hit
from tests.redislink.kit import Provider

if TYPE_CHECKING:
    from tests.cache.kit import Make

_HOUR = timedelta(hours=1)
_PATIENT = timedelta(seconds=10)
_HEAD = struct.Struct(">BBQQQIB")


class Held(RedisCache):
    """A cache whose next reply from Redis waits in its hands."""

    def hold(self) -> tuple[threading.Event, threading.Event]:
        """The events: a reply has come, and it may go on."""
        came, go_on, real = threading.Event(), threading.Event(), self._link.call

        def call(*what: Any) -> Any:
            reply = real(*what)
            self._link.call = real  # type: ignore[method-assign]  # -- the schedule of this test
            came.set()
            go_on.wait()
            return reply

        self._link.call = call  # type: ignore[method-assign,assignment]  # -- as above
        return came, go_on


def test_what_was_read_before_anybody_listened_is_not_kept(make: Make, valkey: Valkey) -> None:
    """Nobody heard whether it was invalidated before the local tier opened."""
    other = make()
    other.get_or_compute("a", lambda: "old", ttl=_HOUR)
    link = RedisLink.from_url(valkey.url)
    cache = Held(link, endpoint=Endpoint.from_url(valkey.url))
    came, go_on = cache.hold()
    start, cache._tier.listener.start = cache._tier.listener.start, lambda: None  # type: ignore[union-attr,method-assign]  # -- the schedule of this test
    found: list[str] = []
    reader = threading.Thread(
        target=lambda: found.append(cache.get_or_compute("a", lambda: "?", ttl=_HOUR))
    )
    try:
        reader.start()
        came.wait()
        other.invalidate("a")
        other.get_or_compute("a", lambda: "new", ttl=_HOUR)
        start()
        wait_until(lambda: cache.is_local, "it listens")
        go_on.set()
        reader.join()
        assert found == ["old"]  # it asked before the invalidation
        assert local_hit(cache) == "new"
    finally:
        go_on.set()
        cache.close()


def test_an_invalidation_that_fails_when_the_outage_is_over(make: Make, valkey: Valkey) -> None:
    """Its connection was lost with the others, it noticed last: it is made good all the same."""
    other, told = make(), list[bool]()
    warm, first, second = threading.Barrier(3), threading.Event(), threading.Event()
    with FaultProxy(valkey.host, valkey.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        cache = RedisCache.from_url(url, deadline=timedelta(milliseconds=600), local=False)

        def ask() -> None:
            cache.get_or_compute("b", lambda: 1, ttl=_HOUR)
            warm.wait()
            first.wait()
            cache.get_or_compute("b", lambda: 1, ttl=_HOUR)

        def drop() -> None:
            cache.get_or_compute("a", lambda: "old", ttl=_HOUR)
            warm.wait()
            second.wait()
            told.append(cache.invalidate("a"))

        asking, dropping = threading.Thread(target=ask), threading.Thread(target=drop)
        try:
            asking.start()
            dropping.start()
            warm.wait()
            proxy.fault = Blackhole()
            first.set()
            # Half of a deadline later, so that the one ends while the other still waits.
            asking.join(0.3)
            second.set()
            asking.join()
            # What was sent is lost for good; what comes now arrives.
            proxy.fault = Pass()
            dropping.join()
            assert told == [True]
            assert other.get_or_compute("a", lambda: "new", ttl=_HOUR) == "new"
            assert not cache.lookup("a", lambda: "?", ttl=_HOUR).degraded
        finally:
            cache.close()


@pytest.mark.parametrize("kind", [RedisCache, AsyncRedisCache])
def test_what_is_owed_is_paid_by_the_next_who_reads(kind: Any, valkey: Valkey) -> None:
    """Whatever kept it from being paid when the store came back."""
    cache: Any = kind.from_url(valkey.url, deadline=_PATIENT, local=False)
    shared = cache._store._shared
    if kind is AsyncRedisCache:
        cache = BlockingCache(cache)
    try:
        cache.get_or_compute("a", lambda: "old", ttl=_HOUR)
        shared.away()
        shared.owe(shared.names.dropped(["a"], []))
        assert cache.lookup("a", lambda: "new", ttl=_HOUR).value == "new"
        assert not shared.is_owing
        wait_until(lambda: cache.lookup("a", lambda: "?", ttl=_HOUR).source == "redis", "it is")
        assert not shared._is_away
    finally:
        cache.close()


@pytest.mark.parametrize("early", [0.0, 100.0])
def test_what_takes_longer_than_its_claim(make: Make, early: float) -> None:
    """It is stored all the same, unless somebody else began meanwhile, or it was invalidated."""
    one, other = make(), make()
    policy = Policy(lock_ttl=timedelta(milliseconds=50), early=early)
    waited = threading.Event()

    def slow() -> str:
        waited.wait(0.2)
        return "slow"

    assert one.lookup("a", slow, ttl=_HOUR, policy=policy).reason == ""
    assert other.lookup("a", lambda: "?", ttl=_HOUR).value == "slow"

    def overtaken() -> str:
        waited.wait(0.2)
        assert other.get_or_compute("b", lambda: "quick", ttl=_HOUR, policy=policy) == "quick"
        return "slow"

    assert "lock_ttl" in one.lookup("b", overtaken, ttl=_HOUR, policy=policy).reason
    assert other.lookup("b", lambda: "?", ttl=_HOUR).value == "quick"

    def invalidated() -> str:
        waited.wait(0.2)
        other.invalidate("c")
        return "slow"

    assert one.lookup("c", invalidated, ttl=_HOUR, policy=policy).reason
    assert other.lookup("c", lambda: "new", ttl=_HOUR).value == "new"


def test_a_user_who_may_not_ask_for_the_server(valkey: Valkey) -> None:
    """INFO is often taken away: the cache works, and drops everything after each outage."""
    valkey.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-@dangerous")
    url = urlsplit(valkey.url)
    cache = RedisCache.from_url(f"redis://app:pw@{url.hostname}:{url.port}/0", deadline=_PATIENT)
    try:
        assert local_hit(cache) == "computed"
        assert not cache.lookup("b", lambda: 1, ttl=_HOUR).degraded
        cache._store._recover()  # type: ignore[attr-defined]  # -- as after an outage
        assert cache.invalidate("b")
        wait_until(
            lambda: cache.get_or_compute("a", lambda: "new", ttl=_HOUR) == "new",
            "nothing of before is believed",
        )
    finally:
        cache.close()
        valkey.command("ACL", "DELUSER", "app")


def test_what_others_wrote_raises_nothing(make: Make, valkey: Valkey) -> None:
    """Versions that are no text, claims of no form, and an entry that inflates without end."""
    cache = make(max_value_bytes=10_000)
    client = redis.Redis.from_url(valkey.url)
    try:
        client.set("{cache1}:t:x", b"\xff\xfe", px=100_000)
        client.set("{cache1}:l:a", b"\xff", px=100_000)
        assert cache.get_or_compute("a", lambda: 1, ttl=_HOUR, tags=("x",)) == 1
        assert cache.lookup("a", lambda: 2, ttl=_HOUR, tags=("x",)).value == 1
        cache.get_or_compute("b", lambda: 1, ttl=_HOUR)
        told = client.get("{cache1}:e:b")
        assert isinstance(told, bytes)
        stamp, _, entry = told.partition(b"\n")
        _, _, fresh, keep, took, _, length = _HEAD.unpack_from(entry)
        size = 50_000_000
        head = _HEAD.pack(1, 0x80, fresh, keep, took, size, length) + b"json"
        bomb = zlib.compress(b'"' + b"a" * (size - 2) + b'"', 9)
        client.set("{cache1}:e:b", stamp + b"\n" + head + bomb, px=100_000)
        assert cache.get_or_compute("b", lambda: 2, ttl=_HOUR) == 2
    finally:
        client.close()


def test_for_ever_is_a_duration(make: Make) -> None:
    """What no store can count is a century."""
    policy = Policy(stale_if_error=timedelta.max, lock_ttl=timedelta.max)
    cache = make()
    for key in ("a", "b"):
        assert not cache.lookup(key, lambda: 1, ttl=timedelta.max, policy=policy).degraded
    assert cache.lookup("a", lambda: 2, ttl=timedelta.max, policy=policy).source == "redis"


@pytest.mark.parametrize("error", [LookupError("no password today"), SystemExit(3)])
def test_a_credential_provider_that_raises(error: BaseException) -> None:
    """The local tier is closed meanwhile, and opens again when the provider is well."""
    provider = Provider()
    with Valkey(password="right") as server:
        client = redis.Redis(host=server.host, port=server.port, credential_provider=provider)
        cache = RedisCache(RedisLink.from_client(client), endpoint=Endpoint.from_client(client))
        try:
            local_hit(cache)
            provider.error = error
            server.command("CLIENT", "KILL", "TYPE", "pubsub")
            server.command("CLIENT", "KILL", "TYPE", "normal")
            wait_until(lambda: provider.raised > 0 and not cache.is_local, "it is deaf")
            provider.error = None
            wait_until(lambda: local_hit(cache) is not None, "it hears again")
        finally:
            cache.close()
            client.close()


def test_no_thread_is_to_be_had(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no local tier, until one is."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "socialflow-cache-listener":
            raise RuntimeError("can't start new thread")
        start(thread)

    cache = RedisCache.from_url(valkey.url, deadline=_PATIENT)
    try:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            assert not cache.lookup("a", lambda: 1, ttl=_HOUR).degraded
        assert not cache.is_local
        monkeypatch.undo()
        local_hit(cache)
    finally:
        cache.close()

"""The local tier: no round trip, and never an old value that stays."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from socialflow_core._kit.observe import subscribe
from socialflow_core.cache.redis import RedisCache
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import Endpoint, RedisLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from tests.auth.ear import Ear
from tests.cache.kit import Make, local_hit

if TYPE_CHECKING:
    from socialflow_core.testing.servers.valkey import Valkey

_HOUR = timedelta(hours=1)
_PATIENT = timedelta(seconds=10)


def test_a_local_hit_is_no_round_trip(make: Make, valkey: Valkey) -> None:
    """The server hears nothing of it."""
    cache = make(local=True, heartbeat=timedelta(minutes=1))
    local_hit(cache)
    before = valkey.round_trips()
    for _ in range(100):
        assert cache.lookup("a", lambda: 2, ttl=_HOUR).source == "local"
    assert valkey.round_trips() == before


@pytest.mark.parametrize("how", ["key", "tag", "write", "flush", "expire"])
def test_an_invalidation_is_seen_everywhere(make: Make, valkey: Valkey, how: str) -> None:
    """Whoever does it, by whatever means, the local tiers drop it."""
    caches = [make(local=True) for _ in range(3)]
    for cache in caches:
        local_hit(cache, tags=("x",))
    name = "{cache1}:e:a"
    done: dict[str, Any] = {
        "key": lambda: caches[0].invalidate("a"),
        "tag": lambda: caches[0].invalidate_tags("x"),
        "write": lambda: valkey.command("SET", name, "garbage\n"),
        "flush": lambda: valkey.command("FLUSHALL"),
        "expire": lambda: valkey.command("PEXPIRE", name, 1),
    }
    done[how]()
    for cache in caches:
        wait_until(
            lambda: cache.get_or_compute("a", lambda: "new", ttl=_HOUR, tags=("x",)) == "new",  # noqa: B023 -- used at once
            "the old value is gone",
        )


def test_a_value_read_before_an_invalidation_does_not_stay(make: Make) -> None:
    """However they interleave: once all is quiet, everybody has the newest value."""
    truth, stop = [0], threading.Event()
    caches = [make(local=True) for _ in range(3)]
    for cache in caches:
        local_hit(cache, "warm")

    def ask(cache: RedisCache) -> None:
        while not stop.is_set():
            cache.get_or_compute("a", lambda: truth[0], ttl=_HOUR)

    readers = [threading.Thread(target=ask, args=(cache,)) for cache in caches]
    for reader in readers:
        reader.start()
    for number in range(1, 100):
        truth[0] = number
        caches[number % 3].invalidate("a")
        # Read-your-writes: here at once, elsewhere as soon as it is pushed.
        assert caches[number % 3].get_or_compute("a", lambda: truth[0], ttl=_HOUR) == number
    stop.set()
    for reader in readers:
        reader.join()
    for cache in caches:
        wait_until(
            lambda: cache.get_or_compute("a", lambda: -1, ttl=_HOUR) == 99,  # noqa: B023 -- used at once
            "it is the newest",
        )
        assert local_hit(cache) == 99


def test_a_lost_connection_drops_the_local_tier(valkey: Valkey) -> None:
    """At once, and it is used again only when it listens again."""
    with FaultProxy(valkey.host, valkey.port) as proxy:
        link = RedisLink.from_url(valkey.url, LinkOptions(deadline=_PATIENT))
        endpoint = Endpoint.from_url(f"redis://{proxy.host}:{proxy.port}/0")
        cache = RedisCache(link, endpoint=endpoint)
        local_hit(cache)
        proxy.cut()
        wait_until(lambda: not cache.is_local, "the tier is dropped")
        assert len(cache._tier.table) == 0
        wait_until(lambda: cache.is_local, "it listens again")
        assert local_hit(cache) == "computed"
        cache.close()


def test_what_took_long_is_local_too(make: Make, valkey: Valkey) -> None:
    """The dearer a value, the more its hits are worth: they take no trip, until it is due early."""
    cache = make(local=True, heartbeat=timedelta(minutes=1))
    local_hit(cache, "warm")

    def dear() -> str:
        threading.Event().wait(0.3)
        return "dear"

    ttl = timedelta(seconds=10)  # some seconds before its end it may be due
    wait_until(lambda: cache.lookup("a", dear, ttl=ttl).source == "local", "it is local")
    before = valkey.round_trips()
    found = [cache.lookup("a", dear, ttl=ttl).source for _ in range(100)]
    assert set(found) == {"local"}
    assert {cache.get_or_compute("a", dear, ttl=ttl) for _ in range(100)} == {"dear"}
    assert valkey.round_trips() == before


def test_a_server_that_may_not_push(valkey: Valkey) -> None:
    """It is told, once, with the server's own word, and not asked ten times a second."""
    valkey.command("ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client|tracking")
    url = urlsplit(valkey.url)
    ear = Ear()
    leave = subscribe(ear)
    cache = RedisCache.from_url(f"redis://app:pw@{url.hostname}:{url.port}/0", deadline=_PATIENT)
    try:
        cache.get_or_compute("a", lambda: 1, ttl=_HOUR)
        wait_until(lambda: bool(ear.facts), "it is told")
        made = _connections(valkey)
        for _ in range(30):
            assert cache.lookup("a", lambda: 2, ttl=_HOUR).source == "redis"
            threading.Event().wait(0.02)
        assert _connections(valkey) <= made + 1  # that of asking
        (told,) = ear.facts
        assert (told.state, "NOPERM" in told.reason, "app" in told.reason) == (
            "degraded",
            True,
            False,
        )
    finally:
        leave()
        cache.close()
        valkey.command("ACL", "DELUSER", "app")


def _connections(valkey: Valkey) -> int:
    return int(valkey.info("stats")["total_connections_received"])

"""Everything that happens to a Redis, and to the way to it, under a lock that is held.

Whatever happens: the holder learns that it can no longer count on the lock before anybody
else can have it, whoever has it next has a higher fence, and asking raises one error only.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from socialflow_core.locks import Locks, LockTakenError, Tries, UnavailableError
from socialflow_core.locks.redis import AsyncRedisLocks, RedisLocks
from socialflow_core.testing.faults import Blackhole, DropReplies, Fault, Pass, Reset, Unreachable
from socialflow_core.testing.locks import Blocking
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.locks import Held

TTL = timedelta(milliseconds=800)
ANSWER = timedelta(milliseconds=150)
PATIENT = Tries(1_000, wait=timedelta(milliseconds=10), spread=timedelta(milliseconds=10))
SLACK = 0.4  # what a busy machine may add


class Place(NamedTuple):
    """A server, the way to it, and locks at its end."""

    server: Valkey
    proxy: FaultProxy
    locks: Locks


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    """One that may be killed."""
    with Valkey() as server:
        yield server


@pytest.fixture(params=["sync", "async"])
def place(request: pytest.FixtureRequest, server: Valkey) -> Iterator[Place]:
    """A lock store that will be in trouble."""
    server.command("FLUSHALL")
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(server.host, server.port))
        url = f"redis://127.0.0.1:{proxy.port}"
        if request.param == "sync":
            sync = RedisLocks.from_url(url, timeout=ANSWER)
            stack.callback(sync.close)
            yield Place(server, proxy, sync)
        else:
            blocking = Blocking(AsyncRedisLocks.from_url(url, timeout=ANSWER))
            stack.callback(blocking.close)
            yield Place(server, proxy, blocking)


def taken(place: Place) -> Held:
    """A lock that is held."""
    held = place.locks.try_lock("a", ttl=TTL)
    assert held is not None
    return held


def assert_lost_in_time(held: Held, began: float) -> None:
    """It is lost, and was before the ttl of a last renewal could have passed."""
    assert held.lost.wait(TTL.total_seconds() + SLACK)
    assert time.monotonic() - began < TTL.total_seconds() + SLACK
    assert held.is_lost


def test_a_frozen_server_is_a_lost_lock(place: Place) -> None:
    """Our own clock says so, as nobody else does; asking raises; later somebody else has it."""
    held, began = taken(place), time.monotonic()
    place.server.freeze()
    try:
        with pytest.raises(UnavailableError):
            place.locks.try_lock("b")
        assert_lost_in_time(held, began)
        assert not held.release()
    finally:
        place.server.thaw()
    with place.locks.lock("a", tries=PATIENT) as other:
        assert other.fence > held.fence
    assert held.is_lost


def test_a_killed_server_is_a_lost_lock(place: Place) -> None:
    """Once it is back, empty, whoever comes first has the lock, with a higher fence."""
    held, began = taken(place), time.monotonic()
    place.server.kill()
    try:
        with pytest.raises(UnavailableError):
            place.locks.lock("b", tries=Tries(2, wait=timedelta(0), spread=timedelta(0)))
        assert_lost_in_time(held, began)
    finally:
        place.server.restart()
    with place.locks.lock("a", tries=PATIENT) as other:
        assert other.fence > held.fence
        assert not held.release()
        assert place.locks.try_lock("a") is None


def test_a_flush_is_a_lost_lock(place: Place) -> None:
    """Somebody else may have it at once, with a higher fence; the holder hears of it soon."""
    held = taken(place)
    place.server.command("FLUSHALL")
    with place.locks.lock("a", tries=PATIENT) as other:
        assert other.fence > held.fence
        assert held.lost.wait(TTL.total_seconds() / 3 + SLACK)
        assert not held.release()
        assert not other.is_lost


@pytest.mark.parametrize("fault", [Blackhole(), DropReplies(), Reset(), Unreachable()])
def test_a_short_outage_is_survived(place: Place, fault: Fault) -> None:
    """If a renewal is confirmed before the ttl is over, nothing happened."""
    with taken(place) as held:
        place.proxy.fault = fault
        place.proxy.cut()
        assert not held.lost.wait(0.5 * TTL.total_seconds())
        place.proxy.fault = Pass()
        place.proxy.cut()
        assert not held.lost.wait(1.5 * TTL.total_seconds())
        assert place.locks.try_lock("a") is None


@pytest.mark.parametrize("fault", [Blackhole(), DropReplies(), Reset(), Unreachable()])
def test_a_long_outage_is_a_lost_lock(place: Place, fault: Fault) -> None:
    """However the way is broken, and also if requests arrive and only answers do not."""
    held, began = taken(place), time.monotonic()
    place.proxy.fault = fault
    place.proxy.cut()
    assert_lost_in_time(held, began)
    place.proxy.fault = Pass()
    place.proxy.cut()
    with place.locks.lock("a", tries=PATIENT) as other:
        assert other.fence > held.fence


def test_a_lost_answer_is_no_lost_lock(place: Place) -> None:
    """Who took the lock and did not hear of it has it at the next try, not somebody else."""
    place.locks.lock("warm").release()
    place.proxy.fault = DropReplies()
    threading.Timer(0.5, lambda: setattr(place.proxy, "fault", Pass())).start()
    with place.locks.lock("a", ttl=timedelta(minutes=1), tries=PATIENT) as held:
        fence = place.server.command("GET", "{lk1:a}fence")
        assert fence == str(held.fence)
        assert not held.is_lost


@pytest.mark.parametrize(
    "trouble", [("CONFIG", "SET", "maxmemory", 1), ("REPLICAOF", "127.0.0.1", 1)]
)
def test_a_server_that_takes_nothing_is_away(place: Place, trouble: tuple[str | int, ...]) -> None:
    """Full, or read-only: nobody can take a lock, and the error is the one of every outage."""
    place.server.command("CONFIG", "SET", "replica-serve-stale-data", "yes")
    place.server.command(*trouble)
    try:
        with pytest.raises(UnavailableError) as caught:
            place.locks.lock("a", tries=Tries(2, wait=timedelta(0), spread=timedelta(0)))
        assert isinstance(caught.value.__cause__, redis.RedisError)
    finally:
        place.server.command("CONFIG", "SET", "maxmemory", 0)
        place.server.command("REPLICAOF", "NO", "ONE")
    with place.locks.lock("a", tries=PATIENT):
        pass


def test_an_answer_that_comes_too_late_is_none(server: Valkey) -> None:
    """If the lock could have ended before we heard of it, it was not taken."""
    server.command("FLUSHALL")
    client = redis.Redis(host=server.host, port=server.port, socket_timeout=None)
    locks = RedisLocks(client)
    locks.lock("warm").release()
    server.freeze()
    threading.Timer(0.3, server.thaw).start()
    with pytest.raises(UnavailableError) as caught:
        locks.lock("a", ttl=timedelta(milliseconds=100))
    assert caught.value.sent
    locks.lock("a", tries=PATIENT).release()
    locks.close()


def test_a_client_that_waits_for_ever_does_not_hide_a_loss(server: Valkey) -> None:
    """A renewal may hang as long as it likes: the clock is read by somebody else."""
    server.command("FLUSHALL")
    client = redis.Redis(
        host=server.host, port=server.port, socket_timeout=None, retry=Retry(NoBackoff(), 0)
    )
    locks = RedisLocks(client)
    held, began = locks.lock("a", ttl=TTL), time.monotonic()
    server.freeze()
    try:
        assert_lost_in_time(held, began)
    finally:
        server.thaw()
    assert not held.release()
    wait_until(
        lambda: not any(each.name == "locks-renewal" for each in threading.enumerate()),
        "the renewal has ended",
    )
    with pytest.raises(LockTakenError), locks.lock("a"):
        locks.lock("a", tries=Tries(1))
    locks.close()

"""What is special about locks in Redis."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio

from socialflow_core.locks import LockTakenError, Tries
from socialflow_core.locks._script import FENCE_KEPT_MS
from socialflow_core.locks.memory import AsyncMemoryLocks, MemoryLocks
from socialflow_core.locks.redis import AsyncRedisLocks, RedisLocks
from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey

LONG = timedelta(hours=1)
NOW = Tries(1)


@pytest.fixture
def locks(valkey: Valkey) -> Iterator[RedisLocks]:
    """On an empty server."""
    locks = RedisLocks.from_url(valkey.url)
    yield locks
    locks.close()


def test_one_trip_each(valkey: Valkey, locks: RedisLocks) -> None:
    """Taking, finding it taken, and releasing ask once: lock and fence are one script."""
    locks.lock("a").release()  # connects, and loads the scripts
    before = valkey.round_trips()
    held = locks.lock("a", ttl=LONG)
    assert locks.try_lock("a") is None
    held.release()
    assert valkey.round_trips() - before == 3


def test_what_is_stored(valkey: Valkey, locks: RedisLocks) -> None:
    """A key with the ttl and nobody's name, and the fence, which is forgotten after a week."""
    with locks.lock("a", ttl=LONG) as held:
        assert valkey.command("DBSIZE") == 2
        assert valkey.command("GET", "{lk1:a}fence") == str(held.fence)
        assert 0 < int(str(valkey.command("PTTL", "{lk1:a}lock"))) <= 3_600_000
        assert 0 < int(str(valkey.command("PTTL", "{lk1:a}fence"))) <= FENCE_KEPT_MS
    assert valkey.command("EXISTS", "{lk1:a}lock") == 0


def test_the_fence_outlives_a_clock_that_went_back(valkey: Valkey, locks: RedisLocks) -> None:
    """The number that is kept is the other floor; what is no number is not one."""
    valkey.command("SET", "{lk1:a}fence", 2**52)
    with locks.lock("a") as held:
        assert held.fence == 2**52 + 1
    valkey.command("SET", "{lk1:a}fence", "rubbish")
    with locks.lock("a") as held:
        assert 0 < held.fence < 2**52


def test_renewing_is_redis_pys(valkey: Valkey, locks: RedisLocks) -> None:
    """The ttl begins anew each time, and the token stays."""
    with locks.lock("a", ttl=timedelta(milliseconds=900)) as held:
        token = valkey.command("GET", "{lk1:a}lock")
        assert not held.lost.wait(1.2)
        assert valkey.command("GET", "{lk1:a}lock") == token
        assert int(str(valkey.command("PTTL", "{lk1:a}lock"))) > 300


@pytest.mark.parametrize("decode", [True, False])
def test_a_client_stays_its_owners(valkey: Valkey, *, decode: bool) -> None:
    """Whether it decodes answers or not."""
    client = redis.Redis.from_url(valkey.url, decode_responses=decode)
    with RedisLocks(client, prefix="mine").lock("a", ttl=LONG) as held:
        assert held.fence > 0
        with pytest.raises(LockTakenError):
            RedisLocks(client, prefix="mine").lock("a", tries=NOW)
        RedisLocks(client, prefix="other").lock("a", tries=NOW).release()
    assert client.ping()
    client.close()


@pytest.mark.parametrize("decode", [True, False])
def test_an_async_client_stays_its_owners(valkey: Valkey, *, decode: bool) -> None:
    """As a sync one does; and the two meet."""

    async def main() -> None:
        client = redis.asyncio.Redis.from_url(valkey.url, decode_responses=decode)
        async with AsyncRedisLocks(client).lock("a", ttl=LONG) as held:
            assert held.fence > 0
            with RedisLocks.from_url(valkey.url) as sync:
                assert sync.try_lock("a") is None
        assert await client.ping()
        await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("url", ["http://x", "redis://u:s3cret@host:bad/0", "redis//", ""])
def test_a_url_that_is_none_is_not_repeated(url: str) -> None:
    """It may hold a password."""
    for kind in (RedisLocks, AsyncRedisLocks):
        with pytest.raises(ValueError, match="not the URL") as caught:
            kind.from_url(url)
        assert "s3cret" not in repr(caught.value)
        assert caught.value.__context__ is None


def test_a_url_of_valkey_is_one(valkey: Valkey) -> None:
    """The same server by its own name."""
    with RedisLocks.from_url(valkey.url.replace("redis://", "valkey://")) as locks:
        assert locks.lock("a").release()


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_try_that_is_cancelled_keeps_nothing(valkey: Valkey, steps: int) -> None:
    """Whenever that is: once the client is closed, the lock is either the caller's or free."""

    async def main() -> bool:
        async with AsyncRedisLocks.from_url(valkey.url) as locks:
            async with locks.lock("warm"):
                pass
            trying = asyncio.ensure_future(locks.try_lock("a", ttl=LONG))
            for _ in range(steps):
                await asyncio.sleep(0)
            trying.cancel()
            try:
                held = await trying
            except asyncio.CancelledError:
                return False
            assert held is not None
            await held.release()
            return True

    asyncio.run(main())
    assert valkey.command("EXISTS", "{lk1:a}lock") == 0


def test_a_child_waits_for_no_lock_of_the_pool(valkey: Valkey) -> None:
    """Another thread may have held it during the fork, and is not there to let it go."""
    first = RedisLocks.from_url(valkey.url)  # redis-py keeps the first client for ever
    first.lock("a").release()
    locks = RedisLocks.from_url(valkey.url)
    locks.lock("a").release()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with locks._client.connection_pool._lock:
            inside.set()
            leave.wait()

    holding = threading.Thread(target=hold)
    holding.start()
    inside.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the thread does not survive the fork is the point
        child = os.fork()
        if child == 0:
            os._exit(0 if locks.lock("b").release() else 1)
    ended: list[int] = []

    def has_ended() -> bool:
        process, status = os.waitpid(child, os.WNOHANG)
        ended.extend([status] * bool(process))
        return bool(process)

    try:
        wait_until(has_ended, "the child has ended")
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        leave.set()
        holding.join()
        locks.close()
        first.close()
    assert ended == [0]


def test_a_loss_is_told_once_and_names_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """One WARNING; a name may say too much."""
    locks = MemoryLocks()
    with caplog.at_level(logging.WARNING), locks.lock("s3cret", ttl=timedelta(seconds=0.1)) as held:
        locks.take_away("s3cret")
        assert held.lost.wait(10)
        assert held.is_lost
    assert [record.name for record in caplog.records] == ["socialflow_core.locks"]
    assert "s3cret" not in caplog.text
    assert repr(held) == f"<ThreadHeld fence={held.fence} lost>"


def test_memory_is_shared_by_both_worlds() -> None:
    """What an event loop holds, a thread does not get."""
    locks = MemoryLocks()

    async def main() -> None:
        async with AsyncMemoryLocks(locks).lock("a", ttl=LONG) as held:
            assert locks.try_lock("a") is None
            assert repr(held) == f"<TaskHeld fence={held.fence}>"

    asyncio.run(main())
    assert locks.lock("a").release()

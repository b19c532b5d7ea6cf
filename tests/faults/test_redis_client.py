"""What happens to the process that counts in Redis: clocks, forks, cancelled tasks, ended loops."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter, shared
from socialflow_core.testing.certificates import Authority
from socialflow_core.testing.faults import Delay
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from tests.redislink.limiters import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from socialflow_core.testing.servers.valkey import Valkey

_PATIENT = timedelta(seconds=10)
API = Limit("api", Rate(20, per=timedelta(hours=1)))


def server_time(valkey: Valkey) -> int:
    """Its clock, in microseconds."""
    told = valkey.command("TIME")
    assert isinstance(told, list)
    seconds, microseconds = (int(str(part)) for part in told)
    return seconds * 1_000_000 + microseconds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hours", [-1, 1])
def test_the_servers_clock_decides(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch, kind: str, hours: int
) -> None:
    """A client whose clock is an hour off decides as all others do, in an outage too."""
    right = KINDS[kind](valkey.url, _PATIENT)
    for module_time in ("time", "time_ns"):
        real = getattr(time, module_time)
        factor = 10**9 if module_time == "time_ns" else 1
        monkeypatch.setattr(
            time, module_time, lambda real=real, factor=factor: real() + hours * 3600 * factor
        )
    monkeypatch.setattr(shared, "unix_us", lambda: time.time_ns() // 1000)
    wrong = KINDS[kind](valkey.url, timedelta(milliseconds=250))
    for number in range(10):
        for limiter in (right, wrong):
            decision = limiter.hit("alice", API)
            assert decision.allowed
            assert abs(decision.now_us - server_time(valkey)) < 5_000_000
            assert decision.remaining == 19 - 2 * number - (limiter is wrong)
    valkey.freeze()
    try:
        told = wrong.hit("alice", API)
    finally:
        valkey.thaw()
    assert told.degraded
    assert not told.allowed
    assert abs(told.now_us - server_time(valkey)) < 5_000_000
    right.close()
    wrong.close()


def test_a_thousand_cancelled_tasks(valkey: Valkey) -> None:
    """Half of 1,000 hits are cancelled mid-call: the other half get their own answers.

    Each has a key of its own, hit as often as its number says; what remains tells it apart.
    """
    limit = Limit("own", Rate(1000, per=timedelta(hours=1)))

    async def one(limiter: AsyncRedisRateLimiter, number: int) -> None:
        await asyncio.sleep(random.random() / 20)
        decision = await limiter.hit(f"user{number}", limit, cost=number + 1)
        assert decision.source == "redis"
        assert decision.remaining == 999 - number

    async def scene(url: str) -> None:
        limiter = AsyncRedisRateLimiter.from_url(url, deadline=_PATIENT)
        await limiter.peek("warm up", limit)
        proxy.fault = Delay(each=timedelta(milliseconds=5))
        tasks = [asyncio.create_task(one(limiter, number)) for number in range(1000)]
        for task in tasks[::2]:
            asyncio.get_running_loop().call_later(random.random() / 15, task.cancel)
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert set(map(type, told[1::2])) == {type(None)}
        assert set(map(type, told[::2])) <= {type(None), asyncio.CancelledError}
        await limiter.aclose()

    with FaultProxy(valkey.host, valkey.port) as proxy:
        asyncio.run(scene(f"redis://127.0.0.1:{proxy.port}"))
        wait_until(lambda: proxy.traffic.present == 0, "every connection is closed")
    gc.collect()


def test_forks_in_use(valkey: Valkey) -> None:
    """Children born while threads hit share the limit with them, exactly."""
    limiter = RedisRateLimiter.from_url(valkey.url, deadline=_PATIENT)
    limit = Limit("forks", Rate(100, per=timedelta(hours=1)))
    allowed: list[bool] = []
    limiter.hit("alice", limit)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.001):
            allowed.append(bool(limiter.hit("alice", limit)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    counts = []
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of 3.12 on: threads and fork are the point here
            pid = os.fork()
        if not pid:
            try:
                os._exit(sum(bool(limiter.hit("alice", limit)) for _ in range(10)))
            finally:
                os._exit(255)
        counts.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    wait_until(lambda: False in allowed, "the limit is reached")
    stop.set()
    for thread in threads:
        thread.join(10)
    assert 1 + sum(allowed) + sum(counts) == 100
    limiter.close()


def test_loops_that_end(valkey: Valkey) -> None:
    """An async limiter goes on when its event loop is closed and another one begins."""
    limiter = AsyncRedisRateLimiter.from_url(valkey.url, deadline=_PATIENT)

    async def scene(*, last: bool) -> int:
        decision = await limiter.hit("alice", API)
        assert decision.source == "redis"
        if last:
            await limiter.aclose()
        return decision.remaining

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [asyncio.run(scene(last=turn == 3)) for turn in range(4)] == [19, 18, 17, 16]
        gc.collect()
    assert {warning.category for warning in told} == {ResourceWarning}
    wait_until(lambda: valkey.info("clients")["connected_clients"] == "1", "all is closed")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_certificate(valkey: Valkey, tmp_path: Path, kind: str) -> None:
    """Nothing is sent to who cannot show who it is: the limit is kept here, and holds."""
    trusted = Authority().write(tmp_path)
    with FaultProxy(valkey.host, valkey.port, tls=Authority().server()) as proxy:
        url = f"rediss://127.0.0.1:{proxy.port}/0?ssl_ca_certs={trusted}"
        limiter = KINDS[kind](url, timedelta(milliseconds=250))
        told = [limiter.hit("alice", API) for _ in range(30)]
        assert sum(map(bool, told)) == 20
        assert all(decision.degraded for decision in told)
        assert proxy.traffic.request_bytes == 0
        limiter.close()
        wait_until(lambda: proxy.traffic.present == 0, "every connection is closed")
    gc.collect()

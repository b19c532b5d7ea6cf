"""The limiters on Redis are exact, however many threads, processes and tasks share a limit."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter

if TYPE_CHECKING:
    from socialflow_core.ratelimit import Decision
    from socialflow_core.testing.servers.valkey import Valkey

_MINUTE = timedelta(minutes=1)
_PATIENT = timedelta(seconds=10)


async def _hit_from_tasks(url: str, limit: Limit) -> list[Decision]:
    limiter = AsyncRedisRateLimiter.from_url(url, deadline=_PATIENT)
    told = await asyncio.gather(*(limiter.hit("alice", limit) for _ in range(104)))
    await limiter.aclose()
    return told


def _hit_from_threads_and_tasks(url: str, limit: Limit, results: Any) -> None:
    limiter = RedisRateLimiter.from_url(url, deadline=_PATIENT)
    with ThreadPoolExecutor(9) as pool:
        tasks = pool.submit(asyncio.run, _hit_from_tasks(url, limit))
        told = list(pool.map(lambda _: limiter.hit("alice", limit), range(104)))
        told += tasks.result()
    limiter.close()
    results.put((sum(map(bool, told)), sum(decision.degraded for decision in told)))


@pytest.mark.parametrize("strategy", Strategy)
def test_exact_across_threads_tasks_and_processes(valkey: Valkey, strategy: Strategy) -> None:
    """4 processes of 8 threads and a loop hit 832 times: 100 are allowed, not one more or less."""
    limit = Limit("api", Rate(100, per=timedelta(hours=1)), strategy=strategy)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=_hit_from_threads_and_tasks, args=(valkey.url, limit, results))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    told = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(10)
    assert [sum(column) for column in zip(*told, strict=True)] == [100, 0]


def test_exact_across_tasks(valkey: Valkey) -> None:
    """1,000 tasks on one loop: as many as the limit says are allowed."""
    limit = Limit("api", Rate(100, per=timedelta(hours=1)))

    async def scene() -> int:
        limiter = AsyncRedisRateLimiter.from_url(valkey.url, deadline=_PATIENT)
        told = await asyncio.gather(*(limiter.hit("alice", limit) for _ in range(1000)))
        await limiter.aclose()
        assert not any(decision.degraded for decision in told)
        return sum(map(bool, told))

    assert asyncio.run(scene()) == 100


def test_a_forked_process_counts_on(valkey: Valkey) -> None:
    """A limiter that was used before the fork works on both sides of it."""
    limiter = RedisRateLimiter.from_url(valkey.url, deadline=_PATIENT)
    limit = Limit("api", Rate(100, per=_MINUTE))
    limiter.hit("alice", limit)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=limiter.hit, args=("alice", limit))
    child.start()
    child.join(10)
    assert child.exitcode == 0
    assert limiter.hit("alice", limit).remaining == 97
    limiter.close()

"""Cached answers beside the peers: hits in memory and in Redis, herds, invalidation.

python -m benchmarks.cache            the figures of the documentation
python -m benchmarks.cache --quick    fewer rounds, and nothing written

Everybody keeps the same value of 50 items; in Redis everybody decodes JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import multiprocessing
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from benchmarks._caches import KEY, contenders, value
from benchmarks._run import Row, Span, machine, markdown, take_turns, versions
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from benchmarks._run import Cost

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "cache.md"
_HOUR = timedelta(hours=1)
_HITS = 200
_CALLERS, _PROCESSES = 100, 4


def trips(server: Valkey) -> list[Row]:
    """What the server counts for a hit."""
    rows = []
    for local, goal in ((True, 0), (False, 1)):
        cache = RedisCache.from_url(server.url, local=local)
        try:
            end = time.monotonic() + 5
            while cache.lookup(KEY, value, ttl=_HOUR).source != ("local" if local else "redis"):
                if time.monotonic() > end:
                    raise TimeoutError("no such hit")
            before = server.round_trips()
            for _ in range(_HITS):
                cache.get_or_compute(KEY, value, ttl=_HOUR)
            told = (server.round_trips() - before) / _HITS
        finally:
            cache.close()
        what = "local hit: round trips" if local else "Redis hit: round trips"
        rows.append(Row(measure=what, span=Span.of([told]), goal=goal))
    return rows


def _herd(url: str, barrier: Barrier, number: int) -> None:
    async def computed() -> int:
        client = redis.Redis.from_url(url)
        client.incr("computations")
        client.close()
        await asyncio.sleep(0.05)
        return 1

    async def ask() -> None:
        cache = AsyncRedisCache.from_url(url, deadline=timedelta(seconds=5))
        await cache.get_or_compute("warm", computed, ttl=_HOUR)
        barrier.wait()
        calls = (
            cache.get_or_compute(f"cold {number}", computed, ttl=_HOUR)
            for _ in range(_CALLERS // _PROCESSES)
        )
        await asyncio.gather(*calls)
        await cache.aclose()

    asyncio.run(ask())


def herds(server: Valkey, times: int) -> Row:
    """How often 100 callers in 4 processes compute a value that nobody has."""
    spawn = multiprocessing.get_context("fork")
    told = []
    for number in range(times):
        server.command("FLUSHALL")
        barrier = spawn.Barrier(_PROCESSES)
        herd = [
            spawn.Process(target=_herd, args=(server.url, barrier, number))
            for _ in range(_PROCESSES)
        ]
        for each in herd:
            each.start()
        for each in herd:
            each.join()
        told.append(float(str(server.command("GET", "computations"))) - 1)  # the warm one
    what = f"{_CALLERS} cold callers in {_PROCESSES} processes: computations"
    return Row(measure=what, span=Span.of(told), goal=1)


def invalidations(server: Valkey, times: int) -> Row:
    """From an invalidation in one cache to its being seen in the local tier of another."""
    here, there = (RedisCache.from_url(server.url) for _ in range(2))
    numbers = itertools.count()
    told = []
    try:
        for _ in range(times):
            end = time.monotonic() + 5
            while there.lookup(KEY, numbers.__next__, ttl=_HOUR).source != "local":
                if time.monotonic() > end:
                    raise TimeoutError("no local hit")
            began = time.perf_counter()
            here.invalidate(KEY)
            while there.lookup(KEY, numbers.__next__, ttl=_HOUR).source == "local":
                os.sched_yield()
            told.append((time.perf_counter() - began) * 1e3)
    finally:
        here.close()
        there.close()
    what = "invalidated here, seen in another local tier"
    return Row(measure=what, span=Span.of(told), goal=10, unit=" ms")


def timed(costs: dict[str, list[Cost]]) -> list[Row]:
    """How fast, with the goals."""
    wall = {name: [cost.wall for cost in told] for name, told in costs.items()}
    cpu = {name: [cost.cpu for cost in told] for name, told in costs.items()}

    def ratio(measure: str, ours: str, theirs: str, goal: float | None = None) -> Row:
        span, busy = (Span.ratio(each[ours], each[theirs]) for each in (wall, cpu))
        return Row(measure=measure, span=span, goal=goal, cpu=busy)

    sync, awaited = "redis ours", "redis ours, awaited"
    return [
        ratio("local hit, awaited: ours / cashews", "local ours", "memory cashews", 0.15),
        ratio(
            "memory hit, awaited: ours / cashews", "memory ours, awaited", "memory cashews", 0.15
        ),
        ratio("memory hit: ours / dogpile.cache", "memory ours", "memory dogpile"),
        ratio(
            "memory hit, a copy each time: ours / cashews", "memory ours, lists", "memory cashews"
        ),
        ratio("memory hit, awaited: ours / aiocache", "memory ours, awaited", "memory aiocache"),
        ratio("Redis hit: ours / dogpile.cache", sync, "redis dogpile", 0.80),
        ratio("Redis hit, awaited: ours / aiocache", awaited, "redis aiocache", 0.80),
        ratio("Redis hit, awaited: ours / cashews", awaited, "redis cashews", 0.80),
        ratio("Redis hit: ours / redis-py GET and msgspec", sync, "redis bare GET"),
    ] + [
        Row(measure=name, span=Span.of(each), cpu=Span.of(cpu[name]), unit=" us")
        for name, each in wall.items()
    ]


_WHERE_TIME_GOES = """
## Where the time goes

- A hit in Redis is one round trip, and on one machine most of its time by the clock is waking
  the other process, which everybody pays: "redis-py GET and msgspec", which does nothing else,
  stands beside it. "CPU" is what a library adds of its own.
- Of ours, half is the system calls of the trip; decoding the value takes 4 us, and our own code
  (the entry, its tags, its age, who may compute) 11 us.
- One script reads the entry, the versions of its tags and, on a miss, takes the claim: it costs
  the server some 5 us more than a bare GET, and spares every second trip.
- A local hit takes no trip, and no copy where the type cannot change.
"""


def page(rows: list[Row], told: str, rounds: int) -> str:
    """What the documentation says."""
    missed = [row.measure for row in rows if not row.met]
    sentence = f"Missed: {'; '.join(missed)}." if missed else "Every goal is met."
    header = ("measure", "goal", "median", "range", "CPU", "")
    return f"""# Cached answers

{told}; {machine()}. {sentence}

Medians of {rounds} interleaved rounds, by the wall clock and by the CPU's; a ratio is that within a round.
Everybody keeps the same 50 items. In memory the peers hand out one object to all, and so do we
where its type cannot change; "a copy each time" is ours where it can. In Redis everybody
decodes JSON, with msgspec where it can be chosen, over TCP on one machine, with hiredis.

Measured by `python -m benchmarks.cache`.

{markdown(header, [row.cells() for row in rows])}
{_WHERE_TIME_GOES}"""


def main() -> None:
    """Measure, print, and write the page of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 7 if (quick := parser.parse_args().quick) else 21
    logging.getLogger("socialflow_core").addHandler(logging.NullHandler())
    with Valkey() as server:
        rows = [*trips(server), herds(server, 3 if quick else 10)]
        rows.append(invalidations(server, 20 if quick else 200))
        server.command("FLUSHALL")
        with contenders(server.url) as run:
            rows += timed(take_turns(run, rounds=rounds))
        packages = ("cashews", "aiocache", "dogpile.cache", "redis", "hiredis", "msgspec")
        told = f"{versions(*packages)}, Valkey {server.info('server')['valkey_version']}"
    text = page(rows, told, rounds)
    print(text)
    if not quick:
        _PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

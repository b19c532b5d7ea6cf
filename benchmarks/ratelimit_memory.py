"""Rate limits in this process's memory, beside the peers: how fast, how small.

python -m benchmarks.ratelimit_memory            the figures of the documentation
python -m benchmarks.ratelimit_memory --quick    fewer rounds, and nothing written

Everybody decides, and tells limit, remaining and reset: what the headers of an answer need.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import random
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from throttled import MemoryStore, RateLimiterType, Throttled, rate_limiter

from benchmarks._run import Apart, Row, Span, machine, markdown, take_turns, versions
from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter, MemoryRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks._run import Contender, Cost

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "ratelimit-memory.md"
_MANY, _MOST = 100_000, 1_000_000
_THREADS = 8
_LIMIT = 1_000_000  # never reached, but where a refusal is measured
_PERIOD = timedelta(minutes=15)

Hit: TypeAlias = "Callable[[str], tuple[bool, int, int, float]]"
"""Decides on a key: allowed, limit, remaining, reset."""


def ours(strategy: Strategy = Strategy.FIXED_WINDOW, *, number: int = _LIMIT) -> Hit:
    """Our limiter."""
    limiter = MemoryRateLimiter(max_keys=2 * _MOST)
    limit = Limit("bench", Rate(number, per=_PERIOD), strategy=strategy)

    def hit(key: str) -> tuple[bool, int, int, float]:
        decision = limiter.hit(key, limit)
        return decision.allowed, decision.limit, decision.remaining, decision.reset_us

    return hit


def throttled(using: RateLimiterType, *, number: int = _LIMIT) -> Hit:
    """throttled-py, with room for every key: by default it keeps 1,024 of them."""
    limiter = Throttled(
        using=using.value,
        quota=rate_limiter.per_duration(_PERIOD, limit=number),
        store=MemoryStore(options={"MAX_SIZE": 2 * _MOST}),
    )

    def hit(key: str) -> tuple[bool, int, int, float]:
        result = limiter.limit(key)
        state = result.state
        return not result.limited, state.limit, state.remaining, state.reset_after

    return hit


def limits(strategy: type[FixedWindowRateLimiter | SlidingWindowCounterRateLimiter]) -> Hit:
    """The `limits` package: one call decides, another tells what the headers need."""
    limiter = strategy(MemoryStorage())
    item = RateLimitItemPerMinute(_LIMIT, _PERIOD // timedelta(minutes=1))

    def hit(key: str) -> tuple[bool, int, int, float]:
        allowed = limiter.hit(item, key)
        reset, remaining = limiter.get_window_stats(item, key)
        return allowed, item.amount, remaining, reset

    return hit


def over(hit: Hit, count: int, prefix: str = "ip") -> Contender:
    """*hit* over *count* keys, each of which is known before the first turn.

    They come in no order, and as new texts, as requests bring them: a processor cannot
    have the next one ready, and its hash is not computed yet.
    """
    for number in range(count):
        hit(f"{prefix}:{number}")
    chance = random.Random(0)
    keys = [f"{prefix}:{chance.randrange(count)}" for _ in range(2 * _MANY)]
    around = itertools.cycle(keys)

    def run(times: int) -> None:
        for key in itertools.islice(around, times):
            hit(key)

    return run


def fresh(hit: Hit) -> Contender:
    """*hit* with keys that were never seen."""
    numbers = itertools.count()

    def run(times: int) -> None:
        for number in itertools.islice(numbers, times):
            hit(f"ip:{number}")

    return run


def threaded(hit: Hit) -> Contender:
    """*hit* by threads that share the limiter, each with keys of its own."""
    parts = [over(hit, 1000, f"ip:{thread}") for thread in range(_THREADS)]
    pool = ThreadPoolExecutor(_THREADS)

    def run(times: int) -> None:
        share = -(-times // _THREADS)
        for done in [pool.submit(part, share) for part in parts]:
            done.result()

    return run


def awaited() -> Contender:
    """Our async facade, one hit after the other."""
    limiter, limit = AsyncMemoryRateLimiter(), Limit("bench", Rate(_LIMIT, per=_PERIOD))
    runner = asyncio.Runner()

    async def hits(times: int) -> None:
        for _ in range(times):
            await limiter.hit("one", limit)

    return lambda times: runner.run(hits(times))


def contenders() -> dict[str, Callable[[], Contender]]:
    """How everything that is timed is built."""
    fixed, sliding, bucket = Strategy
    fixed_window = RateLimiterType.FIXED_WINDOW
    return {
        "ours, 1 key": lambda: over(ours(), 1),
        "ours": lambda: over(ours(), _MANY),
        "ours, 1e6 keys": lambda: over(ours(), _MOST),
        "ours, sliding": lambda: over(ours(sliding), _MANY),
        "ours, bucket": lambda: over(ours(bucket, number=100), _MANY),
        "ours, refused": lambda: over(ours(number=1), 1),
        "ours, new keys": lambda: fresh(ours()),
        "ours, awaited": awaited,
        "ours, threads": lambda: threaded(ours(fixed)),
        "throttled-py, 1 key": lambda: over(throttled(fixed_window), 1),
        "throttled-py": lambda: over(throttled(fixed_window), _MANY),
        "throttled-py, 1e6 keys": lambda: over(throttled(fixed_window), _MOST),
        "throttled-py, sliding": lambda: over(throttled(RateLimiterType.SLIDING_WINDOW), _MANY),
        "throttled-py, bucket": lambda: over(throttled(RateLimiterType.GCRA, number=100), _MANY),
        "throttled-py, refused": lambda: over(throttled(fixed_window, number=1), 1),
        "throttled-py, new keys": lambda: fresh(throttled(fixed_window)),
        "throttled-py, threads": lambda: threaded(throttled(fixed_window)),
        "limits": lambda: over(limits(FixedWindowRateLimiter), _MANY),
        "limits, sliding": lambda: over(limits(SlidingWindowCounterRateLimiter), _MANY),
    }


def bytes_per_key(hit: Hit, count: int) -> float:
    """What a live key takes, its own text aside."""
    keys = [f"ip:{number}" for number in range(count)]
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for key in keys:
            hit(key)
        return (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()


def _resident() -> int:
    """What this process occupies, in bytes; Linux tells it in pages."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def _grown(count: int) -> float:
    keys = [f"ip:{number}" for number in range(count)]
    hit = ours()
    before = _resident()
    for key in keys:
        hit(key)
    return (_resident() - before) / count


def resident_per_key(count: int) -> float:
    """The same as the system sees it, in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_grown, count).result()


def timed(costs: dict[str, list[Cost]]) -> list[Row]:
    """How fast, with the goals."""
    wall = {name: [cost.wall for cost in told] for name, told in costs.items()}
    cpu = {name: [cost.cpu for cost in told] for name, told in costs.items()}

    def ratio(measure: str, mine: str, theirs: str, goal: float | None = None) -> Row:
        span, busy = (Span.ratio(each[mine], each[theirs]) for each in (wall, cpu))
        return Row(measure=measure, span=span, goal=goal, cpu=busy)

    told = [
        ratio("fixed window, 1e5 live keys: ours / throttled-py", "ours", "throttled-py", 0.45),
        ratio("the same / limits", "ours", "limits", 0.45),
        ratio("ours, 1e6 live keys / 1e5", "ours, 1e6 keys", "ours", 1.6),
        ratio("1e6 live keys: ours / throttled-py", "ours, 1e6 keys", "throttled-py, 1e6 keys"),
        ratio("one key: ours / throttled-py", "ours, 1 key", "throttled-py, 1 key"),
        ratio("a new key: ours / throttled-py", "ours, new keys", "throttled-py, new keys"),
        ratio("a refused hit: ours / throttled-py", "ours, refused", "throttled-py, refused"),
        ratio("sliding window: ours / throttled-py", "ours, sliding", "throttled-py, sliding"),
        ratio("the same / limits", "ours, sliding", "limits, sliding"),
        ratio("token bucket: ours / throttled-py (GCRA)", "ours, bucket", "throttled-py, bucket"),
        ratio("8 threads: ours / throttled-py", "ours, threads", "throttled-py, threads"),
        ratio("ours, one key: awaited / not", "ours, awaited", "ours, 1 key"),
    ]
    return told + [
        Row(measure=name, span=Span.of(each), cpu=Span.of(cpu[name]), unit=" us")
        for name, each in wall.items()
    ]


def sized() -> list[Row]:
    """How small, with the goals."""
    told = [
        Row(measure=measure, span=Span.of([round(bytes_per_key(hit, count))]), goal=goal)
        for measure, hit, count, goal in [
            ("bytes for a key, its text aside: ours, 1e5 keys", ours(), _MANY, 160),
            ("ours, 1e6 keys", ours(), _MOST, 160),
            ("ours, sliding, 1e6 keys", ours(Strategy.SLIDING_WINDOW), _MOST, None),
            ("ours, bucket, 1e6 keys", ours(Strategy.TOKEN_BUCKET, number=10), _MOST, None),
            ("throttled-py, 1e5 keys", throttled(RateLimiterType.FIXED_WINDOW), _MANY, None),
            ("limits, 1e5 keys", limits(FixedWindowRateLimiter), _MANY, None),
        ]
    ]
    if sys.platform == "linux":
        resident = Span.of([round(resident_per_key(_MOST))])
        told.append(Row(measure="ours, 1e6 keys, as resident memory", span=resident))
    return told


def page(rows: list[Row], rounds: int) -> str:
    """What the documentation says."""
    header = ("measure", "goal", "median", "range", "CPU", "")
    return f"""# Rate limits in memory

{versions("limits", "throttled-py")}; {machine()}.

Medians of {rounds} interleaved rounds, by the wall clock and by the CPU's; a ratio is that within a round. Each
contender has a process of its own, for `limits` scans its memory in a thread. Everybody decides and tells limit,
remaining and reset. Keys come in no order and as new texts, as requests bring them. throttled-py has room for
all of them (by default it keeps 1,024).

Measured by `python -m benchmarks.ratelimit_memory`.

{markdown(header, [row.cells() for row in rows])}"""


def main() -> None:
    """Measure, print, and write the page of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 7 if (quick := parser.parse_args().quick) else 31
    run = {name: Apart(build) for name, build in contenders().items()}
    text = page(timed(take_turns(run, rounds=rounds)) + sized(), rounds)
    print(text)
    if not quick:
        _PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

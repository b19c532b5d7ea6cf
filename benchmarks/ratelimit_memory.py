"""Rate limits in this process's memory, beside the peers: how fast, how small.

python -m benchmarks.ratelimit_memory            the figures of the documentation
python -m benchmarks.ratelimit_memory --quick    fewer rounds, and nothing written

Everybody decides and tells limit, remaining and reset: what the headers of an answer need.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import multiprocessing
import os
import random
import sys
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from throttled import MemoryStore, RateLimiterType, Throttled, rate_limiter

from benchmarks._run import Row, Span, markdown, take_turns, versions
from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter, MemoryRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks._run import Contender, Cost

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "ratelimit-memory.md"
_MANY, _MOST = 100_000, 1_000_000
_THREADS = 8
_LIMIT = 1_000_000  # never reached, but where a denial is measured
_RATE = Rate(_LIMIT, per=timedelta(minutes=15))


def ours(strategy: Strategy = Strategy.FIXED_WINDOW, *, rate: Rate = _RATE) -> Callable[[str], Any]:
    """Our limiter, as a function of the key."""
    limiter = MemoryRateLimiter(max_keys=2 * _MOST)
    limit = Limit("bench", rate, strategy=strategy)
    return lambda key: limiter.hit(key, limit)


def throttled(using: RateLimiterType, *, limit: int = _LIMIT) -> Callable[[str], Any]:
    """throttled-py, with room for every key: by default it keeps 1,024 of them."""
    asked = Throttled(
        using=using.value,
        quota=rate_limiter.per_duration(timedelta(minutes=15), limit=limit),
        store=MemoryStore(options={"MAX_SIZE": 2 * _MOST}),
    )
    return asked.limit


def limits(
    strategy: type[FixedWindowRateLimiter | SlidingWindowCounterRateLimiter],
) -> Callable[[str], Any]:
    """The `limits` package: one call decides, another tells what the headers need."""
    limiter = strategy(MemoryStorage())
    item = RateLimitItemPerMinute(_LIMIT, 15)

    def hit(key: str) -> Any:
        return limiter.hit(item, key), limiter.get_window_stats(item, key)

    return hit


def over(hit: Callable[[str], Any], keys: Sequence[str]) -> Contender:
    """*hit* over *keys*, round and round; each is known before the first turn.

    Not in the order in which they came: that is how they lie in memory, and a processor
    would have the next key ready, which no real traffic grants it.
    """
    for key in keys:
        hit(key)
    around = itertools.cycle(random.Random(0).sample(keys, len(keys)))

    def run(times: int) -> None:
        for key in itertools.islice(around, times):
            hit(key)

    return run


def threaded(hit: Callable[[str], Any]) -> Contender:
    """*hit* by threads that share the limiter, each with keys of its own."""
    parts = [over(hit, [f"ip:{thread}:{n}" for n in range(1000)]) for thread in range(_THREADS)]
    pool = ThreadPoolExecutor(_THREADS)

    def run(times: int) -> None:
        share = -(-times // _THREADS)
        for done in [pool.submit(part, share) for part in parts]:
            done.result()

    return run


def awaited() -> Contender:
    """Our async facade, one hit after the other."""
    limiter, limit = AsyncMemoryRateLimiter(), Limit("bench", _RATE)

    async def hits(times: int) -> None:
        for _ in range(times):
            await limiter.hit("one", limit)

    runner = asyncio.Runner()
    return lambda times: runner.run(hits(times))


def bytes_per_key(count: int) -> float:
    """What a live key of a fixed window takes, its own string aside."""
    keys = [f"ip:{number}" for number in range(count)]
    gc.collect()
    tracemalloc.start()
    try:
        hit = ours()
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
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(_grown, count).result()


def contenders() -> dict[str, Contender]:
    """Everything that is timed."""
    one, many = ["one"], [f"ip:{number}" for number in range(_MANY)]
    most = [f"ip:{number}" for number in range(_MOST)]
    fixed, sliding = RateLimiterType.FIXED_WINDOW, RateLimiterType.SLIDING_WINDOW
    never = Rate(1, per=timedelta(days=1))
    return {
        "ours, 1 key": over(ours(), one),
        "ours": over(ours(), many),
        "ours, 1e6 keys": over(ours(), most),
        "ours, sliding": over(ours(Strategy.SLIDING_WINDOW), many),
        "ours, bucket": over(ours(Strategy.TOKEN_BUCKET), many),
        "ours, refused": over(ours(rate=never), one),
        "ours, async": awaited(),
        "ours, threads": threaded(ours()),
        "throttled-py, 1 key": over(throttled(fixed), one),
        "throttled-py": over(throttled(fixed), many),
        "throttled-py, sliding": over(throttled(sliding), many),
        "throttled-py, bucket": over(throttled(RateLimiterType.GCRA), many),
        "throttled-py, refused": over(throttled(fixed, limit=1), one),
        "throttled-py, threads": threaded(throttled(fixed)),
        "limits": over(limits(FixedWindowRateLimiter), many),
        "limits, sliding": over(limits(SlidingWindowCounterRateLimiter), many),
    }


def rows(costs: dict[str, list[Cost]]) -> list[Row]:
    """What came out, with the goals."""
    wall = {name: [cost.wall for cost in told] for name, told in costs.items()}

    def ratio(measure: str, mine: str, theirs: str, goal: float | None = None) -> Row:
        return Row(measure=measure, span=Span.ratio(wall[mine], wall[theirs]), goal=goal)

    def took(measure: str, name: str) -> Row:
        return Row(measure=measure, span=Span.of(wall[name]), unit=" us")

    told = [
        ratio("fixed window, 1e5 live keys: ours / throttled-py", "ours", "throttled-py", 0.45),
        ratio("the same / limits", "ours", "limits"),
        ratio("ours, 1e6 keys / 1e5 keys", "ours, 1e6 keys", "ours", 1.6),
        ratio("one key: ours / throttled-py", "ours, 1 key", "throttled-py, 1 key"),
        ratio("sliding window: ours / throttled-py", "ours, sliding", "throttled-py, sliding"),
        ratio("the same / limits", "ours, sliding", "limits, sliding"),
        ratio("token bucket: ours / throttled-py (GCRA)", "ours, bucket", "throttled-py, bucket"),
        ratio("a refused hit: ours / throttled-py", "ours, refused", "throttled-py, refused"),
        ratio("8 threads: ours / throttled-py", "ours, threads", "throttled-py, threads"),
        took("ours, one key", "ours, 1 key"),
        took("ours, 1e5 keys", "ours"),
        took("ours, one key, awaited", "ours, async"),
        took("ours, 8 threads", "ours, threads"),
        took("throttled-py, 1e5 keys", "throttled-py"),
        took("limits, 1e5 keys", "limits"),
        Row(
            measure="bytes for a key, its string aside, at 1e5 keys",
            span=Span.of([round(bytes_per_key(_MANY))]),
            goal=160,
        ),
        Row(measure="the same at 1e6 keys", span=Span.of([round(bytes_per_key(_MOST))]), goal=160),
    ]
    if sys.platform == "linux":
        resident = Span.of([round(resident_per_key(_MOST))])
        told.append(Row(measure="the same at 1e6 keys, as resident memory", span=resident))
    return told


def main() -> None:
    """Measure, print, and write the page of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 7 if (quick := parser.parse_args().quick) else 31
    header = ("measure", "goal", "median", "range", "CPU", "")
    told = rows(take_turns(contenders(), rounds=rounds))
    text = (
        "# Rate limits in memory\n\n"
        f"{versions('limits', 'throttled-py')}; {rounds} interleaved rounds, medians of the\n"
        "ratios within a round. Everybody decides and tells limit, remaining and reset;\n"
        "throttled-py is given room for all keys (it keeps 1,024 by default). Keys are hit in\n"
        "an order of their own, not in that of their first hit.\n"
        "Measured by `python -m benchmarks.ratelimit_memory`.\n\n"
        f"{markdown(header, [row.cells() for row in told])}"
    )
    print(text)
    if not quick:
        _PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

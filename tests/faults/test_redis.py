"""Everything that happens to a Redis, and to the way to it, under a limiter in use.

Whatever happens: no error reaches the caller, no call takes longer than the deadline, the
limit holds within what the docs say, the server is used again when it is well, and nothing
is left open. Each fault once; the matrix adds strategies and policies.
"""

from __future__ import annotations

import gc
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from socialflow_core.ratelimit import FailurePolicy, Limit, Rate, Strategy
from socialflow_core.testing.faults import (
    Blackhole,
    Delay,
    DropReplies,
    Fault,
    Pass,
    Reset,
    Trickle,
    Truncate,
    Unreachable,
)
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.servers.valkey import Valkey
from tests.redislink.limiters import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from socialflow_core.ratelimit import Decision
    from tests.redislink.limiters import Limiter

_DEADLINE = timedelta(milliseconds=300)
_SLACK = 0.25  # what a busy machine may add
_MOST = 20
_HITS = 12  # in each of three phases, so that the limit is passed in the last


class Place(NamedTuple):
    """A server, and the way to it."""

    server: Valkey
    proxy: FaultProxy


@contextmanager
def frozen(place: Place) -> Iterator[None]:
    """SIGSTOP, SIGCONT."""
    place.server.freeze()
    try:
        yield
    finally:
        place.server.thaw()


@contextmanager
def killed(place: Place) -> Iterator[None]:
    """SIGKILL, and another process on the same port; it knows nothing."""
    place.server.kill()
    yield
    place.server.restart()


@contextmanager
def paused(place: Place) -> Iterator[None]:
    """CLIENT PAUSE: connections are fine, and nobody is answered."""
    place.server.command("CLIENT", "PAUSE", 600, "ALL")
    yield


@contextmanager
def scripts_flushed(place: Place) -> Iterator[None]:
    """SCRIPT FLUSH."""
    place.server.command("SCRIPT", "FLUSH")
    yield


@contextmanager
def flushed(place: Place) -> Iterator[None]:
    """FLUSHALL: every count is gone."""
    place.server.command("FLUSHALL")
    yield


@contextmanager
def full(place: Place) -> Iterator[None]:
    """Maxmemory is reached, with noeviction."""
    place.server.command("CONFIG", "SET", "maxmemory", 1)
    yield
    place.server.command("CONFIG", "SET", "maxmemory", 0)


@contextmanager
def read_only(place: Place) -> Iterator[None]:
    """It became the replica of another server."""
    with Valkey() as primary:
        place.server.command("CONFIG", "SET", "replica-read-only", "yes")
        place.server.command("REPLICAOF", primary.host, primary.port)
        yield
        place.server.command("REPLICAOF", "NO", "ONE")


@contextmanager
def password_changed(place: Place) -> Iterator[None]:
    """The password is another one, and who is connected has to come again."""
    place.server.command("ACL", "SETUSER", "app", "resetpass", ">another")
    place.proxy.cut()
    yield
    place.server.command("ACL", "SETUSER", "app", "resetpass", ">right")


def by_proxy(fault: Fault, *, cut: bool = False) -> Callable[[Place], AbstractContextManager[None]]:
    """Something is wrong with the way."""

    @contextmanager
    def context(place: Place) -> Iterator[None]:
        place.proxy.fault = fault
        if cut:
            place.proxy.cut(reset=True)
        yield
        place.proxy.fault = Pass()

    return context


class Case(NamedTuple):
    """A fault, and what it may do.

    Attributes:
        fault: Is in force inside.
        limits_more: How many limits more may be allowed, since counts were lost.
        noticed: Whether decisions are degraded while it lasts.
    """

    fault: Callable[[Place], AbstractContextManager[None]]
    limits_more: int = 0
    noticed: bool = True


CASES = {
    "frozen": Case(frozen),
    "killed": Case(killed, limits_more=1),
    "paused": Case(paused),
    "scripts flushed": Case(scripts_flushed, noticed=False),
    "flushed": Case(flushed, limits_more=1, noticed=False),
    "full": Case(full),
    "read only": Case(read_only, limits_more=1),
    "password changed": Case(password_changed),
    "50 ms more": Case(by_proxy(Delay(each=timedelta(milliseconds=25))), noticed=False),
    "slower than the deadline": Case(by_proxy(Delay(each=timedelta(milliseconds=250)))),
    "trickle": Case(by_proxy(Trickle(every=timedelta(milliseconds=50)))),
    "reset": Case(by_proxy(Reset())),
    "cut": Case(by_proxy(Reset(), cut=True)),
    "truncated": Case(by_proxy(Truncate(after=3))),
    "blackhole": Case(by_proxy(Blackhole())),
    "blackhole for who connects": Case(by_proxy(Blackhole(), cut=True)),
    "replies dropped": Case(by_proxy(DropReplies())),
    "unreachable": Case(by_proxy(Unreachable(), cut=True)),
}


@pytest.fixture(params=KINDS)
def place_and_limiter(request: pytest.FixtureRequest) -> Iterator[tuple[Place, Limiter]]:
    """A server of the test's own, a way to it, a limiter; and a look at what is left of it."""
    threads = threading.active_count()
    with ExitStack() as stack:
        server = stack.enter_context(Valkey(config={"user": "app on >right ~* &* +@all"}))
        proxy = stack.enter_context(FaultProxy(server.host, server.port))
        limiter = KINDS[request.param](f"redis://app:right@127.0.0.1:{proxy.port}", _DEADLINE)
        yield Place(server, proxy), limiter
        limiter.close()
        wait_until(lambda: proxy.traffic.present == 0, "every connection is closed")
    wait_until(lambda: threading.active_count() <= threads, "every thread has ended")
    gc.collect()  # what is forgotten open warns, and a warning is an error


def timed_hit(limiter: Limiter, limit: Limit) -> Decision:
    """A hit that keeps the deadline."""
    begin = time.monotonic()
    decision = limiter.hit("alice", limit)
    assert time.monotonic() - begin < _DEADLINE.total_seconds() + _SLACK
    return decision


def play(case: Case, place: Place, limiter: Limiter, limit: Limit) -> list[Decision]:
    """Hit before, in and after a fault; the decisions of all three."""
    limiter.wait_until(lambda: not limiter.peek("alice", limit).degraded, "it is connected")
    told = [timed_hit(limiter, limit) for _ in range(_HITS)]
    assert not any(decision.degraded for decision in told)
    with case.fault(place):
        meanwhile = [timed_hit(limiter, limit) for _ in range(_HITS)]
    assert any(decision.degraded for decision in meanwhile) is case.noticed
    end = time.monotonic()
    limiter.wait_until(
        lambda: not limiter.peek("alice", limit).degraded, "the server is used again"
    )
    assert time.monotonic() - end < 1 + _SLACK
    shared = limiter.inner._shared
    limiter.wait_until(lambda: not shared._owed, "what was counted here meanwhile is pushed")
    limiter.peek("alice", limit)  # behind the last of it
    told += meanwhile
    told += [timed_hit(limiter, limit) for _ in range(_HITS)]
    assert not told[-1].degraded
    return told


@pytest.mark.parametrize("name", CASES)
def test_a_limit_holds_whatever_happens(
    place_and_limiter: tuple[Place, Limiter], name: str
) -> None:
    """The sum of what is allowed is the limit; a count lost by the server is allowed again.

    A call whose answer was lost makes one more or less: nobody knows whether it has counted.
    """
    limit, case = Limit("api", Rate(_MOST, per=timedelta(hours=1))), CASES[name]
    told = play(case, *place_and_limiter, limit)
    allowed = sum(map(bool, told))
    assert _MOST - 1 <= allowed <= _MOST * (1 + case.limits_more) + 1


@pytest.mark.matrix
@pytest.mark.parametrize("failure", ["local", "open", "closed"])
@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("name", CASES)
def test_every_strategy_and_policy(
    place_and_limiter: tuple[Place, Limiter], name: str, strategy: Strategy, failure: FailurePolicy
) -> None:
    """As above, for each strategy; `open` allows all of an outage, `closed` nothing of it."""
    rate, case = Rate(_MOST, per=timedelta(hours=1)), CASES[name]
    limit = Limit("api", rate, strategy=strategy, failure=failure)
    told = play(case, *place_and_limiter, limit)
    degraded = [decision for decision in told if decision.degraded]
    allowed = sum(map(bool, told))
    if failure != "local":
        assert {bool(decision) for decision in degraded} <= {failure == "open"}
        allowed -= sum(map(bool, degraded))
    assert allowed <= _MOST * (1 + case.limits_more) + 1

"""What a forked child may rely on."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.fallback.breaker import Breaker
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.memory import MemoryRateLimiter
from tests._kit.forked import in_child


class Owner:
    """Counts its renewals."""

    def __init__(self) -> None:
        self.renewals = 0
        renew_in_forks(self, Owner.renew)

    def renew(self) -> None:
        """Begin anew."""
        self.renewals += 1


def test_each_child_renews_once_and_the_parent_never() -> None:
    """It is the child in which locks and threads are of no use."""
    owner = Owner()
    for _ in range(2):
        assert in_child(lambda: owner.renewals == 1)
    assert owner.renewals == 0


def test_nothing_is_kept_alive() -> None:
    """An owner that nobody needs any more is forgotten, also in the children."""
    renewed: list[str] = []

    class Brief:
        """Gone before the fork."""

    brief = Brief()
    renew_in_forks(brief, lambda _: renewed.append("it was kept"))
    del brief
    assert in_child(lambda: not renewed)


@pytest.mark.parametrize("kind", ["limiter", "breaker"])
def test_a_lock_held_during_the_fork_does_not_hang_the_child(kind: str) -> None:
    """Another thread was in the middle of a hit, or a change of the circuit: not in the child."""
    limiter, breaker = MemoryRateLimiter(), Breaker("there")
    limit = Limit("api", Rate(10, per=timedelta(minutes=1)))
    lock = limiter._lock if kind == "limiter" else breaker._lock

    def works() -> bool:
        worked = threading.Event()

        def work() -> None:
            if kind == "limiter":
                limiter.hit("alice", limit)
            else:
                breaker.open()
            worked.set()

        threading.Thread(target=work, daemon=True).start()
        return worked.wait(10)

    with lock:
        assert in_child(works)

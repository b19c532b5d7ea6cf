"""Units that were taken of a key and are not spent yet; for the sync and async facade alike."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.ratelimit._core import check, later
from socialflow_core.ratelimit._interface import Decision, Strategy

from .denials import now_us

if TYPE_CHECKING:
    from socialflow_core._kit.flow import Flow
    from socialflow_core.ratelimit._interface import Limit

__all__ = ["Lease", "Leases"]

_SOURCE = "lease"


class Lease(NamedTuple):
    """Units that were taken of a key and are not spent yet.

    Attributes:
        left: How many.
        until: When their window ends at the earliest, by our clock.
        at: When they were taken, by our clock.
        told: What the store said then; it knows nothing of what is left.
        starts: When the window of each limit began, by the store's clock.
    """

    left: int
    until: int
    at: int
    told: Decision
    starts: tuple[int, ...]


class Leases:
    """The leases of one process. Thread-safe.

    Args:
        units: How many to take at once.
        most: How many keys to hold leases of.
    """

    def __init__(self, units: int, most: int) -> None:
        if units < 1 or most < 1:
            raise ValueError("units and max_leases must be at least 1")
        self._units = units
        self._most = most
        self._begin()
        renew_in_forks(self, Leases._begin)

    def _begin(self) -> None:
        # In a forked child too: what the parent took, the parent spends.
        self._held: dict[tuple[str, tuple[Limit, ...]], Lease] = {}
        self._taking: set[tuple[str, tuple[Limit, ...]]] = set()
        self._lock = threading.Lock()

    def spend(self, key: str, limits: tuple[Limit, ...], cost: int) -> Decision | None:
        """Spend of a lease; None if there is none that has as much."""
        if type(key) is not str or type(cost) is not int or cost < 1:
            return None  # told by whoever checks it
        now = now_us()
        with self._lock:
            lease = self._held.get((key, limits))
            if lease is None or now >= lease.until or cost > lease.left:
                return None
            left = lease.left - cost
            self._held[key, limits] = lease._replace(left=left)
        return later(lease.told, now - lease.at, _SOURCE, more=left)

    def take(self, key: str, limits: tuple[Limit, ...], cost: int) -> Flow[int, Decision]:
        """Ask for a lease and spend *cost* of it; yields the costs of hits to be made.

        Only one asks at a time for a key, or a crowd would take a lease each; the others
        ask for themselves alone. So does everybody when a whole lease is refused: the last
        units of a limit are hoarded by nobody.

        Raises:
            ValueError: See `RateLimiter`; also for a token bucket.
        """
        check(key, limits, cost)
        if any(limit.strategy is Strategy.TOKEN_BUCKET for limit in limits):
            # What it refills while a lease is held would come on top of the lease.
            raise ValueError("a token bucket cannot be leased: use a window")
        units = min(self._units, *(limit.rate.limit for limit in limits))
        with self._lock:
            alone = cost < units and (key, limits) not in self._taking
            if alone:
                self._taking.add((key, limits))
        decision: Decision
        if alone:
            try:
                sent = now_us()
                decision = yield units
                if decision.allowed:
                    return self._keep(key, limits, units - cost, decision, sent)
            finally:
                with self._lock:
                    self._taking.discard((key, limits))
        decision = yield cost
        return self._learn(key, limits, decision)

    def peeked(
        self, key: str, limits: tuple[Limit, ...], cost: int, decision: Decision
    ) -> Decision:
        """What the store said to a peek, with what is held here."""
        now = now_us()
        with self._lock:
            lease = self._held.get((key, limits))
        if lease is None or now >= lease.until:
            return decision
        decision = later(decision, 0, decision.source, more=lease.left)
        return _allowed(decision) if cost <= lease.left else decision

    def forget(self, key: str, limits: tuple[Limit, ...]) -> None:
        """Let go whatever is held of these limits."""
        with self._lock:
            for of, among in [*self._held]:
                if of == key and not set(among).isdisjoint(limits):
                    del self._held[of, among]

    def give_up(self) -> list[tuple[str, tuple[Limit, ...], Lease]]:
        """End every lease, and answer those that the store can take back."""
        now = now_us()
        with self._lock:
            held, self._held = self._held, {}
        return [
            (key, limits, lease)
            for (key, limits), lease in held.items()
            if lease.left and now < lease.until and not lease.told.degraded
        ]

    def _learn(self, key: str, limits: tuple[Limit, ...], told: Decision) -> Decision:
        """What the store says beside a lease is news of what remains there."""
        now = now_us()
        with self._lock:
            lease = self._held.get((key, limits))
            if lease is None or now >= lease.until:
                return told
            self._held[key, limits] = lease._replace(told=_allowed(told), at=now)
        return later(told, 0, told.source, more=lease.left)

    def _keep(
        self, key: str, limits: tuple[Limit, ...], left: int, told: Decision, sent: int
    ) -> Decision:
        now = now_us()
        ends = [part.reset_us - _beyond(part.decided_by) for part in told.each]
        starts = tuple(
            part.now_us + end - part.decided_by.rate.per_us
            for part, end in zip(told.each, ends, strict=True)
        )
        # From when it was sent, which was before the store looked at its clock.
        lease = Lease(left, sent + min(ends), now, told, starts)
        with self._lock:
            former = self._held.pop((key, limits), None)
            if former is not None and former.starts == starts:
                lease = lease._replace(left=left + former.left)
            elif len(self._held) >= self._most:
                del self._held[next(iter(self._held))]  # the oldest; costs its units
            self._held[key, limits] = lease
        return later(told, 0, told.source, more=lease.left)


def _beyond(limit: Limit) -> int:
    """How long after its window what was spent in it still counts."""
    return limit.rate.per_us if limit.strategy is Strategy.SLIDING_WINDOW else 0


def _allowed(decision: Decision) -> Decision:
    """The same, for a hit that is paid out of a lease."""
    parts = tuple(part._replace(allowed=True, retry_us=0) for part in decision.parts)
    return decision._replace(allowed=True, retry_us=0, parts=parts)

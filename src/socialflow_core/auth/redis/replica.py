"""Revocations held by every process, and kept up to date by a stream. Extra `[redis]`.

A check makes no round trip. What another process revokes is heard of within milliseconds.
How old the knowledge can be is known, and bounded: beyond it, the policy of the check
decides about a token that is not known to be revoked. One that is, is refused in any case.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core.auth._interface import Standing
from socialflow_core.auth._known import judge
from socialflow_core.redislink.redis import AsyncRedisLink, Endpoint, RedisLink

from .asking import AsyncRedisRevocations, RedisRevocations, link_options
from .feed import Feed
from .held import PREFIX

if TYPE_CHECKING:
    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import Claims, Revocation, RevocationFailure
    from socialflow_core.auth._known import Known

__all__ = ["AsyncReplicaRevocations", "ReplicaRevocations"]

_SOURCE = "replica"
_DEADLINE = timedelta(milliseconds=100)
_MAX_STALENESS = timedelta(seconds=1)
_POLL_S = 0.002
_REVOKED = Standing(True, _SOURCE)
_GOOD = Standing(False, _SOURCE)
_UNCERTAIN = Standing(False, _SOURCE, "nothing has been heard of Redis for a while")


class _Replica:
    """What the two facades have in common.

    Attributes:
        feed: What listens.
    """

    def __init__(self, feed: Feed, known: Known, max_staleness: timedelta) -> None:
        if max_staleness < timedelta(milliseconds=500):
            # Redis is heard of five times a second if nothing happens.
            raise ValueError("max_staleness must be at least half a second")
        self.feed = feed
        self._known = known
        self._max_stale_s = max_staleness.total_seconds()

    @property
    def stale_for(self) -> timedelta:
        """How long ago it was certain that nothing was missed; `timedelta.max` if never."""
        stale = time.monotonic() - self.feed.heard
        return timedelta.max if stale == float("inf") else timedelta(seconds=stale)

    @property
    def is_fresh(self) -> bool:
        """Whether a check is certain now. The first time it is asked, it begins to listen."""
        if not self.feed.is_following:
            self.feed.ensure()
        return time.monotonic() - self.feed.heard <= self._max_stale_s

    @property
    def is_available(self) -> bool:
        """Whether a check is certain, as far as one was made; it begins nothing."""
        if not self.feed.is_following:
            return True
        return time.monotonic() - self.feed.heard <= self._max_stale_s

    def begin(self) -> None:
        """Begin to listen, so that the first check is certain; it does not wait."""
        self.feed.ensure()

    def _judge(self, claims: Claims, failure: RevocationFailure) -> Standing | None:
        """What a check answers; None if the store has to be asked."""
        if judge(claims, self._known):
            return _REVOKED
        if self.is_fresh:
            return _GOOD
        if failure == "ask" or self.feed.heard == float("-inf"):
            return None  # a process that has just begun is certain by asking, or not at all
        if failure == "open":
            return _UNCERTAIN
        raise UnavailableError("the store of revocations", sent=False)


class ReplicaRevocations(_Replica):
    """See `Revocations`. Thread-safe and fork-safe; it listens on a thread of its own.

    Listening begins with the first check or revocation, or with `wait_until_fresh`.

    Args:
        asking: Where they are kept; closed with this.
        endpoint: The same Redis, to listen to; of a cluster, the node of the keys.
        max_staleness: Beyond it a check is not certain; at least half a second.
    """

    def __init__(
        self,
        asking: RedisRevocations,
        endpoint: Endpoint,
        *,
        max_staleness: timedelta = _MAX_STALENESS,
    ) -> None:
        super().__init__(Feed(endpoint, asking.held), asking.held.local.known, max_staleness)
        self._asking = asking

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        deadline: timedelta = _DEADLINE,
        max_staleness: timedelta = _MAX_STALENESS,
        prefix: str = PREFIX,
        clock: Clock = unix_us,
    ) -> Self:
        """Keep them in the Redis or Valkey at *url*, and here; see `RedisLink.from_url`."""
        link = RedisLink.from_url(url, link_options(prefix, deadline))
        asking = RedisRevocations(link, prefix=prefix, clock=clock)
        return cls(asking, Endpoint.from_url(url), max_staleness=max_staleness)

    @property
    def asking(self) -> RedisRevocations:
        """Where they are kept, for an `AsyncReplicaRevocations` beside this."""
        return self._asking

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        told = self._judge(claims, failure)
        return told or self._asking.standing(claims, failure=failure)

    def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        self.feed.ensure()
        self._asking.revoke(*revocations)

    def wait_until_fresh(self, within: timedelta = timedelta(seconds=5)) -> bool:
        """Begin to listen, and return when a check is certain; False if that takes longer."""
        end = time.monotonic() + within.total_seconds()
        while not self.is_fresh:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)
        return True

    def close(self) -> None:
        """Stop listening, and close the link; calling it twice is fine."""
        self.feed.close()
        self._asking.close()


class AsyncReplicaRevocations(_Replica):
    """`ReplicaRevocations`, awaited; it listens on a thread too, whatever the loop does.

    Args:
        asking: Where they are kept; closed with this.
        endpoint: See `ReplicaRevocations`.
        max_staleness: See there.
        beside: Listen with this one, and leave it open when closed; then *asking* is beside
            its `asking` too, and what either revokes, both refuse at once.
    """

    def __init__(
        self,
        asking: AsyncRedisRevocations,
        endpoint: Endpoint,
        *,
        max_staleness: timedelta = _MAX_STALENESS,
        beside: ReplicaRevocations | None = None,
    ) -> None:
        feed = beside.feed if beside else Feed(endpoint, asking.held)
        super().__init__(feed, asking.held.local.known, max_staleness)
        self._asking = asking
        self._owns_feed = beside is None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        deadline: timedelta = _DEADLINE,
        max_staleness: timedelta = _MAX_STALENESS,
        prefix: str = PREFIX,
        clock: Clock = unix_us,
        beside: ReplicaRevocations | None = None,
    ) -> Self:
        """See `ReplicaRevocations.from_url`; *beside* one with the same url, prefix and clock."""
        link = AsyncRedisLink.from_url(url, link_options(prefix, deadline))
        sibling = beside.asking if beside else None
        asking = AsyncRedisRevocations(link, prefix=prefix, clock=clock, beside=sibling)
        return cls(asking, Endpoint.from_url(url), max_staleness=max_staleness, beside=beside)

    async def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        told = self._judge(claims, failure)
        return told or await self._asking.standing(claims, failure=failure)

    async def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        self.feed.ensure()
        await self._asking.revoke(*revocations)

    async def wait_until_fresh(self, within: timedelta = timedelta(seconds=5)) -> bool:
        """See `ReplicaRevocations.wait_until_fresh`."""
        end = time.monotonic() + within.total_seconds()
        while not self.is_fresh:
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def aclose(self) -> None:
        """Stop listening, and close the link of this event loop; calling it twice is fine."""
        if self._owns_feed:
            await asyncio.to_thread(self.feed.close)
        await self._asking.aclose()

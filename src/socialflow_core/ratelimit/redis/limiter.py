"""Limits shared by every process, kept in Redis or Valkey. Needs the extra `[redis]`.

One round trip a hit, however many limits; none for a key that is known to be at its
limit. When Redis does not answer in time, each limit's failure policy decides at once,
and no caller sees an error; when it is back, what was let through is counted there too.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.ratelimit._core import check
from socialflow_core.ratelimit._script import GIVE_BACK, HIT, PEEK, RATE_LIMIT, RESET
from socialflow_core.redislink import LinkOptions, Script
from socialflow_core.redislink.redis import (
    AsyncPlainLink,
    AsyncRedisLink,
    PlainLink,
    RedisLink,
)

from .shared import SharedCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis
    import redis.asyncio

    from socialflow_core.ratelimit._interface import Decision, Limit
    from socialflow_core.redislink import AsyncLink, Link

__all__ = ["AsyncRedisRateLimiter", "RedisRateLimiter"]

_SOURCE = "redis"
_PREFIX = "rl1"  # the number is the version of what is stored
_DENY_TTL = timedelta(seconds=1)
_SCRIPT = Script(RATE_LIMIT)
_GIVE_BACK = Script(GIVE_BACK)


def _options(prefix: str, deadline: timedelta) -> LinkOptions:
    # A write: a server that is full or read-only answers a PING, and counts nothing.
    # Its key looks like every other, for the sake of access lists.
    return LinkOptions(deadline=deadline, probe=("SET", f"{{{prefix}:probe}}", "", "PX", 1000))


class RedisRateLimiter:
    """See `RateLimiter`. Thread-safe and fork-safe.

    Args:
        link: The way to Redis; `from_url` makes one.
        prefix: Keeps its keys apart from yours.
        deny_ttl: How long at most a key that is at its limit is refused without asking,
            and so how long a reset by another process may take to count here.
        max_keys: How many keys it remembers of each limit, for when Redis is away.
    """

    def __init__(
        self,
        link: Link,
        *,
        prefix: str = _PREFIX,
        deny_ttl: timedelta = _DENY_TTL,
        max_keys: int = 100_000,
    ) -> None:
        self._link = link
        self._shared = SharedCounts(_SOURCE, prefix=prefix, deny_ttl=deny_ttl, max_keys=max_keys)
        link.when_recovered(self._pay_back)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        deadline: timedelta = timedelta(milliseconds=100),
        prefix: str = _PREFIX,
    ) -> Self:
        """Count in the Redis or Valkey at *url*; see `RedisLink.from_url`."""
        return cls(RedisLink.from_url(url, _options(prefix, deadline)), prefix=prefix)

    @classmethod
    def from_client(
        cls,
        client: redis.Redis,
        *,
        deadline: timedelta = timedelta(milliseconds=100),
        prefix: str = _PREFIX,
    ) -> Self:
        """Count where *client* does, on connections of our own; see `RedisLink.from_client`."""
        return cls(RedisLink.from_client(client, _options(prefix, deadline)), prefix=prefix)

    @classmethod
    def from_cluster(
        cls,
        cluster: redis.RedisCluster,
        *,
        deadline: timedelta = timedelta(milliseconds=100),
        prefix: str = _PREFIX,
    ) -> Self:
        """Count in *cluster*, by that client itself; see `PlainLink`."""
        return cls(PlainLink(cluster, _options(prefix, deadline)), prefix=prefix)

    @property
    def is_available(self) -> bool:
        """Whether Redis answered when it was last asked; if not, decisions are degraded."""
        return self._link.is_available

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        denial = self._shared.denials.find(key, limits, cost)
        if denial is not None:
            return denial
        check(key, limits, cost)
        item = self._shared.item(HIT, key, limits, cost)
        try:
            reply = self._link.call(_SCRIPT, *item)
        except UnavailableError as error:
            return self._shared.without_store(key, limits, cost, sent=error.sent)
        return self._shared.read(reply, key, limits, cost)

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        check(key, limits, cost)
        item = self._shared.item(PEEK, key, limits, cost)
        try:
            reply = self._link.call(_SCRIPT, *item)
        except UnavailableError as error:
            return self._shared.without_store(key, limits, cost, sent=error.sent, peek=True)
        return self._shared.read(reply, key, limits, cost, peek=True)

    def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`; other processes follow within their *deny_ttl*.

        Raises:
            UnavailableError: If Redis is away: it is forgotten here then, and not there.
        """
        check(key, limits, 1)
        item = self._shared.item(RESET, key, limits, 1)
        self._shared.forget(key, limits)
        self._link.call(_SCRIPT, *item)
        self._shared.forget(key, limits)  # what a hit that was under way has taught

    def give_back(
        self, key: str, limits: Sequence[Limit], units: int, starts: Sequence[int]
    ) -> None:
        """Take back *units* that were counted and not spent, if the store is there.

        *starts* tells for each limit when the window began in which they were counted; if
        that is over, there is nothing to take back.
        """
        with contextlib.suppress(UnavailableError):
            self._link.call(_GIVE_BACK, *self._shared.returned(key, limits, units, starts))

    def close(self) -> None:
        """Close the link; calling it twice is fine."""
        self._link.close()

    def _pay_back(self) -> None:
        while (debt := self._shared.take_debt()) is not None:
            try:
                self._link.call(_SCRIPT, *debt.payment)
            except UnavailableError as error:
                if not self._shared.may_go_on(debt, error, gone=not self._link.is_available):
                    return


class AsyncRedisRateLimiter:
    """`RedisRateLimiter`, awaited; hits of one turn of the event loop travel together."""

    def __init__(
        self,
        link: AsyncLink,
        *,
        prefix: str = _PREFIX,
        deny_ttl: timedelta = _DENY_TTL,
        max_keys: int = 100_000,
    ) -> None:
        self._link = link
        self._shared = SharedCounts(_SOURCE, prefix=prefix, deny_ttl=deny_ttl, max_keys=max_keys)
        link.when_recovered(self._pay_back)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        deadline: timedelta = timedelta(milliseconds=100),
        prefix: str = _PREFIX,
    ) -> Self:
        """See `RedisRateLimiter.from_url`."""
        return cls(AsyncRedisLink.from_url(url, _options(prefix, deadline)), prefix=prefix)

    @classmethod
    def from_client(
        cls,
        client: redis.asyncio.Redis,
        *,
        deadline: timedelta = timedelta(milliseconds=100),
        prefix: str = _PREFIX,
    ) -> Self:
        """See `RedisRateLimiter.from_client`."""
        return cls(AsyncRedisLink.from_client(client, _options(prefix, deadline)), prefix=prefix)

    @classmethod
    def from_cluster(
        cls,
        cluster: redis.asyncio.RedisCluster,
        *,
        deadline: timedelta = timedelta(milliseconds=100),
        prefix: str = _PREFIX,
    ) -> Self:
        """See `RedisRateLimiter.from_cluster`."""
        return cls(AsyncPlainLink(cluster, _options(prefix, deadline)), prefix=prefix)

    @property
    def is_available(self) -> bool:
        """Whether Redis answered when this event loop last asked it."""
        return self._link.is_available

    async def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        denial = self._shared.denials.find(key, limits, cost)
        if denial is not None:
            return denial
        check(key, limits, cost)
        item = self._shared.item(HIT, key, limits, cost)
        try:
            reply = await self._link.call(_SCRIPT, *item)
        except UnavailableError as error:
            return self._shared.without_store(key, limits, cost, sent=error.sent)
        return self._shared.read(reply, key, limits, cost)

    async def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        check(key, limits, cost)
        item = self._shared.item(PEEK, key, limits, cost)
        try:
            reply = await self._link.call(_SCRIPT, *item)
        except UnavailableError as error:
            return self._shared.without_store(key, limits, cost, sent=error.sent, peek=True)
        return self._shared.read(reply, key, limits, cost, peek=True)

    async def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RedisRateLimiter.reset`."""
        check(key, limits, 1)
        item = self._shared.item(RESET, key, limits, 1)
        self._shared.forget(key, limits)
        await self._link.call(_SCRIPT, *item)
        self._shared.forget(key, limits)

    async def give_back(
        self, key: str, limits: Sequence[Limit], units: int, starts: Sequence[int]
    ) -> None:
        """See `RedisRateLimiter.give_back`."""
        with contextlib.suppress(UnavailableError):
            await self._link.call(_GIVE_BACK, *self._shared.returned(key, limits, units, starts))

    async def aclose(self) -> None:
        """Close the link of this event loop; calling it twice is fine."""
        await self._link.aclose()

    async def _pay_back(self) -> None:
        while (debt := self._shared.take_debt()) is not None:
            try:
                await self._link.call(_SCRIPT, *debt.payment)
            except UnavailableError as error:
                if not self._shared.may_go_on(debt, error, gone=not self._link.is_available):
                    return

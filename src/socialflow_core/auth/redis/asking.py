"""Revocations asked for at each check: always up to date, one round trip. Extra `[redis]`."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import arun, run
from socialflow_core.auth._interface import Standing
from socialflow_core.auth._scripts import ASK, REVOKE
from socialflow_core.redislink import LinkOptions, Script
from socialflow_core.redislink.redis import AsyncRedisLink, RedisLink

from .held import PREFIX, Held

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import Claims, Revocation, RevocationFailure
    from socialflow_core.auth._revocation import Entry
    from socialflow_core.redislink import AsyncLink, Link

__all__ = ["AsyncRedisRevocations", "RedisRevocations", "link_options"]

_SOURCE = "redis"
_AWAY = "Redis is away, and did not say whether it is revoked"
_ASK = Script(ASK)
_REVOKE = Script(REVOKE)
_DEADLINE = timedelta(milliseconds=100)


def link_options(prefix: str, deadline: timedelta) -> LinkOptions:
    """How to reach a store below *prefix*."""
    # A write: a server that is full or read-only answers a PING, and takes no revocation.
    return LinkOptions(deadline=deadline, probe=("SET", f"{prefix}:probe", "", "PX", 1000))


def _without_store(failure: RevocationFailure) -> Standing:
    """What may be said of a token of which nothing is known; raises the error in hand."""
    if failure != "open":
        raise  # noqa: PLE0704 -- called where an error is handled
    return Standing(False, _SOURCE, _AWAY)


class RedisRevocations:
    """See `Revocations`. Thread-safe and fork-safe.

    What this process has revoked, or has heard to be revoked, it refuses without asking,
    also while Redis is away. What Redis has not confirmed is told again when it is back.

    Args:
        link: The way to Redis; `from_url` makes one.
        prefix: Keeps its keys apart from yours; with a {hash tag}, if it is a cluster.
        clock: Microseconds since 1970-01-01 UTC.
    """

    def __init__(self, link: Link, *, prefix: str = PREFIX, clock: Clock = unix_us) -> None:
        self._link = link
        self.held = Held(prefix, clock)
        link.when_recovered(self._tell_owed)

    @classmethod
    def from_url(cls, url: str, *, deadline: timedelta = _DEADLINE, prefix: str = PREFIX) -> Self:
        """Keep them in the Redis or Valkey at *url*; see `RedisLink.from_url`."""
        return cls(RedisLink.from_url(url, link_options(prefix, deadline)), prefix=prefix)

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        if self.held.local.standing(claims).revoked:
            return Standing(True, _SOURCE)
        try:
            told = self._link.call(_ASK, *self.held.question(claims))
        except UnavailableError:
            return _without_store(failure)
        return Standing(self.held.is_revoked(claims, told), _SOURCE)

    def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        self._tell(self.held.hold(revocations))

    def close(self) -> None:
        """Close the link; calling it twice is fine."""
        self._link.close()

    def _tell(self, entries: Sequence[Entry]) -> None:
        run(self.held.telling(entries), lambda item: self._link.call(_REVOKE, *item))

    def _tell_owed(self) -> None:
        with suppress(UnavailableError):  # then it is owed still
            self._tell(self.held.take_owed())


class AsyncRedisRevocations:
    """`RedisRevocations`, awaited; checks of one turn of the event loop travel together.

    Args:
        link: See `RedisRevocations`.
        prefix: See there.
        clock: See there.
        beside: One of this process with the same two, whose knowledge to share.
    """

    def __init__(
        self,
        link: AsyncLink,
        *,
        prefix: str = PREFIX,
        clock: Clock = unix_us,
        beside: RedisRevocations | None = None,
    ) -> None:
        self._link = link
        self.held = beside.held if beside else Held(prefix, clock)
        link.when_recovered(self._tell_owed)

    @classmethod
    def from_url(cls, url: str, *, deadline: timedelta = _DEADLINE, prefix: str = PREFIX) -> Self:
        """See `RedisRevocations.from_url`."""
        return cls(AsyncRedisLink.from_url(url, link_options(prefix, deadline)), prefix=prefix)

    async def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        if self.held.local.standing(claims).revoked:
            return Standing(True, _SOURCE)
        try:
            told = await self._link.call(_ASK, *self.held.question(claims))
        except UnavailableError:
            return _without_store(failure)
        return Standing(self.held.is_revoked(claims, told), _SOURCE)

    async def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        await self._tell(self.held.hold(revocations))

    async def aclose(self) -> None:
        """Close the link of this event loop; calling it twice is fine."""
        await self._link.aclose()

    async def _tell(self, entries: Sequence[Entry]) -> None:
        await arun(self.held.telling(entries), lambda item: self._link.call(_REVOKE, *item))

    async def _tell_owed(self) -> None:
        with suppress(UnavailableError):  # then it is owed still
            await self._tell(self.held.take_owed())

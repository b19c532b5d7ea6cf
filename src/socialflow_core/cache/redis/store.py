"""Entries in Redis: one round trip for each step, by scripts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import Fact, fact
from socialflow_core.cache._script import DROP, READ, RECOVER, WRITE, Names, read_reply, written
from socialflow_core.redislink import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from socialflow_core.cache._stored import Entry, Query, Reply, Written
    from socialflow_core.redislink import AsyncLink, Link

__all__ = ["AsyncRedisStore", "RedisStore"]

_READ, _WRITE, _DROP, _RECOVER = map(Script, (READ, WRITE, DROP, RECOVER))
_MOST_AT_ONCE = 500
# What could not be dropped because the store was away; beyond that, everything is dropped.
_MOST_OWED = 10_000


def _nothing() -> None:
    return None


class _Shared:
    """What both kinds of store know: names, and what they still have to drop.

    Args:
        names: What things are called.
        compress_above: Payloads of more bytes are compressed.
        used: Called before each read.
        lost: Called when the store is noticed to be away.
    """

    def __init__(
        self,
        names: Names,
        compress_above: int,
        used: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self.names = names
        self.compress_above = compress_above
        self.used = used
        self._lost = lost
        self._is_away = False
        self._renew()
        renew_in_forks(self, _Shared._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._owed: dict[str, None] = {}

    @property
    def is_owing(self) -> bool:
        """Whether anything is to be dropped."""
        return bool(self._owed)

    def refuse_owed(self, keys: Sequence[str]) -> None:
        """Refuse to read what should have been dropped, and is not yet.

        Raises:
            UnavailableError: If one of *keys* is such.
        """
        if any(key in self._owed for key in keys):
            raise UnavailableError("Redis", sent=False)

    def owe(self, names: Sequence[str]) -> None:
        """These are to be dropped as soon as the store is back."""
        with self._lock:
            self._owed.update(dict.fromkeys(names))
            if len(self._owed) > _MOST_OWED:
                self._owed = {self.names.everything: None}

    def owed(self) -> list[str]:
        """What is to be dropped."""
        with self._lock:
            return [*self._owed]

    def paid(self, names: Sequence[str]) -> None:
        """These are dropped."""
        with self._lock:
            for name in names:
                self._owed.pop(name, None)

    def away(self) -> None:
        """The store failed; told once for each outage."""
        if not self._is_away:
            self._is_away = True
            self._lost()
            reason = "Redis does not answer: values are computed by each process"
            fact(Fact(block="cache", state="degraded", name="store", reason=reason))

    def back(self) -> None:
        """The store answers again, and what was owed is dropped."""
        if self._is_away:
            self._is_away = False
            fact(Fact(block="cache", state="recovered", name="store", reason="Redis is back"))


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _MOST_AT_ONCE):
        yield names[start : start + _MOST_AT_ONCE]


class RedisStore:
    """See `Store`."""

    def __init__(
        self,
        link: Link,
        names: Names,
        *,
        compress_above: int = 4096,
        used: Callable[[], None] = _nothing,
        lost: Callable[[], None] = _nothing,
    ) -> None:
        self._link = link
        self._names = names
        self._shared = _Shared(names, compress_above, used, lost)
        link.when_recovered(self._recover)

    def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        self._shared.used()
        keys, args = self._names.read(query)
        if self._shared.is_owing:
            self._shared.refuse_owed(keys)
        try:
            return read_reply(self._link.call(_READ, keys, args))
        except UnavailableError:
            self._shared.away()
            raise

    def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """See `Store.write`."""
        item = self._names.write(query, stamp, entry, self._shared.compress_above)
        try:
            return written(self._link.call(_WRITE, *item))
        except UnavailableError:
            self._shared.away()
            raise

    def release(self, query: Query, /) -> None:
        """See `Store.release`."""
        self._link.call(_WRITE, *self._names.release(query))

    def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """See `Store.drop`; what cannot be dropped now is dropped when Redis is back."""
        names = self._names.dropped(keys, tags)
        try:
            self._pay(names)
        except UnavailableError:
            self._shared.owe(names)
            raise

    def _pay(self, names: Sequence[str]) -> None:
        for part in _parts(names):
            try:
                self._link.call(_DROP, part, [len(part)])
            except UnavailableError:
                self._shared.away()
                raise
            self._shared.paid(part)

    def _recover(self) -> None:
        try:
            self._link.call(_RECOVER, [self._names.everything], [""])
            self._pay(self._shared.owed())
        except UnavailableError:
            return  # away again
        self._shared.back()


class AsyncRedisStore:
    """`RedisStore`, awaited."""

    def __init__(
        self,
        link: AsyncLink,
        names: Names,
        *,
        compress_above: int = 4096,
        used: Callable[[], None] = _nothing,
        lost: Callable[[], None] = _nothing,
    ) -> None:
        self._link = link
        self._names = names
        self._shared = _Shared(names, compress_above, used, lost)
        link.when_recovered(self._recover)

    async def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        self._shared.used()
        keys, args = self._names.read(query)
        if self._shared.is_owing:
            self._shared.refuse_owed(keys)
        try:
            return read_reply(await self._link.call(_READ, keys, args))
        except UnavailableError:
            self._shared.away()
            raise

    async def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """See `Store.write`."""
        item = self._names.write(query, stamp, entry, self._shared.compress_above)
        try:
            return written(await self._link.call(_WRITE, *item))
        except UnavailableError:
            self._shared.away()
            raise

    async def release(self, query: Query, /) -> None:
        """See `Store.release`."""
        await self._link.call(_WRITE, *self._names.release(query))

    async def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """See `RedisStore.drop`."""
        names = self._names.dropped(keys, tags)
        try:
            await self._pay(names)
        except UnavailableError:
            self._shared.owe(names)
            raise

    async def _pay(self, names: Sequence[str]) -> None:
        for part in _parts(names):
            try:
                await self._link.call(_DROP, part, [len(part)])
            except UnavailableError:
                self._shared.away()
                raise
            self._shared.paid(part)

    async def _recover(self) -> None:
        try:
            await self._link.call(_RECOVER, [self._names.everything], [""])
            await self._pay(self._shared.owed())
        except UnavailableError:
            return  # away again
        self._shared.back()

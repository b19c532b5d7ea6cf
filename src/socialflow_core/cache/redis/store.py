"""Entries in Redis: one round trip for each step, by scripts."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
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
_TRY_EVERY_S = 0.1


def _nothing() -> None:
    return None


class _Shared:
    """What both kinds of store know: names, and what they still have to drop.

    Args:
        names: What things are called.
        compress_above: Payloads of more bytes are compressed.
        most_bytes: Larger ones are not read.
        used: Called before each read.
        lost: Called when the store is noticed to be away.
    """

    def __init__(
        self,
        names: Names,
        compress_above: int,
        most_bytes: int,
        used: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self.names = names
        self.compress_above = compress_above
        self.most_bytes = most_bytes
        self.used = used
        self._lost = lost
        self._is_away = False
        self._renew()
        renew_in_forks(self, _Shared._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._owed: dict[str, None] = {}
        self._next_try = 0.0

    @property
    def is_owing(self) -> bool:
        """Whether anything is to be dropped."""
        return bool(self._owed)

    def is_due(self) -> bool:
        """Whether to try now to drop what is owed, though the link was never away since.

        What fails later than the others of an outage is owed when that is over already.
        """
        with self._lock:
            now = time.monotonic()
            if not self._owed or now < self._next_try:
                return False
            self._next_try = now + _TRY_EVERY_S
            return True

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
        if self._is_away and not self._owed:
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
        most_bytes: int = 2**32 - 1,
        used: Callable[[], None] = _nothing,
        lost: Callable[[], None] = _nothing,
    ) -> None:
        self._link = link
        self._names = names
        self._shared = _Shared(names, compress_above, most_bytes, used, lost)
        link.when_recovered(self._recover)

    def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        self._shared.used()
        keys, args = self._names.read(query)
        if self._shared.is_owing:
            self._pay_owed()
            self._shared.refuse_owed(keys)
        try:
            reply = self._link.call(_READ, keys, args)
        except UnavailableError:
            self._shared.away()
            raise
        self._shared.back()
        return read_reply(reply, self._shared.most_bytes)

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
            if not self._link.is_available:
                raise
            # It failed later than the others of an outage, which is over: nobody else pays.
            self._pay(self._shared.owed())

    def _pay(self, names: Sequence[str]) -> None:
        for part in _parts(names):
            try:
                self._link.call(_DROP, part, [len(part)])
            except UnavailableError:
                self._shared.away()
                raise
            self._shared.paid(part)

    def _pay_owed(self) -> None:
        if self._link.is_available and self._shared.is_due():
            with suppress(UnavailableError):  # it is owed still
                self._pay(self._shared.owed())

    def _recover(self) -> None:
        try:
            self._link.call(_RECOVER, [self._names.everything], ["1"])
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
        most_bytes: int = 2**32 - 1,
        used: Callable[[], None] = _nothing,
        lost: Callable[[], None] = _nothing,
    ) -> None:
        self._link = link
        self._names = names
        self._shared = _Shared(names, compress_above, most_bytes, used, lost)
        link.when_recovered(self._recover)

    async def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        self._shared.used()
        keys, args = self._names.read(query)
        if self._shared.is_owing:
            await self._pay_owed()
            self._shared.refuse_owed(keys)
        try:
            reply = await self._link.call(_READ, keys, args)
        except UnavailableError:
            self._shared.away()
            raise
        self._shared.back()
        return read_reply(reply, self._shared.most_bytes)

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
            if not self._link.is_available:
                raise
            # It failed later than the others of an outage, which is over: nobody else pays.
            await self._pay(self._shared.owed())

    async def _pay(self, names: Sequence[str]) -> None:
        for part in _parts(names):
            try:
                await self._link.call(_DROP, part, [len(part)])
            except UnavailableError:
                self._shared.away()
                raise
            self._shared.paid(part)

    async def _pay_owed(self) -> None:
        if self._link.is_available and self._shared.is_due():
            with suppress(UnavailableError):  # it is owed still
                await self._pay(self._shared.owed())

    async def _recover(self) -> None:
        try:
            await self._link.call(_RECOVER, [self._names.everything], ["1"])
            await self._pay(self._shared.owed())
        except UnavailableError:
            return  # away again
        self._shared.back()

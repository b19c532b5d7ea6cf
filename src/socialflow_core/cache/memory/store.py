"""A store in this process: a table, and the claims of who computes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.cache._stored import Claim, Reply, Written

from .table import Held, Table, entry_mark, tag_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socialflow_core._kit.clock import Clock
    from socialflow_core.cache._stored import Entry, Query

    from .table import Ticket

__all__ = ["AsyncMemoryStore", "MemoryStore"]


class _Held(NamedTuple):
    """Who computes a key, until when at most, and what must not die meanwhile."""

    token: str
    until: int
    ticket: Ticket


class MemoryStore:
    """See `Store`. Never away."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self._clock = clock
        self._begin()
        renew_in_forks(self, MemoryStore._begin)

    def _begin(self) -> None:
        # In a forked child too: who computed in the parent does not compute here.
        self._lock = threading.Lock()
        self._claims: dict[str, _Held] = {}
        self.table.renew()

    def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        now = self._clock()
        held = self.table.find(query.key)
        entry, left = None, 0
        if held is not None and now < held.gone_at and held.tags == query.tags:
            entry, left = held.entry, held.gone_at - now
            fresh = left - entry.keep_us + entry.fresh_us
            if query.early >= 0 and fresh > entry.took_us * query.early:
                return Reply(entry, left)
        with self._lock:
            claim = self._claims.get(query.key)
            if claim is not None and claim.until > now:
                return Reply(entry, left, Claim.TAKEN)
            ticket = self.table.ticket(query.key, query.tags)
            self._claims[query.key] = _Held(query.token, now + query.lock_us, ticket)
        return Reply(entry, left, Claim.MINE)

    def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """See `Store.write`."""
        del stamp
        with self._lock:
            claim = self._claims.get(query.key)
            if claim is None or claim.token != query.token:
                return Written.OVERTAKEN
            del self._claims[query.key]
        # A claim that ran out, and that nobody else has taken since, is as good as ever.
        if any(mark.dead for mark in claim.ticket):
            return Written.OVERTAKEN
        now = self._clock()
        held = Held(entry, tags=query.tags, ticket=claim.ticket, now=now, left_us=entry.keep_us)
        return Written.STORED if self.table.put(query.key, held) else Written.REFUSED

    def release(self, query: Query, /) -> None:
        """See `Store.release`."""
        with self._lock:
            claim = self._claims.get(query.key)
            if claim is not None and claim.token == query.token:
                del self._claims[query.key]

    def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """See `Store.drop`."""
        marks = [entry_mark(key) for key in keys] + [tag_mark(tag) for tag in tags]
        self.table.kill(marks)
        with self._lock:
            for key in keys:
                self._claims.pop(key, None)


class AsyncMemoryStore:
    """`MemoryStore`, awaited: nothing in it ever waits."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        return self._store.read(query)

    async def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """See `Store.write`."""
        return self._store.write(query, stamp, entry)

    async def release(self, query: Query, /) -> None:
        """See `Store.release`."""
        self._store.release(query)

    async def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """See `Store.drop`."""
        self._store.drop(keys, tags)

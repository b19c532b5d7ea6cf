"""The part of `testing.cache` that is about stores, and what drives async ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra
from socialflow_core.cache import Claim, Entry, Query, Written

with requires_extra("testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from socialflow_core.cache import AsyncCache, AsyncStore, Cached, Reply, Store

__all__ = ["BlockingCache", "BlockingStore", "StoreContract"]

_HOUR_US = 3_600_000_000


class _Blocking:
    """Runs coroutines on an event loop of its own."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run *work* to its end."""
        return self._runner.run(work)

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()


class BlockingCache(_Blocking):
    """An async cache, driven as a sync one; *compute* stays a sync function. Close it."""

    def __init__(self, cache: AsyncCache) -> None:
        super().__init__()
        self._cache = cache

    def get_or_compute(self, key: str, compute: Callable[[], Any], /, **how: Any) -> Any:
        """See `Cache.get_or_compute`."""
        return self.run(self._cache.get_or_compute(key, _awaited(compute), **how))

    def lookup(self, key: str, compute: Callable[[], Any], /, **how: Any) -> Cached[Any]:
        """See `Cache.lookup`."""
        cached: Cached[Any] = self.run(self._cache.lookup(key, _awaited(compute), **how))
        return cached

    def invalidate(self, *keys: str) -> bool:
        """See `Cache.invalidate`."""
        return bool(self.run(self._cache.invalidate(*keys)))

    def invalidate_tags(self, *tags: str) -> bool:
        """See `Cache.invalidate_tags`."""
        return bool(self.run(self._cache.invalidate_tags(*tags)))

    def at_once(self, times: int, key: str, compute: Callable[[], Any], **how: Any) -> list[Any]:
        """Ask from so many tasks; the results, or what they raised."""

        async def ask() -> list[Any]:
            calls = (
                self._cache.get_or_compute(key, _awaited(compute), **how) for _ in range(times)
            )
            return await asyncio.gather(*calls, return_exceptions=True)

        results: list[Any] = self.run(ask())
        return results

    def close(self) -> None:
        """Close the cache, if it can be closed, and the event loop."""
        close = getattr(self._cache, "aclose", None)
        if close is not None:
            self.run(close())
        super().close()


def _awaited(compute: Callable[[], Any]) -> Callable[[], Any]:
    async def work() -> Any:
        await asyncio.sleep(0)
        return compute()

    return work


class BlockingStore(_Blocking):
    """An async store, driven as a sync one; close it."""

    def __init__(self, store: AsyncStore) -> None:
        super().__init__()
        self._store = store

    def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        reply: Reply = self.run(self._store.read(query))
        return reply

    def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """See `Store.write`."""
        written: Written = self.run(self._store.write(query, stamp, entry))
        return written

    def release(self, query: Query, /) -> None:
        """See `Store.release`."""
        self.run(self._store.release(query))

    def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """See `Store.drop`."""
        self.run(self._store.drop(keys, tags))


def _query(token: str, *, early: float = 0.0, tags: tuple[str, ...] = ("x",)) -> Query:
    return Query("a", tags, token, 60_000_000, early)


_ENTRY = Entry(b"1", "json", _HOUR_US, 2 * _HOUR_US, 1000)


class StoreContract:
    """Subclass it, say how a store is built, and run it."""

    def store(self) -> Store:
        """Build a fresh, empty store; called for each test."""
        raise LookupError("say how a store is built")

    @pytest.fixture
    def mine(self) -> Iterator[Store]:
        """A fresh store, closed at the end if it can be."""
        store = self.store()
        yield store
        getattr(store, "close", lambda: None)()

    def test_one_may_compute(self, mine: Store) -> None:
        """Who asks first claims; the others hear that it is taken, until that ends."""
        assert mine.read(_query("one")).claim is Claim.MINE
        assert mine.read(_query("two")).claim is Claim.TAKEN
        mine.release(_query("two"))  # not theirs to end
        assert mine.read(_query("two")).claim is Claim.TAKEN
        mine.release(_query("one"))
        assert mine.read(_query("two")).claim is Claim.MINE

    def test_what_was_written_is_read(self, mine: Store) -> None:
        """And nobody has to compute then, unless it is forced."""
        stamp = mine.read(_query("one")).stamp
        assert mine.write(_query("one"), stamp, _ENTRY) is Written.STORED
        reply = mine.read(_query("two"))
        assert (reply.entry, reply.claim) == (_ENTRY, Claim.NONE)
        assert 2 * _HOUR_US - 60_000_000 < reply.left_us <= 2 * _HOUR_US
        assert mine.read(_query("two", early=1e9)).claim is Claim.MINE
        assert mine.read(_query("three", early=-1.0)).claim is Claim.TAKEN

    def test_other_tags_are_another_entry(self, mine: Store) -> None:
        """An entry is found with the tags that it was written with."""
        stamp = mine.read(_query("one")).stamp
        mine.write(_query("one"), stamp, _ENTRY)
        assert mine.read(_query("two", tags=("x", "y"))).entry is None

    @pytest.mark.parametrize("dropped", [(["a"], []), ([], ["x"])])
    def test_what_was_dropped_is_gone(
        self, mine: Store, dropped: tuple[list[str], list[str]]
    ) -> None:
        """By its key or by a tag; and so is what was being computed."""
        stamp = mine.read(_query("one")).stamp
        mine.drop(*dropped)
        assert mine.write(_query("one"), stamp, _ENTRY) is Written.OVERTAKEN
        reply = mine.read(_query("two"))
        assert (reply.entry, reply.claim) == (None, Claim.MINE)
        assert mine.write(_query("two"), reply.stamp, _ENTRY) is Written.STORED
        mine.drop(*dropped)
        assert mine.read(_query("three")).entry is None

    def test_who_has_no_claim_writes_nothing(self, mine: Store) -> None:
        """Nor does whoever had one."""
        stamp = mine.read(_query("one")).stamp
        assert mine.write(_query("two"), stamp, _ENTRY) is Written.OVERTAKEN
        mine.release(_query("one"))
        assert mine.write(_query("one"), stamp, _ENTRY) is Written.OVERTAKEN
        assert mine.read(_query("two")).entry is None

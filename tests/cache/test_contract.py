"""One suite, every cache and every store, sync and async."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.cache._script import Names
from socialflow_core.cache.memory import (
    AsyncMemoryCache,
    AsyncMemoryStore,
    MemoryCache,
)
from socialflow_core.cache.redis import (
    AsyncRedisCache,
    AsyncRedisStore,
    RedisCache,
    RedisCacheOptions,
    RedisStore,
)
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import AsyncRedisLink, RedisLink
from socialflow_core.testing.cache import (
    BlockingCache,
    BlockingStore,
    CacheContract,
    StoreContract,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.cache import Cache, Store
    from socialflow_core.testing.servers.valkey import Valkey

_PATIENT = timedelta(seconds=10)
prefixes = (f"test{number}" for number in itertools.count())


class TestMemory(CacheContract):
    """In this process."""

    def cache(self) -> Cache:
        """A fresh one."""
        return MemoryCache()


class TestAsyncMemory(CacheContract):
    """In this process, awaited."""

    def cache(self) -> Cache:
        """A fresh one."""
        return BlockingCache(AsyncMemoryCache())


class _Redis:
    """Has a server."""

    local = False

    @pytest.fixture(autouse=True)
    def server(self, shared_valkey: Valkey) -> None:
        """Where things are kept."""
        self.url = shared_valkey.url

    def options(self) -> RedisCacheOptions:
        """A place of one's own on that server."""
        return RedisCacheOptions(prefix=next(prefixes))


class TestRedis(_Redis, CacheContract):
    """Shared by every process."""

    def cache(self) -> Cache:
        """A fresh one."""
        return RedisCache.from_url(
            self.url, deadline=_PATIENT, local=self.local, options=self.options()
        )


class TestAsyncRedis(_Redis, CacheContract):
    """The same, awaited."""

    def cache(self) -> Cache:
        """A fresh one."""
        return BlockingCache(
            AsyncRedisCache.from_url(
                self.url, deadline=_PATIENT, local=self.local, options=self.options()
            )
        )


class TestLocalRedis(TestRedis):
    """With the local tier in front."""

    local = True


class TestAsyncLocalRedis(TestAsyncRedis):
    """The same, awaited."""

    local = True


class TestMemoryStore(StoreContract):
    """In this process."""

    def store(self) -> Store:
        """A fresh one."""
        return MemoryCache().store


class TestAsyncMemoryStore(StoreContract):
    """In this process, awaited."""

    def store(self) -> Store:
        """A fresh one."""
        return BlockingStore(AsyncMemoryStore(MemoryCache().store))


class TestRedisStore(_Redis, StoreContract):
    """On a server."""

    @pytest.fixture
    def mine(self) -> Iterator[Store]:
        """A fresh one, and its link."""
        link = RedisLink.from_url(self.url, LinkOptions(deadline=_PATIENT))
        yield RedisStore(link, Names(next(prefixes)))
        link.close()


class TestAsyncRedisStore(_Redis, StoreContract):
    """On a server, awaited."""

    @pytest.fixture
    def mine(self) -> Iterator[Store]:
        """A fresh one, and its link."""
        link = AsyncRedisLink.from_url(self.url, LinkOptions(deadline=_PATIENT))
        store = BlockingStore(AsyncRedisStore(link, Names(next(prefixes))))
        yield store
        store.run(link.aclose())
        store.close()


def test_a_contract_needs_to_be_told_what_it_is_about() -> None:
    """Whoever subclasses it and forgets to build something hears so."""
    with pytest.raises(LookupError, match="how a cache is built"):
        CacheContract().cache()
    with pytest.raises(LookupError, match="how a store is built"):
        StoreContract().store()

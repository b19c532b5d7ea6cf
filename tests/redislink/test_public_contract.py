"""The public suite, over every link."""

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from socialflow_core.redislink import Link
from socialflow_core.redislink.redis import (
    AsyncPlainLink,
    AsyncRedisLink,
    PlainLink,
    RedisLink,
)
from socialflow_core.testing.redislink import BlockingLink, LinkContract


class TestRedisLink(LinkContract):
    """The fast one for threads."""

    def link(self, url: str) -> Link:
        """A fresh one."""
        return RedisLink.from_url(url, self.options)


class TestAsyncRedisLink(LinkContract):
    """The fast one for event loops."""

    def link(self, url: str) -> Link:
        """A fresh one."""
        return BlockingLink(AsyncRedisLink.from_url(url, self.options))


class _ClosingLink(PlainLink):
    """A plain link that closes its client, too: here nobody else does."""

    def close(self) -> None:
        super().close()
        self._client.close()


class _AsyncClosingLink(AsyncPlainLink):
    """The same, awaited."""

    async def aclose(self) -> None:
        await super().aclose()
        await self._client.aclose()


class TestPlainLink(LinkContract):
    """Over a client as it is."""

    def link(self, url: str) -> Link:
        """A fresh one."""
        timeout = self.options.deadline.total_seconds()
        retry = Retry(NoBackoff(), 0)
        client = redis.Redis.from_url(url, socket_timeout=timeout, retry=retry)
        return _ClosingLink(client, self.options)


class TestAsyncPlainLink(LinkContract):
    """Over an async client as it is."""

    def link(self, url: str) -> Link:
        """A fresh one."""
        timeout = self.options.deadline.total_seconds()
        retry = AsyncRetry(NoBackoff(), 0)
        client = redis.asyncio.Redis.from_url(url, socket_timeout=timeout, retry=retry)
        return BlockingLink(_AsyncClosingLink(client, self.options))


def test_a_contract_needs_to_be_told_what_it_is_about() -> None:
    """Whoever subclasses it and forgets to build a link hears so."""
    with pytest.raises(LookupError, match="how a link is built"):
        LinkContract().link("redis://127.0.0.1")

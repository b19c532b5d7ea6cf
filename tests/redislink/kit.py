"""What the tests of links share: scripts, and one way to use a link of any kind."""

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from socialflow_core.redislink import LinkOptions, Script
from socialflow_core.redislink.redis.aio import AsyncRedisLink
from socialflow_core.redislink.redis.plain import AsyncPlainLink, PlainLink
from socialflow_core.redislink.redis.sync import RedisLink
from socialflow_core.testing.poll import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from socialflow_core.redislink import Argument
    from socialflow_core.testing.servers.valkey import Valkey

ADD = Script("""
local out = {}
for i, key in ipairs(KEYS) do out[i] = redis.call('INCRBY', key, ARGV[i]) end
return out
""")
"""An item: one key, and how much to add to it; its entry is the sum."""

ECHO = Script("return ARGV")
"""An item: no key and one word, which is its entry."""

TOTAL = Script("""
local sum = 0
for _, key in ipairs(KEYS) do sum = sum + redis.call('INCR', key) end
return {sum}
""")
"""One item of any number of keys; its entry is their sum."""

DEADLINE = timedelta(milliseconds=200)
OPTIONS = LinkOptions(deadline=DEADLINE, probe_interval=timedelta(milliseconds=20))
# For tests that are not about the deadline.
PATIENT = LinkOptions(deadline=timedelta(seconds=10), probe_interval=timedelta(milliseconds=20))
# What a busy machine may add to a deadline before a test says that it was missed.
SLACK = 0.25


class Driver(Protocol):
    """A link of any kind, used without `await`."""

    link: Any

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Call the link."""
        ...

    def wait_back(self) -> None:
        """Return when the link says that its server is back."""
        ...

    def wait_lost(self) -> None:
        """Return when the link says that its server is away."""
        ...

    def close_link(self) -> None:
        """Close the link."""
        ...

    def close(self) -> None:
        """Close the link, and what was made for it."""
        ...


class SyncDriver:
    """Uses a sync link."""

    def __init__(self, link: Any, client: redis.Redis | None = None) -> None:
        self.link = link
        self._client = client

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Driver.call`."""
        return self.link.call(script, keys, args)

    def wait_back(self) -> None:
        """See `Driver.wait_back`."""
        wait_until(lambda: self.link.is_available, "the link is back")

    def wait_lost(self) -> None:
        """See `Driver.wait_lost`."""
        wait_until(lambda: not self.link.is_available, "the link is away")

    def close_link(self) -> None:
        """See `Driver.close_link`."""
        self.link.close()

    def close(self) -> None:
        """See `Driver.close`."""
        self.link.close()
        if self._client is not None:
            self._client.close()


class AsyncDriver:
    """Uses an async link, on a loop that only turns while something is asked of it."""

    def __init__(self, link: Any, client: redis.asyncio.Redis | None = None) -> None:
        self.link = link
        self._client = client
        self._runner = asyncio.Runner()

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Driver.call`."""
        return self._runner.run(self.link.call(script, keys, args))

    def wait_back(self) -> None:
        """See `Driver.wait_back`."""
        self._runner.run(poll(lambda: self.link.is_available, "the link is back"))

    def wait_lost(self) -> None:
        """See `Driver.wait_lost`."""
        self._runner.run(poll(lambda: not self.link.is_available, "the link is away"))

    def close_link(self) -> None:
        """See `Driver.close_link`."""
        self._runner.run(self.link.aclose())

    def close(self) -> None:
        """See `Driver.close`."""
        self._runner.run(self.link.aclose())
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()


async def poll(condition: Callable[[], bool], what: str) -> None:
    """`wait_until` for a condition that this loop brings about."""
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        await asyncio.sleep(0.005)


def _redis_link(url: str, options: LinkOptions) -> Driver:
    return SyncDriver(RedisLink.from_url(url, options))


def _async_redis_link(url: str, options: LinkOptions) -> Driver:
    return AsyncDriver(AsyncRedisLink.from_url(url, options))


def _plain_link(url: str, options: LinkOptions) -> Driver:
    limit = options.deadline.total_seconds()
    client = redis.Redis.from_url(
        url, socket_timeout=limit, socket_connect_timeout=limit, retry=Retry(NoBackoff(), 0)
    )
    return SyncDriver(PlainLink(client, options), client)


def _async_plain_link(url: str, options: LinkOptions) -> Driver:
    limit = options.deadline.total_seconds()
    client = redis.asyncio.Redis.from_url(
        url, socket_timeout=limit, socket_connect_timeout=limit, retry=AsyncRetry(NoBackoff(), 0)
    )
    return AsyncDriver(AsyncPlainLink(client, options), client)


FAST: dict[str, Callable[[str, LinkOptions], Driver]] = {
    "RedisLink": _redis_link,
    "AsyncRedisLink": _async_redis_link,
}
ALL = FAST | {"PlainLink": _plain_link, "AsyncPlainLink": _async_plain_link}


class Provider(redis.CredentialProvider):
    """A service that hands out the password "right": it may take its time, or raise *error*."""

    def __init__(self, *, seconds: float = 0) -> None:
        self.seconds = seconds
        self.error: BaseException | None = None
        self.raised = 0

    def get_credentials(self) -> tuple[str, str]:
        """The password, sooner or later."""
        time.sleep(self.seconds)
        return self._told()

    async def get_credentials_async(self) -> tuple[str, str]:
        """The same, without holding the loop."""
        await asyncio.sleep(self.seconds)
        return self._told()

    def _told(self) -> tuple[str, str]:
        if self.error is not None:
            self.raised += 1
            raise self.error
        return "default", "right"


def clients(server: Valkey) -> int:
    """How many connections the server has, our own included."""
    return int(server.info("clients")["connected_clients"])


@contextmanager
def takes_at_most(limit: timedelta) -> Iterator[None]:
    """Hold what is inside to *limit*, with some slack for a busy machine."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin <= limit.total_seconds() + SLACK


def everything_told(error: BaseException | None) -> str:
    """All that an error and what caused it show to whoever logs them."""
    told = []
    while error is not None:
        told += [str(error), repr(error), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(told)

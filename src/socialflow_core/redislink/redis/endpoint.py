"""Where Redis is, and how redis-py connects to it: from a URL or from a client.

Connecting, TLS, AUTH, RESP3, Sentinel and unix sockets are redis-py's; a link takes over
the socket once it is ready.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from socialflow_core._kit.errors import requires_extra

from .line import pack_command

with requires_extra("redis"):
    import redis
    import redis.asyncio
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.retry import Retry

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection as AsyncConnection
    from redis.connection import AbstractConnection as Connection

    from socialflow_core.redislink._interface import Argument, LinkOptions

__all__ = ["AsyncEndpoint", "Endpoint"]

_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}
PoolT = TypeVar("PoolT", bound="redis.ConnectionPool | redis.asyncio.ConnectionPool")


def _as_redis_url(url: str) -> str:
    scheme, colon, rest = url.partition(":")
    return _SCHEMES.get(scheme, scheme) + colon + rest


def _pool(kind: type[PoolT], url: str) -> PoolT:
    pool: Any = None
    with contextlib.suppress(ValueError):
        pool = kind.from_url(_as_redis_url(url))
    if pool is None:
        # Outside of the handler: what urllib says of a bad port is a part of the password.
        raise ValueError(
            "not the URL of a Redis: redis://user:password@host:6379/0, percent-encoded"
        )
    made: PoolT = pool
    return made


class _Endpoint(Generic[PoolT]):
    """A pool that lends no connection: it only knows how to make one."""

    _no_retry: Any

    def __init__(self, pool: PoolT) -> None:
        # Held, because a Sentinel's connections ask it for the master's address.
        self._pool = pool

    def _make(self, options: LinkOptions) -> Any:
        limit = options.connect_timeout.total_seconds()
        settings = {
            **self._pool.connection_kwargs,
            "socket_timeout": limit,
            "socket_connect_timeout": limit,
            "retry": self._no_retry,
            "retry_on_error": [],
            "health_check_interval": 0,
            "decode_responses": False,
        }
        return self._pool.connection_class(**settings)


class Endpoint(_Endpoint["redis.ConnectionPool"]):
    """One Redis for sync links."""

    _no_retry = Retry(NoBackoff(), 0)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read redis://, rediss://, unix:// or valkey://, valkeys:// .

        Raises:
            ValueError: If *url* is none of these; nothing of it is told.
        """
        return cls(_pool(redis.ConnectionPool, url))

    @classmethod
    def from_client(cls, client: redis.Redis) -> Self:
        """Go where *client* goes, with its credentials and TLS, on connections of our own."""
        return cls(client.connection_pool)

    def connect(self, options: LinkOptions) -> Connection:
        """Open a connection and say hello on it.

        Raises:
            RedisError: If that fails, or takes longer than *options* allow.
        """
        connection: Connection = self._make(options)
        connection.connect()  # type: ignore[no-untyped-call]  # -- redis-py leaves it untyped
        if options.greeting:
            try:
                connection.send_packed_command([pack_command(options.greeting)])  # type: ignore[no-untyped-call]  # -- as above
                connection.read_response()
            except BaseException:
                connection.disconnect()  # type: ignore[no-untyped-call]  # -- as above
                raise
        return connection


class AsyncEndpoint(_Endpoint["redis.asyncio.ConnectionPool"]):
    """One Redis for async links."""

    _no_retry = AsyncRetry(NoBackoff(), 0)

    @classmethod
    def from_url(cls, url: str) -> Self:
        """See `Endpoint.from_url`."""
        return cls(_pool(redis.asyncio.ConnectionPool, url))

    @classmethod
    def from_client(cls, client: redis.asyncio.Redis) -> Self:
        """See `Endpoint.from_client`."""
        return cls(client.connection_pool)

    async def connect(
        self, options: LinkOptions, question: tuple[Argument, ...] = ()
    ) -> AsyncConnection:
        """See `Endpoint.connect`; a *question* has to be answered too."""
        connection: AsyncConnection = self._make(options)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # -- as above
            for asked in filter(None, (options.greeting, question)):
                await connection.send_packed_command([pack_command(asked)])
                await connection.read_response()
        except BaseException:  # cancellation is where redis-py does not clean up itself
            await connection.disconnect(nowait=True)
            raise
        return connection

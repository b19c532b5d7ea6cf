"""A link over a redis-py client as it is, by public methods only.

For a cluster, and wherever the fast links do not fit. The client's own timeouts bound a
call, so it needs short ones, and it may not retry. `redis.RedisCluster` sends a script to
the node of its keys, so the keys of one call need one hash tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.redislink._interface import LinkOptions

from .watch import AsyncWatch, Watch, away

with requires_extra("redis"):
    import redis
    import redis.asyncio
    from redis.crc import key_slot
    from redis.exceptions import (
        AuthenticationError,
        ClusterDownError,
        MasterDownError,
        NoPermissionError,
        NoScriptError,
        OutOfMemoryError,
        ReadOnlyError,
        RedisClusterException,
        RedisError,
        ResponseError,
        TryAgainError,
    )

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from socialflow_core.redislink._interface import Argument, Script

__all__ = ["AsyncPlainLink", "PlainLink"]

# That of a cluster is no RedisError.
_ERRORS = (RedisError, RedisClusterException, OSError)
# As `line.is_away` says it; redis-py has classes for some, and cuts their codes off.
_AWAY = (
    *(ReadOnlyError, OutOfMemoryError, AuthenticationError, NoPermissionError),
    *(ClusterDownError, MasterDownError, TryAgainError),
)
_AWAY_CODES = ("BUSY", "LOADING", "MISCONF", "NOREPLICAS")


def _says_away(error: Exception) -> bool:
    if not isinstance(error, ResponseError) or isinstance(error, _AWAY):
        return True
    return str(error).startswith(_AWAY_CODES)


def check_bounds(client: Any, deadline: timedelta) -> None:
    """Refuse a client that would hold a caller longer, or send a request twice.

    Raises:
        ValueError: If its `socket_timeout` is missing or above *deadline*, or it retries.
    """
    timeout = client.get_connection_kwargs().get("socket_timeout")
    if timeout is None or timeout > deadline.total_seconds():
        raise ValueError("the client needs a socket_timeout of at most the deadline")
    retry = client.get_retry() if hasattr(client, "get_retry") else client.retry
    if retry is not None and retry.get_retries() > 0:
        raise ValueError("the client must not retry: Retry(NoBackoff(), 0)")


def check_one_slot(client: object, keys: Sequence[str]) -> None:
    """Refuse what a cluster cannot do at once.

    Raises:
        ValueError: If *client* is a cluster's and *keys* do not live on one node.
    """
    if isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster):
        slots = {key_slot(key.encode()) for key in keys}
        if len(slots) > 1:
            raise ValueError("in a cluster the keys of one call need the same {hash tag}")


class PlainLink:
    """See `Link`. The client stays yours: closing the link leaves it open."""

    def __init__(
        self, client: redis.Redis | redis.RedisCluster, options: LinkOptions | None = None
    ) -> None:
        self._client: Any = client  # the two have no common type
        self._options = options or LinkOptions()
        check_bounds(client, self._options.deadline)
        self._listeners: list[Callable[[], None]] = []
        self._watch = self._new_watch()
        renew_in_forks(self, PlainLink._begin_in_child)

    @property
    def is_cluster(self) -> bool:
        """Whether the client is one of a cluster."""
        return isinstance(self._client, redis.RedisCluster)

    def _new_watch(self) -> Watch:
        return Watch(self._probe, self._options.probe_interval, self._tell_recovered)

    def _begin_in_child(self) -> None:
        was_closed, self._watch = self._watch.is_closed, self._new_watch()
        if was_closed:
            self._watch.close()

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._watch.is_available

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Link.call`."""
        if not self._watch.is_available:
            raise away(sent=False)
        check_one_slot(self._client, keys)
        words = (len(keys), *keys, *args)
        try:
            try:
                reply = self._client.evalsha(script.sha, *words)
            except NoScriptError:
                if self._options.greeting:
                    self._client.execute_command(*self._options.greeting)
                reply = self._client.eval(script.source, *words)
        except _ERRORS as error:
            if _says_away(error):
                self._watch.lose()
            raise away(sent=None) from error
        return reply[0]

    def when_recovered(self, tell: Callable[[], None]) -> None:
        """See `Link.when_recovered`."""
        self._listeners.append(tell)

    def close(self) -> None:
        """See `Link.close`."""
        self._watch.close()

    def _tell_recovered(self) -> None:
        for tell in self._listeners:
            tell()

    def _probe(self) -> bool:
        try:
            self._client.execute_command(*self._options.probe)
        except _ERRORS:
            return False
        return True


class AsyncPlainLink:
    """`PlainLink`, awaited; for one event loop, as its client is."""

    def __init__(
        self,
        client: redis.asyncio.Redis | redis.asyncio.RedisCluster,
        options: LinkOptions | None = None,
    ) -> None:
        self._client: Any = client  # the two have no common type
        self._options = options or LinkOptions()
        check_bounds(client, self._options.deadline)
        self._listeners: list[Callable[[], Awaitable[None]]] = []
        self._watch = AsyncWatch(self._probe, self._options.probe_interval, self._tell_recovered)

    @property
    def is_cluster(self) -> bool:
        """Whether the client is one of a cluster."""
        return isinstance(self._client, redis.asyncio.RedisCluster)

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._watch.is_available

    def when_recovered(self, tell: Callable[[], Awaitable[None]]) -> None:
        """See `AsyncLink.when_recovered`."""
        self._listeners.append(tell)

    async def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Link.call`."""
        if not self._watch.is_available:
            raise away(sent=False)
        check_one_slot(self._client, keys)
        words = (len(keys), *keys, *args)
        try:
            try:
                reply = await self._client.evalsha(script.sha, *words)
            except NoScriptError:
                if self._options.greeting:
                    await self._client.execute_command(*self._options.greeting)
                reply = await self._client.eval(script.source, *words)
        except _ERRORS as error:
            if _says_away(error):
                self._watch.lose()
            raise away(sent=None) from error
        return reply[0]

    async def aclose(self) -> None:
        """See `Link.close`."""
        await self._watch.aclose()

    async def _tell_recovered(self) -> None:
        for tell in self._listeners:
            await tell()

    async def _probe(self) -> bool:
        try:
            await self._client.execute_command(*self._options.probe)
        except _ERRORS:
            return False
        return True

"""A link over a redis-py client as it is, by public methods only.

For a cluster, and wherever the fast links do not fit. The client's own timeouts and
retries bound a call; give it short ones. `redis.RedisCluster` sends a script to the node
of its keys, so the keys of one call need one hash tag.
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
    from redis.exceptions import NoScriptError, RedisClusterException, RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from socialflow_core.redislink._interface import Argument, Script

__all__ = ["AsyncPlainLink", "PlainLink"]

# That of a cluster is no RedisError.
_ERRORS = (RedisError, RedisClusterException, OSError)


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

    on_recovered: Callable[[], None] | None = None
    """Called in the background each time when the server is back."""

    def __init__(
        self, client: redis.Redis | redis.RedisCluster, options: LinkOptions | None = None
    ) -> None:
        self._client: Any = client  # the two have no common type
        self._options = options or LinkOptions()
        self._begin()
        renew_in_forks(self, PlainLink._begin)

    def _begin(self) -> None:
        """Begin to watch: at first, and in a forked child."""
        self._watch = Watch(self._probe, self._options.probe_interval)
        self._watch.on_recovered = self._tell_recovered

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
                reply = self._client.eval(script.source, *words)
        except _ERRORS as error:
            self._watch.lose()
            raise away(sent=None) from error
        return reply[0]

    def close(self) -> None:
        """See `Link.close`."""
        self._watch.close()

    def _tell_recovered(self) -> None:
        if self.on_recovered is not None:
            self.on_recovered()

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
        self._watch = AsyncWatch(self._probe, self._options.probe_interval)

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._watch.is_available

    @property
    def on_recovered(self) -> Callable[[], Awaitable[None]] | None:
        """Awaited each time when the server is back."""
        return self._watch.on_recovered

    @on_recovered.setter
    def on_recovered(self, tell: Callable[[], Awaitable[None]] | None) -> None:
        self._watch.on_recovered = tell

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
                reply = await self._client.eval(script.source, *words)
        except _ERRORS as error:
            self._watch.lose()
            raise away(sent=None) from error
        return reply[0]

    async def aclose(self) -> None:
        """See `Link.close`."""
        await self._watch.aclose()

    async def _probe(self) -> bool:
        try:
            await self._client.execute_command(*self._options.probe)
        except _ERRORS:
            return False
        return True

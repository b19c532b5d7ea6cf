"""A link for event loops: one connection for each loop, shared by all of its tasks."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any, Self

from socialflow_core.redislink._interface import LinkOptions

from .channel import Channel
from .endpoint import AsyncEndpoint
from .watch import away

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import redis.asyncio
    from redis.asyncio.connection import AbstractConnection

    from socialflow_core.redislink._interface import Argument, Script

__all__ = ["AsyncRedisLink"]


class AsyncRedisLink:
    """See `AsyncLink`. Usable from several event loops, each with its own connection."""

    def __init__(self, endpoint: AsyncEndpoint, options: LinkOptions | None = None) -> None:
        self.options = options or LinkOptions()
        self._endpoint = endpoint
        self._channels: dict[asyncio.AbstractEventLoop, Channel] = {}
        self._closed: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self._listeners: list[Callable[[], Awaitable[None]]] = []

    @classmethod
    def from_url(cls, url: str, options: LinkOptions | None = None) -> Self:
        """Link to redis://, rediss://, unix://, valkey:// or valkeys:// ."""
        return cls(AsyncEndpoint.from_url(url), options)

    @classmethod
    def from_client(cls, client: redis.asyncio.Redis, options: LinkOptions | None = None) -> Self:
        """Link to where *client* goes, with its credentials, on connections of our own."""
        return cls(AsyncEndpoint.from_client(client), options)

    async def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `AsyncLink.call`."""
        return await self._channel().call(script, keys, args)

    @property
    def is_available(self) -> bool:
        """Whether the server answered when this loop last asked it; elsewhere, when any did."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread of its own, for instance that of a status page
            channels = [*self._channels.values()]
            if not channels:
                return not self._closed
            return all(channel.watch.is_available for channel in channels)
        channel = self._channels.get(loop)
        return channel.watch.is_available if channel else loop not in self._closed

    def when_recovered(self, tell: Callable[[], Awaitable[None]]) -> None:
        """See `AsyncLink.when_recovered`."""
        self._listeners.append(tell)

    async def connect(self, question: tuple[Argument, ...] = ()) -> AbstractConnection:
        """Open a connection of redis-py; for the channels."""
        return await self._endpoint.connect(self.options, question)

    async def tell_recovered(self) -> None:
        """Tell whoever asked to know; for the channels."""
        for tell in self._listeners:
            await tell()

    async def aclose(self) -> None:
        """See `AsyncLink.aclose`; closes the connection of the loop it is awaited on."""
        loop = asyncio.get_running_loop()
        self._closed.add(loop)
        channel = self._channels.pop(loop, None)
        if channel is not None:
            await channel.aclose()

    def _channel(self) -> Channel:
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            if loop in self._closed:
                raise away(sent=False)
            # A loop that ended without `aclose` leaves a connection that warns when forgotten.
            for ended in [other for other in [*self._channels] if other.is_closed()]:
                self._channels.pop(ended, None)
            channel = self._channels[loop] = Channel(self, loop)
        return channel

"""A link for event loops: one connection for each loop, shared by all of its tasks.

The calls of one turn of the loop are laid end to end and sent as one script call. Replies
come in the order of requests, so a caller that gives up leaves its place to be passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from socialflow_core._kit.errors import requires_extra
from socialflow_core.redislink._interface import LinkOptions, Script

from .endpoint import AsyncEndpoint
from .line import entries, new_reader, pack, take
from .watch import AsyncWatch, away

with requires_extra("redis"):
    import hiredis
    from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import redis.asyncio
    from redis.asyncio.connection import AbstractConnection

    from socialflow_core.redislink._interface import Argument

__all__ = ["AsyncRedisLink"]

_READ = 65_536
# One script call holds the server while it runs, and Lua unpacks at most some thousands.
_MOST_ITEMS = 200


class AsyncRedisLink:
    """See `AsyncLink`. Usable from several event loops, each with its own connection."""

    on_recovered: Callable[[], Awaitable[None]] | None = None
    """Awaited on the loop each time when the server is back."""

    def __init__(self, endpoint: AsyncEndpoint, options: LinkOptions | None = None) -> None:
        self.options = options or LinkOptions()
        self._endpoint = endpoint
        self._channels: dict[asyncio.AbstractEventLoop, _Channel] = {}
        self._closed = False

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
        """Whether the server answered when this loop last asked it."""
        return self._channel().watch.is_available

    async def connect(self, question: tuple[Argument, ...] = ()) -> AbstractConnection:
        """Open a connection of redis-py; for the channels."""
        return await self._endpoint.connect(self.options, question)

    async def tell_recovered(self) -> None:
        """Tell whoever asked to know; for the channels."""
        if self.on_recovered is not None:
            await self.on_recovered()

    async def aclose(self) -> None:
        """See `AsyncLink.aclose`; closes the connection of the loop it is awaited on."""
        self._closed = True
        channel = self._channels.pop(asyncio.get_running_loop(), None)
        if channel is not None:
            await channel.aclose()

    def _channel(self) -> _Channel:
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            if self._closed:
                raise away(sent=False)
            # A loop that ended without `aclose` leaves a connection that warns when forgotten.
            for ended in [other for other in [*self._channels] if other.is_closed()]:
                self._channels.pop(ended, None)
            channel = self._channels[loop] = _Channel(self, loop)
        return channel


class _Batch:
    """The calls of one turn of the loop that run one script."""

    __slots__ = ("args", "futures", "keys", "script", "sent", "timer")

    def __init__(self, script: Script) -> None:
        self.script = script
        self.keys: list[str] = []
        self.args: list[Argument] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.sent = False
        self.timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return all(future.done() for future in self.futures)

    def answer(self, replies: Sequence[Any]) -> None:
        self._end()
        for future, reply in zip(self.futures, replies, strict=True):
            if not future.done():
                future.set_result(reply)

    def fail(self, cause: BaseException | None) -> None:
        self._end()
        for future in self.futures:
            if not future.done():
                error = away(sent=self.sent)
                error.__cause__ = cause
                future.set_exception(error)

    def _end(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class _Channel:
    """The connection of one event loop, and who waits on it."""

    def __init__(self, link: AsyncRedisLink, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._loop = loop
        self._deadline = link.options.deadline.total_seconds()
        self.watch = AsyncWatch(self._probe, link.options.probe_interval)
        self.watch.on_recovered = link.tell_recovered
        self._gathering: dict[Script, _Batch] = {}
        self._unsent: list[_Batch] = []
        self._flying: deque[_Batch] = deque()
        self._connection: AbstractConnection | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._connecting = False

    def call(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument]
    ) -> asyncio.Future[Any]:
        if not self.watch.is_available:
            raise away(sent=False)
        batch = self._gathering.get(script)
        if batch is None:
            if not self._gathering:
                self._loop.call_soon(self._send_gathered)
            batch = self._gathering[script] = _Batch(script)
            batch.timer = self._loop.call_later(self._deadline, self._expire, batch)
        batch.keys += keys
        batch.args += args
        future = self._loop.create_future()
        batch.futures.append(future)
        if len(batch.futures) >= _MOST_ITEMS:
            del self._gathering[script]
            self._send(batch)
        return future

    def _send_gathered(self) -> None:
        gathered, self._gathering = self._gathering, {}
        for batch in gathered.values():
            self._send(batch)

    def _send(self, batch: _Batch) -> None:
        if self._writer is not None:
            self._write(self._writer, batch, "EVALSHA")
            return
        self._unsent.append(batch)
        if not self._connecting:
            self._connecting = True
            self.watch.start(self._connect_first())

    def _write(self, writer: asyncio.StreamWriter, batch: _Batch, command: str) -> None:
        batch.sent = True
        self._flying.append(batch)
        # Not drained: a server that does not read misses the deadline, and that ends it.
        writer.write(pack(command, batch.script, batch.keys, batch.args))

    def _expire(self, batch: _Batch) -> None:
        # If the loop itself was late, the reply may lie there unread: one more turn to take it.
        self._loop.call_soon(self._expire_now, batch)

    def _expire_now(self, batch: _Batch) -> None:
        if batch.is_over:
            return
        if batch in self._unsent:
            self._unsent.remove(batch)
        batch.fail(TimeoutError())
        self.watch.lose()

    async def _connect_first(self) -> None:
        try:
            connection = await self._link.connect()
        except (OSError, RedisError) as error:
            unsent, self._unsent = self._unsent, []
            for batch in unsent:
                batch.fail(error)
            if self._writer is None:
                self.watch.lose()
        else:
            if self._writer is None:
                await self._adopt(connection)
            else:  # a probe was faster
                await connection.disconnect(nowait=True)
        finally:
            self._connecting = False

    async def _adopt(self, connection: AbstractConnection) -> None:
        """Use this connection from now on, instead of the one before."""
        await self._drop()
        self._connection = connection
        writer = connection._writer  # noqa: SLF001 -- pinned by a test
        assert writer is not None  # noqa: S101 -- it is connected
        self._writer = writer
        self.watch.start(self._read(connection, self._flying))
        unsent, self._unsent = self._unsent, []
        for batch in unsent:
            self._write(writer, batch, "EVALSHA")

    async def _drop(self) -> None:
        connection, self._connection, self._writer = self._connection, None, None
        flying, self._flying = self._flying, deque()
        for batch in flying:
            batch.fail(ConnectionResetError())
        if connection is not None:
            with contextlib.suppress(OSError, RedisError):
                await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection, flying: deque[_Batch]) -> None:
        """Hand each reply to the batch that has waited longest on this connection."""
        stream, reader = connection._reader, new_reader()  # noqa: SLF001 -- pinned by a test
        if stream is None:
            return  # dropped before it was read
        with contextlib.suppress(OSError, hiredis.HiredisError):
            while data := await stream.read(_READ):
                reader.feed(data)
                while (reply := take(reader)) is not Ellipsis:
                    if not flying:
                        raise hiredis.ProtocolError("a reply to nothing")
                    self._answer(flying.popleft(), reply)
        if connection is self._connection:
            # A server may end a connection that rests; the next call makes another.
            if flying:
                self.watch.lose()
            await self._drop()

    def _answer(self, batch: _Batch, reply: Any) -> None:
        """Tell a batch its reply; raise if it is garbled, for what follows may be so too."""
        refused = isinstance(reply, hiredis.ReplyError)
        if refused and str(reply).startswith("NOSCRIPT") and self._writer is not None:
            # Refused before it ran, so sending it again counts nothing twice.
            if not batch.is_over:
                self._write(self._writer, batch, "EVAL")
            return
        try:
            batch.answer(entries(reply, len(batch.futures)))
        except hiredis.HiredisError as error:
            batch.sent = not refused
            batch.fail(error)
            self.watch.lose()
            if not refused:
                raise

    async def _probe(self) -> bool:
        """Try a new connection; if it works, it is the one from now on."""
        try:
            connection = await self._link.connect(self._link.options.probe)
        except (OSError, RedisError):
            return False
        await self._adopt(connection)
        return True

    async def aclose(self) -> None:
        await self.watch.aclose()
        unsent, self._unsent = [*self._gathering.values(), *self._unsent], []
        self._gathering = {}
        for batch in unsent:
            batch.fail(None)
        await self._drop()

    def __del__(self) -> None:
        if self._connection is not None:
            warnings.warn(f"unclosed {self._link!r}", ResourceWarning, source=self, stacklevel=2)

"""The calls of one event loop, and the connection on which they travel.

The calls of one turn of the loop are laid end to end and sent as one script call. Replies
come in the order of requests, so a caller that gives up leaves its place to be passed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra

from .line import entries, is_away, new_reader, pack, take
from .watch import AsyncWatch, away

with requires_extra("redis"):
    import hiredis
    from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import AbstractConnection

    from socialflow_core.redislink._interface import Argument, Script

    from .aio import AsyncRedisLink

__all__ = ["Channel"]

# More than these go on their way at once: the server judges them while the loop gathers the
# next, which with 32 callers saves a fifth of the time, and no script call holds it for long.
_MOST_ITEMS = 16


class _Batch:
    """The calls of one turn of the loop that run one script."""

    __slots__ = ("args", "begun", "futures", "keys", "script", "sent")

    def __init__(self, script: Script, begun: float) -> None:
        self.script = script
        self.begun = begun
        self.keys: list[str] = []
        self.args: list[Argument] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.sent: bool | None = False

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return all(future.done() for future in self.futures)

    def answer(self, replies: Sequence[Any]) -> None:
        for future, reply in zip(self.futures, replies, strict=True):
            if not future.done():
                future.set_result(reply)

    def fail(self, cause: BaseException | None) -> None:
        for future in self.futures:
            if not future.done():
                error = away(sent=self.sent)
                error.__cause__ = cause
                future.set_exception(error)


class _Wire(asyncio.Protocol):
    """A connection of redis-py whose bytes come here, and the batches that wait on it."""

    def __init__(self, channel: Channel, connection: AbstractConnection) -> None:
        self._channel = channel
        self.connection = connection
        writer = connection._writer  # noqa: SLF001 -- pinned by a test
        assert writer is not None  # noqa: S101 -- it is connected
        # Without asyncio's streams in between, a reply wakes its callers one turn earlier.
        self._transport = writer.transport
        self._transport.set_protocol(self)
        self._reader = new_reader()
        self.flying: deque[_Batch] = deque()

    def send(self, batch: _Batch, command: str) -> None:
        batch.sent = True
        self.flying.append(batch)
        # Not drained: a server that does not read misses the deadline, and that ends it.
        self._transport.write(pack(command, batch.script, batch.keys, batch.args))

    def data_received(self, data: bytes) -> None:
        """Hand each reply to the batch that has waited longest."""
        try:
            self._reader.feed(data)
            while (reply := take(self._reader)) is not Ellipsis:
                if not self.flying:
                    raise hiredis.ProtocolError("a reply to nothing")
                self._answer(self.flying.popleft(), reply)
        except hiredis.HiredisError:
            # Garbled, so what follows may be so too.
            self._channel.ended(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, or we ourselves, ended it."""
        del exc
        self._channel.ended(self)

    def drop(self) -> bool:
        """Fail whoever waits, and answer whether somebody did."""
        flying, self.flying = self.flying, deque()
        for batch in flying:
            batch.fail(ConnectionResetError())
        return bool(flying)

    def _answer(self, batch: _Batch, reply: Any) -> None:
        refused = isinstance(reply, hiredis.ReplyError)
        if refused and str(reply).startswith("NOSCRIPT"):
            # Refused before it ran, so sending it again counts nothing twice.
            if not batch.is_over:
                self.send(batch, "EVAL")
            return
        try:
            batch.answer(entries(reply, len(batch.futures)))
        except hiredis.HiredisError as error:
            if isinstance(error, hiredis.ReplyError):
                batch.sent = False if is_away(error) else None
            batch.fail(error)
            if batch.sent is not None:
                self._channel.watch.lose()
            if batch.sent:
                raise


class Channel:
    """What one event loop has of a link."""

    def __init__(self, link: AsyncRedisLink, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._loop = loop
        self._deadline = link.options.deadline.total_seconds()
        self.watch = AsyncWatch(self._probe, link.options.probe_interval, link.tell_recovered)
        self._gathering: dict[Script, _Batch] = {}
        self._unsent: list[_Batch] = []
        self._wire: _Wire | None = None
        self._connecting = False
        self._alarm: asyncio.TimerHandle | None = None

    def call(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument]
    ) -> asyncio.Future[Any]:
        """See `AsyncLink.call`."""
        if not self.watch.is_available:
            raise away(sent=False)
        batch = self._gathering.get(script)
        if batch is None:
            if not self._gathering:
                self._loop.call_soon(self._send_gathered)
            now = self._loop.time()
            batch = self._gathering[script] = _Batch(script, now)
            if self._alarm is None:
                self._alarm = self._loop.call_at(now + self._deadline, self._ring)
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
        if self._wire is not None:
            self._wire.send(batch, "EVALSHA")
            return
        self._unsent.append(batch)
        if not self._connecting:
            self._connecting = True
            self.watch.start(self._connect_first())

    def _waiting(self) -> list[_Batch]:
        """Every batch that somebody waits for, the oldest first."""
        flying = self._wire.flying if self._wire is not None else ()
        batches = [*flying, *self._unsent, *self._gathering.values()]
        return [batch for batch in batches if not batch.is_over]

    def _ring(self) -> None:
        # One alarm for all: a timer for each batch, nearly always cancelled, costs more.
        self._alarm = None
        waiting = self._waiting()
        if not waiting:
            return
        end = waiting[0].begun + self._deadline
        if end > self._loop.time():
            self._alarm = self._loop.call_at(end, self._ring)
        else:
            # If the loop itself was late, the reply may lie there unread: one turn to take it.
            self._loop.call_soon(self._expire)

    def _expire(self) -> None:
        late = self._loop.time() - self._deadline
        for batch in self._waiting():
            if batch.begun <= late:
                if batch in self._unsent:
                    self._unsent.remove(batch)
                batch.fail(TimeoutError())
                self.watch.lose()
        self._ring()

    async def _connect_first(self) -> None:
        try:
            connection = await self._link.connect()
        except Exception as error:  # noqa: BLE001 -- a credential provider may raise anything
            unsent, self._unsent = self._unsent, []
            for batch in unsent:
                batch.fail(error)
            if self._wire is None:
                self.watch.lose()
        else:
            if self._wire is None:
                self._adopt(connection)
            else:  # a probe was faster
                await connection.disconnect(nowait=True)
        finally:
            self._connecting = False

    def _adopt(self, connection: AbstractConnection) -> None:
        """Use this connection from now on, instead of the one before."""
        former, self._wire = self._wire, _Wire(self, connection)
        if former is not None:
            former.drop()
            self.watch.start(_disconnect(former))
        unsent, self._unsent = self._unsent, []
        for batch in unsent:
            self._wire.send(batch, "EVALSHA")

    def ended(self, wire: _Wire) -> None:
        """A connection is of no use any more; the next call makes another."""
        if wire is self._wire:
            self._wire = None
            self.watch.start(_disconnect(wire))
            # A server may end a connection that rests.
            if wire.drop():
                self.watch.lose()

    async def _probe(self) -> bool:
        """Try a new connection; if it works, it is the one from now on."""
        try:
            connection = await self._link.connect(self._link.options.probe)
        except (OSError, RedisError):
            return False
        self._adopt(connection)
        return True

    async def aclose(self) -> None:
        """See `AsyncLink.aclose`."""
        if self._alarm is not None:
            self._alarm.cancel()
        await self.watch.aclose()
        unsent, self._unsent = [*self._gathering.values(), *self._unsent], []
        self._gathering = {}
        for batch in unsent:
            batch.fail(None)
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.drop()
            await _disconnect(wire)

    def __del__(self) -> None:
        if self._wire is not None:
            warnings.warn(f"unclosed {self._link!r}", ResourceWarning, source=self, stacklevel=2)


async def _disconnect(wire: _Wire) -> None:
    with contextlib.suppress(OSError, RedisError):
        await wire.connection.disconnect(nowait=True)

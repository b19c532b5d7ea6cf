"""One connection that a `FaultProxy` carries: a client's, and ours to the server."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from socialflow_core._kit.errors import CoreError

from .faults import Pass

if TYPE_CHECKING:
    from .faults import Fault, Side

__all__ = ["Relay", "Stream", "Weather", "end", "reset_on_close"]

_CHUNK = 65536
_BACKLOG = 64  # chunks that may wait in one direction, before the sender has to
_FAREWELL = 1.0  # seconds that a TLS peer has to answer our good-bye

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Ending: TypeAlias = Literal["orderly", "close", "reset"]


class Weather:
    """What all connections of a proxy have in common; belongs to the proxy's loop."""

    def __init__(self) -> None:
        self.fault: Fault = Pass()
        self.era = 0
        self.carried: Counter[Side] = Counter()
        self._changed = asyncio.Event()

    def change(self, fault: Fault) -> None:
        """Let *fault* be in force from now on, also for data that waits."""
        self.fault = fault
        self.era += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes_before(self, at: float) -> bool:
        """Wait until then, on the loop's clock; or, at once, for another fault."""
        try:
            async with asyncio.timeout_at(at):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


class _HangUpError(CoreError):
    """The connection is to end now."""


@dataclass(slots=True)
class _Lane:
    """One direction, with what came in and has not gone out."""

    side: Side
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    inbox: asyncio.Queue[tuple[float, bytes]] = field(
        default_factory=lambda: asyncio.Queue(_BACKLOG)
    )
    era: int = -1
    passed: int = 0
    newest: float = 0.0
    lost: bool = False
    broken: bool = False


class Relay:
    """Carries bytes both ways until one side is gone or a fault ends it."""

    def __init__(self, weather: Weather, client: Stream, server: Stream) -> None:
        self._weather = weather
        self._requests = _Lane("request", client[0], server[1])
        self._replies = _Lane("reply", server[0], client[1])
        self._ending: _Ending = "close"

    async def run(self) -> None:
        """Carry; a cancellation ends it without a good-bye."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in (self._requests, self._replies):
                    # Then `drain` waits until all is sent. 0 would never end with TLS.
                    lane.writer.transport.set_write_buffer_limits(1)
                    group.create_task(self._receive(lane))
                    group.create_task(self._send(lane))
            self._ending = "orderly"
        except* _HangUpError:
            pass
        finally:
            await end(self._replies.writer, self._ending)
            await end(self._requests.writer, self._ending)

    async def _receive(self, lane: _Lane) -> None:
        now = asyncio.get_running_loop().time
        try:
            while data := await lane.reader.read(_CHUNK):
                await lane.inbox.put((now(), data))
        except OSError:
            lane.broken = True
        await lane.inbox.put((now(), b""))

    async def _send(self, lane: _Lane) -> None:
        while True:
            arrived, data = await lane.inbox.get()
            if not data:
                break
            try:
                await self._deliver(lane, arrived, data)
            except OSError:
                self._fail(lane)
        if lane.broken:
            self._fail(lane)
        elif lane is self._requests and lane.lost:
            raise _HangUpError  # nobody is left who could wait for anything
        elif not lane.lost:
            _finish(lane.writer)

    def _fail(self, lane: _Lane) -> None:
        """One side is gone: so is the other, unless a fault keeps that from the client."""
        if lane is self._replies and lane.lost:
            return
        if lane is self._requests and self._replies.lost and not lane.broken:
            lane.lost = True
            return
        self._ending = "reset"
        raise _HangUpError

    async def _deliver(self, lane: _Lane, arrived: float, data: bytes) -> None:
        weather = self._weather
        while data and not lane.lost:
            if lane.era != weather.era:
                lane.era, lane.passed = weather.era, 0
            verdict = weather.fault.judge(lane.side, lane.passed, data)
            hold, pause = verdict.hold.total_seconds(), verdict.pause.total_seconds()
            due = max(arrived + hold, lane.newest + pause)
            if (hold or pause) and await weather.changes_before(due):
                continue  # the next one judges
            weather.carried[lane.side] += len(verdict.data)
            lane.writer.write(verdict.data)
            await lane.writer.drain()
            lane.passed += len(data) - len(verdict.rest)
            lane.newest = asyncio.get_running_loop().time()
            data = verdict.rest
            if verdict.then == "lose":
                lane.lost = True
            elif verdict.then != "go on":
                self._ending = verdict.then
                raise _HangUpError


def _finish(writer: asyncio.StreamWriter) -> None:
    """Say that nothing more comes; TLS can say it only for both directions."""
    if not writer.can_write_eof():
        writer.close()
        return
    with suppress(OSError):  # the other side may have gone in the same moment
        writer.write_eof()


async def end(writer: asyncio.StreamWriter, how: _Ending) -> None:
    """End a connection: after a good-bye, without (FIN), or as if it broke (RST)."""
    if how == "reset":
        reset_on_close(writer.get_extra_info("socket"))
    if how == "orderly":
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await writer.wait_closed()
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def reset_on_close(connection: socket.socket) -> None:
    """Make a connection break (RST) when it is closed: nothing lingers."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

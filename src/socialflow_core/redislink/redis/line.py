"""One connection of redis-py, taken over once it has said hello.

What redis-py does for each call beyond sending and reading (pool, retry, events, health
checks) costs as much as the round trip on a near server; none of it is wanted here.
`tests/redislink/test_pinned.py` holds the private attributes that this relies on.
"""

from __future__ import annotations

import contextlib
import select
import time
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra

with requires_extra("redis"):
    import hiredis
    from redis.exceptions import RedisError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from redis.connection import AbstractConnection as Connection

    from socialflow_core.redislink._interface import Argument, Script

__all__ = ["Line", "entries", "is_away", "new_reader", "pack", "pack_command", "take"]

_READ = 65_536
# So much of a call's time may have gone by before the socket's own timeout is shortened.
_EARLY_S = 0.005
# A socket that rested longer than this is asked whether it is still alive before use.
_IDLE_S = 0.05


def pack(command: str, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> bytes:
    """The bytes of EVALSHA or EVAL."""
    body = script.sha if command == "EVALSHA" else script.source
    return pack_command((command, body, len(keys), *keys, *args))


def pack_command(words: tuple[Argument, ...]) -> bytes:
    """The bytes of any command."""
    # hiredis declares a tuple of one, and takes any number.
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # -- see above
    return packed


def new_reader() -> hiredis.Reader:
    """A parser whose error replies are values, not exceptions raised half-way."""
    return hiredis.Reader(notEnoughData=Ellipsis)


def take(reader: hiredis.Reader) -> Any:
    """The next reply, or Ellipsis if it is not complete; what the server pushes is passed over."""
    reply = reader.gets()
    while type(reply) is hiredis.PushNotification:
        reply = reader.gets()
    return reply


def entries(reply: Any, items: int) -> list[Any]:
    """The entries that a script answered, one for each item.

    Raises:
        HiredisError: If that is something else: an error, or garbled on its way.
    """
    if isinstance(reply, hiredis.ReplyError):
        raise reply
    if not isinstance(reply, list) or len(reply) != items:
        raise hiredis.ProtocolError("a script answers one entry for each item")
    return reply


# Refusals of a server that serves nobody at the moment; any other is about the one call.
_AWAY = (
    *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM"),
    *("NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"),
)


def is_away(refusal: hiredis.ReplyError) -> bool:
    """Whether a refusal says that the server is of no use now, and has done nothing."""
    return str(refusal).partition(" ")[0] in _AWAY


class Line:
    """A socket and its parser: one request, one reply, one thread."""

    def __init__(self, connection: Connection, timeout: float, era: int) -> None:
        self._connection = connection  # keeps the socket's owner alive
        # Pinned by a test; it is None only before connecting.
        self._sock: socket.socket = connection._get_socket()  # type: ignore[assignment]  # noqa: SLF001 -- see above
        self._sock.settimeout(timeout)
        self._timeout = timeout
        self.era = era
        self._reader = new_reader()
        self._used = time.monotonic()

    def exchange(self, packed: bytes, begin: float) -> Any:
        """Send a request and read its reply, within the line's timeout from *begin* on.

        Raises:
            OSError: If that takes longer, or the line breaks; the line is of no use then,
                for the reply may still come.
            HiredisError: If what came is no reply; as above.
        """
        sock, reader = self._sock, self._reader
        if time.monotonic() - begin > _EARLY_S:
            return self._exchange_late(packed, begin)
        sock.sendall(packed)
        reader.feed(sock.recv(_READ) or self._broken())
        reply = take(reader)
        if reply is Ellipsis:
            reply = self._read_on(begin)
        self._used = time.monotonic()
        return reply

    def _exchange_late(self, packed: bytes, begin: float) -> Any:
        """The same, when connecting or a first try has used some of the time."""
        self._shorten(begin)
        self._sock.sendall(packed)
        reply = self._read_on(begin)
        self._used = time.monotonic()
        return reply

    def _read_on(self, begin: float) -> Any:
        """A reply that comes in pieces, in what is left of the time."""
        while (reply := take(self._reader)) is Ellipsis:
            self._shorten(begin)
            self._reader.feed(self._sock.recv(_READ) or self._broken())
        self._sock.settimeout(self._timeout)
        return reply

    def _shorten(self, begin: float) -> None:
        left = begin + self._timeout - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)

    def _broken(self) -> bytes:
        raise ConnectionResetError("the server closed the connection")

    def is_stale(self) -> bool:
        """Whether the line rested so long that the other end left unnoticed."""
        if time.monotonic() - self._used < _IDLE_S:
            return False
        # Nothing was asked, so anything to read is the end, or something not meant for us.
        poller = select.poll()
        try:
            poller.register(self._sock, select.POLLIN)
        except ValueError:  # somebody has just closed the link
            return True
        return bool(poller.poll(0))

    def close(self) -> None:
        """Close the socket; calling it twice is fine."""
        self._connection.disconnect()  # type: ignore[no-untyped-call]  # -- as it is there

    def __del__(self) -> None:
        # redis-py's connections are part of a cycle, and would stay until the next collection.
        with contextlib.suppress(OSError, RedisError):
            self.close()

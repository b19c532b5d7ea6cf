"""What the server pushes: names that changed (CLIENT TRACKING in broadcast mode, RESP3).

On a thread and a connection of its own, for event loops too: an invalidation is heard while
the loop is busy. Whenever it does not hear, the tier is closed: empty, and taking nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import Fact, fact

with requires_extra("redis"):
    import hiredis

if TYPE_CHECKING:
    from datetime import timedelta

    from socialflow_core.cache._script import Names
    from socialflow_core.cache.memory.table import Table
    from socialflow_core.redislink import LinkOptions
    from socialflow_core.redislink.redis import Endpoint

__all__ = ["Listener"]

_READ = 65_536
_REFUSED_PAUSE_S = 30.0


class Listener:
    """Keeps *table* open while it hears what the server invalidates.

    Args:
        endpoint: Where the server is.
        options: How long connecting may take, and how long to wait between tries.
        names: Which names to hear of.
        table: The local tier.
        heartbeat: A server that says nothing for that long is asked; if it does not answer
            within the same time, it is lost. So long at most the tier is out of date when
            the network breaks without a word; twice that.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: LinkOptions,
        names: Names,
        table: Table,
        heartbeat: timedelta,
    ) -> None:
        self._endpoint = endpoint
        self._options = options
        self._names = names
        self._table = table
        self._heartbeat = heartbeat.total_seconds()
        self._closed = threading.Event()
        self._begin()
        renew_in_forks(self, Listener._in_child)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._state = "new"

    def _in_child(self) -> None:
        # The parent's thread does not exist here, and its socket is the parent's.
        self._begin()
        self._table.renew()
        self._table.close()

    def start(self) -> None:
        """Begin to listen, unless that is so already."""
        if self._thread is not None or self._closed.is_set():
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="socialflow-cache-listener", daemon=True
                )
                with contextlib.suppress(RuntimeError):  # none is to be had: at the next read
                    thread.start()
                    self._thread = thread

    def close(self) -> None:
        """End; calling it twice is fine."""
        self._closed.set()
        with self._lock:
            self._hang_up()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._options.connect_timeout.total_seconds() + self._heartbeat)

    def lose(self) -> None:
        """Another connection has noticed that the server is away: begin anew."""
        self._table.close()
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        while not self._closed.is_set():
            # Whatever it is (credentials come from a provider that may raise anything), this
            # thread goes on: without it nothing would ever be kept here again.
            pause = self._options.probe_interval.total_seconds()
            try:
                self._connect_and_listen()
            except hiredis.ReplyError as error:
                # A rule, or a server of before RESP3: it will say so again.
                pause = _REFUSED_PAUSE_S
                self._lose("new", f"the server does not push invalidations ({_code(error)})")
            except BaseException:  # noqa: BLE001, S110 -- told below, where it was heard before
                pass
            self._table.close()
            self._lose("heard", "the server's invalidations are not heard")
            self._closed.wait(pause)

    def _lose(self, state: str, reason: str) -> None:
        if self._state == state and not self._closed.is_set():
            self._state = "lost"
            self._tell("degraded", f"{reason}: nothing is kept in this process")

    def _connect_and_listen(self) -> None:
        connection = self._endpoint.connect(self._options)
        try:
            # Pinned by a test of redislink; it is None only before connecting.
            sock: Any = connection._get_socket()  # noqa: SLF001 -- see above
            with self._lock:
                self._socket = sock
                if self._closed.is_set():
                    return
            self._listen(sock)
        finally:
            with self._lock:
                self._socket = None
            connection.disconnect()  # type: ignore[no-untyped-call]  # -- as it is there

    def _listen(self, sock: socket.socket) -> None:
        sock.settimeout(self._heartbeat)
        prefixes = [word for name in self._names.pushed for word in ("PREFIX", name)]
        sock.sendall(
            _packed("HELLO", "3") + _packed("CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
        )
        reader = hiredis.Reader(notEnoughData=Ellipsis)
        replies, asked = 0, False
        while True:
            try:
                data = sock.recv(_READ)
            except TimeoutError:
                if asked:
                    raise
                sock.sendall(_packed("PING"))
                asked = True
                continue
            if not data:
                raise ConnectionResetError("the server closed the connection")
            asked = False
            reader.feed(data)
            while (reply := reader.gets()) is not Ellipsis:
                if isinstance(reply, hiredis.PushNotification):
                    self._hear(reply)
                elif isinstance(reply, hiredis.ReplyError):
                    raise reply
                else:
                    replies += 1
                    if replies == 2:  # noqa: PLR2004 -- to HELLO and to CLIENT TRACKING
                        self._heard()

    def _heard(self) -> None:
        self._table.open()
        if self._state == "lost":
            self._tell("recovered", "the server's invalidations are heard again")
        self._state = "heard"

    def _hear(self, push: list[Any]) -> None:
        if push[0] != b"invalidate":
            return
        if push[1] is None:  # FLUSHALL, FLUSHDB
            self._table.clear()
        else:
            self._table.kill([self._names.mark(name) for name in push[1]])

    def _tell(self, state: Any, reason: str) -> None:
        fact(Fact(block="cache", state=state, name="local tier", reason=reason))


def _code(error: Exception) -> str:
    """The first word of what Redis said, which is a code; the rest may name a user."""
    return str(error).partition(" ")[0]


def _packed(*words: str) -> bytes:
    # hiredis declares a tuple of one, and takes any number.
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # -- see above
    return packed

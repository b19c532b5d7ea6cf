r"""A TCP proxy that breaks in the way you choose, while it runs.

>>> import socket
>>> from socialflow_core.testing.faults import Reset
>>> from socialflow_core.testing.proxy import FaultProxy
>>> from socialflow_core.testing.servers.valkey import Valkey
>>> with Valkey() as server, FaultProxy(server.host, server.port) as proxy:
...     with socket.create_connection((proxy.host, proxy.port)) as client:
...         proxy.fault = Reset(after=3)  # as soon as three bytes of the reply are through
...         client.sendall(b"PING\r\n")
...         client.recv(3)
b'+PO'

It knows nothing of what it carries: Redis, HTTP and PostgreSQL are the same to it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from .relay import Relay, Weather, end, reset_on_close

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any, Self

    from .faults import Fault
    from .relay import Stream

__all__ = ["FaultProxy", "Traffic"]

_HOST = "127.0.0.1"
_BACKLOG = 128
_CHUNK = 65536
_ANSWER_LIMIT = 10.0  # seconds; a proxy that does not obey by then is broken
_SHUT_OUT = 0.05  # seconds after which a connection on loopback counts as not accepted


class Traffic(NamedTuple):
    """What a proxy has seen so far.

    Attributes:
        connections: How many were accepted.
        present: How many of them are open.
        request_bytes: How much was passed on to the server.
        reply_bytes: How much was passed back.
    """

    connections: int
    present: int
    request_bytes: int
    reply_bytes: int


class FaultProxy:
    """Listens on 127.0.0.1 and carries each connection to a server, through a `Fault`.

    It works in a thread of its own. Use it from any thread; what you change is in force
    when the call returns.

    Args:
        host: Where the server is.
        port: Where the server is.
        tls: If given, clients speak TLS to the proxy, and the server hears none of it: see
            `socialflow_core.testing.certificates`.
    """

    host = _HOST

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._upstream = (host, port)
        self._tls = tls
        self._carrier: _Carrier | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen, and carry what comes."""
        if self._thread is not None:
            raise RuntimeError("the proxy has been started already")
        carrier = self._carrier = _Carrier(self._upstream, self._tls)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(carrier.run()), name="fault proxy", daemon=True
        )
        self._thread.start()
        carrier.ready.wait()
        return self

    def stop(self) -> None:
        """Close every connection and the port; nothing happens if it is not running."""
        if self._thread is not None:
            self._do(lambda carrier: carrier.stop())
            self._thread.join()
            self._thread = None

    @property
    def port(self) -> int:
        """Where clients connect to."""
        return self._started.port

    @property
    def traffic(self) -> Traffic:
        """What it has seen so far."""
        return self._started.traffic

    @property
    def fault(self) -> Fault:
        """What is wrong at present; assign another to change that, for all connections."""
        return self._started.weather.fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._do(lambda carrier: carrier.change(fault))

    def cut(self, *, reset: bool = False) -> None:
        """Close all present connections: in good order (FIN), or as if they broke (RST)."""
        self._do(lambda carrier: carrier.cut(reset=reset))

    @property
    def _started(self) -> _Carrier:
        if self._carrier is None:
            raise RuntimeError("the proxy has not been started")
        return self._carrier

    def _do(self, work: Callable[[_Carrier], Coroutine[Any, Any, None]]) -> None:
        carrier = self._started
        if self._thread is None:
            raise RuntimeError("the proxy has been stopped")
        asyncio.run_coroutine_threadsafe(work(carrier), carrier.loop).result(_ANSWER_LIMIT)


class _Carrier:
    """What the proxy's thread does; but for reading attributes, belongs to its loop."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, upstream: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self._upstream = upstream
        self._tls = tls
        self._listener = socket.create_server((_HOST, 0), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._accepted = 0
        self._present: dict[asyncio.Task[None], socket.socket] = {}
        self._plugs: dict[int, socket.socket] = {}
        self._stopped = asyncio.Event()
        self.port: int = self._listener.getsockname()[1]
        self.weather = Weather()
        self.ready = threading.Event()

    @property
    def traffic(self) -> Traffic:
        carried = self.weather.carried
        return Traffic(self._accepted, len(self._present), carried["request"], carried["reply"])

    async def run(self) -> None:
        """Work until stopped."""
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self._listener, self._accept)
        self.ready.set()
        await self._stopped.wait()

    async def stop(self) -> None:
        """Let go of everything."""
        self.loop.remove_reader(self._listener)
        self._listener.close()
        self._unplug()
        await self.cut(reset=False)
        self._stopped.set()

    async def change(self, fault: Fault) -> None:
        """Put *fault* in force."""
        self.weather.change(fault)
        if fault.welcome == "shut out":
            await self._plug()
        elif self._plugs:
            self._unplug()
            self._listener.listen(_BACKLOG)
            self.loop.add_reader(self._listener, self._accept)

    async def cut(self, *, reset: bool) -> None:
        """Close every connection, whatever it waits for."""
        tasks = dict(self._present)
        for task, client in tasks.items():
            if reset:
                reset_on_close(client)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in tasks.values():  # of a task that was cancelled before it began
            client.close()

    async def _plug(self) -> None:
        """Fill the queue of those who wait to be accepted: the kernel ignores newcomers then."""
        self.loop.remove_reader(self._listener)
        self._listener.listen(0)
        while True:
            plug = socket.socket()
            plug.setblocking(False)
            try:
                async with asyncio.timeout(_SHUT_OUT):
                    await self.loop.sock_connect(plug, (_HOST, self.port))
            except TimeoutError:
                plug.close()
                return
            self._plugs[plug.getsockname()[1]] = plug

    def _unplug(self) -> None:
        for plug in self._plugs.values():
            plug.close()

    def _accept(self) -> None:
        client, (_, port) = self._listener.accept()
        if self._plugs.pop(port, None):
            client.close()
            return
        client.setblocking(False)
        self._accepted += 1
        task = self.loop.create_task(self._serve(client))
        self._present[task] = client
        task.add_done_callback(self._present.pop)

    async def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):  # either side may be gone at any time
            if self.weather.fault.welcome == "ignored":
                while await self.loop.sock_recv(client, _CHUNK):
                    pass
                return
            try:
                server = await asyncio.open_connection(*self._upstream)
            except OSError:
                reset_on_close(client)
                return
            try:
                await Relay(self.weather, await self._stream(client), server).run()
            finally:
                await end(server[1], "close")

    async def _stream(self, client: socket.socket) -> Stream:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self.loop.connect_accepted_socket(
            lambda: protocol, client, ssl=self._tls
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, self.loop)

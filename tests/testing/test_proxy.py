"""The proxy does to a connection what its fault says, seen from a plain socket."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from socialflow_core.testing.faults import (
    Blackhole,
    Delay,
    DropReplies,
    Fault,
    FlipBit,
    Pass,
    Reset,
    Side,
    Trickle,
    Truncate,
    Unreachable,
    Verdict,
)
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy

A_WHILE = 0.05  # seconds of silence after which nothing is taken to come


class Echo(socketserver.ThreadingTCPServer):
    """Says back what it hears, and writes it down; hangs up at "bye"."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ear)
        self.heard = b""
        self.callers = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class Ear(socketserver.BaseRequestHandler):
    """One connection to the echo server."""

    server: Echo
    request: socket.socket

    def handle(self) -> None:
        """Echo until the end."""
        self.server.callers += 1
        with suppress(ConnectionError):
            while (data := self.request.recv(65536)) not in {b"", b"bye"}:
                self.server.heard += data
                self.request.sendall(data)
        self.server.callers -= 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    """An echo server."""
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    """A proxy before the echo server."""
    with FaultProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    """A connection through the proxy that has been used."""
    with connect(proxy) as client:
        assert ask(client, b"first") == b"first"
        yield client


def connect(proxy: FaultProxy, within: float = 10) -> socket.socket:
    """A new connection; nothing it waits for may take longer than *within* seconds."""
    return socket.create_connection((proxy.host, proxy.port), within)


def read(client: socket.socket, size: int) -> bytes:
    """Up to *size* bytes; fewer if the connection ends."""
    data = b""
    while len(data) < size and (more := client.recv(size - len(data))):
        data += more
    return data


def ask(client: socket.socket, data: bytes) -> bytes:
    """Send *data* and read as much."""
    client.sendall(data)
    return read(client, len(data))


def is_silent(client: socket.socket) -> bool:
    """Whether nothing comes for a while, not even the end."""
    client.settimeout(A_WHILE)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)
    return False


def test_without_a_fault_every_byte_passes(client: socket.socket) -> None:
    """A megabyte goes there and back unharmed while both ends are busy."""
    sent = bytes(range(256)) * 4096
    sender = threading.Thread(target=client.sendall, args=[sent])
    sender.start()
    assert read(client, len(sent)) == sent
    sender.join()


def test_one_side_may_end_first(client: socket.socket) -> None:
    """Who has nothing more to say still hears the answer, and then the end."""
    client.sendall(b"the last word")
    client.shutdown(socket.SHUT_WR)
    assert read(client, 100) == b"the last word"


def test_the_end_passes_too(proxy: FaultProxy, client: socket.socket) -> None:
    """A server that hangs up is heard of at once, and nothing stays behind."""
    assert ask(client, b"bye") == b""
    client.close()
    wait_until(lambda: proxy.traffic.present == 0, "both ends are gone")


def test_delay_holds_each_direction(proxy: FaultProxy, client: socket.socket) -> None:
    """A round trip takes at least both delays."""
    each = timedelta(milliseconds=20)
    proxy.fault = Delay(each=each)
    began = time.monotonic()
    assert ask(client, b"slow") == b"slow"
    assert time.monotonic() - began >= 2 * each.total_seconds()


def test_what_a_delay_holds_is_released_with_it(
    echo: Echo, proxy: FaultProxy, client: socket.socket
) -> None:
    """A very long delay ends at once when the fault does."""
    proxy.fault = Delay(each=timedelta.max)
    client.sendall(b"slow")
    assert is_silent(client)
    assert echo.heard == b"first"
    proxy.fault = Pass()
    assert read(client, 4) == b"slow"


def test_trickle_gives_a_byte_at_a_time(proxy: FaultProxy, client: socket.socket) -> None:
    """Each byte of the reply comes one interval after the one before it."""
    every = timedelta(milliseconds=5)
    proxy.fault = Trickle(every=every)
    began = time.monotonic()
    assert ask(client, b"drops") == b"drops"
    assert time.monotonic() - began >= 4 * every.total_seconds()


@pytest.mark.parametrize("after", [0, 3])
def test_reset_breaks_the_connection_amid_the_reply(
    echo: Echo, proxy: FaultProxy, client: socket.socket, after: int
) -> None:
    """So many bytes come, then RST; the server has heard all of the request."""
    proxy.fault = Reset(after=after)
    client.sendall(b"hello")
    assert read(client, after) == b"hello"[:after]
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert echo.heard == b"firsthello"


@pytest.mark.parametrize("after", [0, 3])
def test_truncate_ends_the_reply_early(
    echo: Echo, proxy: FaultProxy, client: socket.socket, after: int
) -> None:
    """So many bytes come, then the end, in good order."""
    proxy.fault = Truncate(after=after)
    assert ask(client, b"hello") == b"hello"[:after]
    assert echo.heard == b"firsthello"


def test_a_flipped_bit_is_the_only_harm(proxy: FaultProxy, client: socket.socket) -> None:
    """The bit is counted from the moment the fault was set, on each connection."""
    proxy.fault = FlipBit(at=1, bit=5)
    assert ask(client, b"hello") == b"hEllo"
    with connect(proxy) as another:
        assert ask(another, b"hello") == b"hEllo"
    assert ask(client, b"hello") == b"hello"


def test_dropped_replies_are_answers_to_requests_that_arrived(
    echo: Echo, proxy: FaultProxy, client: socket.socket
) -> None:
    """The server hears everything, the client nothing: on this connection for ever."""
    proxy.fault = DropReplies()
    client.sendall(b"lost")
    assert is_silent(client)
    proxy.fault = Pass()
    client.sendall(b"too")
    assert is_silent(client)
    wait_until(lambda: echo.heard == b"firstlosttoo", "the server heard it all")
    with connect(proxy) as another:
        assert ask(another, b"well") == b"well"


def test_a_client_without_replies_learns_nothing_of_the_server(
    echo: Echo, proxy: FaultProxy, client: socket.socket
) -> None:
    """Whose replies are lost does not hear either that the server hung up."""
    proxy.fault = DropReplies()
    client.sendall(b"lost")
    wait_until(lambda: echo.heard.endswith(b"lost"), "the request arrived")
    client.sendall(b"bye")
    wait_until(lambda: echo.callers == 0, "the server hung up")
    for _ in range(3):  # the first one finds out, the others know
        client.sendall(b"hello?")
        assert is_silent(client)
    client.close()
    wait_until(lambda: proxy.traffic.present == 0, "nothing is left of it")


def test_a_blackhole_swallows_both_directions(
    echo: Echo, proxy: FaultProxy, client: socket.socket
) -> None:
    """A connection that lost bytes stays dead; a new one is well when the fault is over."""
    proxy.fault = Blackhole()
    client.sendall(b"lost")
    assert is_silent(client)
    proxy.fault = Pass()
    client.sendall(b"too")
    assert is_silent(client)
    assert echo.heard == b"first"
    with connect(proxy) as another:
        assert ask(another, b"well") == b"well"
    client.close()
    wait_until(lambda: proxy.traffic.present == 0, "the dead connection is let go")


def test_a_blackhole_accepts_without_a_word(echo: Echo, proxy: FaultProxy) -> None:
    """Connecting works, the server never hears of it, and no word is ever answered."""
    proxy.fault = Blackhole()
    with connect(proxy) as client:
        client.sendall(b"anybody?")
        assert is_silent(client)
        assert (proxy.traffic.present, echo.callers) == (1, 0)
    wait_until(lambda: proxy.traffic.present == 0, "it is let go")


def test_unreachable_leaves_newcomers_without_an_answer(
    proxy: FaultProxy, client: socket.socket
) -> None:
    """Connecting hangs; who is connected goes on; afterwards everything is as before."""
    proxy.fault = Unreachable()
    proxy.fault = Unreachable()  # once more does no harm
    with pytest.raises(TimeoutError):
        connect(proxy, within=A_WHILE)
    assert ask(client, b"still here") == b"still here"
    proxy.fault = Pass()
    with connect(proxy) as another:
        assert ask(another, b"back") == b"back"
    assert proxy.traffic.connections == 2, "what filled the queue is not counted"


class Shout(Fault):
    """A fault of one's own: replies arrive in capitals."""

    def judge(self, side: Side, passed: int, data: bytes) -> Verdict:
        """Raise the voice."""
        del passed
        return Verdict(data=data.upper() if side == "reply" else data)


def test_a_fault_of_ones_own_needs_one_method(proxy: FaultProxy, client: socket.socket) -> None:
    """Whoever writes `judge` has a fault."""
    proxy.fault = Shout()
    assert isinstance(proxy.fault, Shout)
    assert ask(client, b"hello") == b"HELLO"

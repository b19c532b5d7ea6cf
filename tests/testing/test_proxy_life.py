"""A proxy starts, counts, cuts and ends, and leaves nothing behind."""

import gc
import socket
import threading
from collections.abc import Iterator

import pytest

from socialflow_core.testing.faults import Blackhole, DropReplies, Fault, Pass, Unreachable
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy, Traffic
from socialflow_core.testing.servers.process import free_port
from socialflow_core.testing.servers.valkey import Valkey

PING, PONG = b"PING\r\n", b"+PONG\r\n"


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[FaultProxy]:
    """A proxy before a server."""
    with FaultProxy(valkey.host, valkey.port) as proxy:
        yield proxy


def connect(proxy: FaultProxy) -> socket.socket:
    """A new connection; nothing it waits for may take ten seconds."""
    return socket.create_connection((proxy.host, proxy.port), 10)


def ping(client: socket.socket) -> bytes:
    """Ask and be answered."""
    client.sendall(PING)
    return client.recv(100)


def test_it_counts_what_passes(proxy: FaultProxy) -> None:
    """Connections in all and at present, and the bytes of each direction."""
    assert proxy.traffic == Traffic(0, 0, 0, 0)
    with connect(proxy) as one, connect(proxy) as two:
        assert ping(one) == ping(two) == ping(two) == PONG
        assert proxy.traffic == Traffic(2, 2, 3 * len(PING), 3 * len(PONG))
    wait_until(lambda: proxy.traffic.present == 0, "both are gone")
    assert proxy.traffic.connections == 2


def test_cut_ends_what_is_connected(proxy: FaultProxy) -> None:
    """Each connection gets an orderly end; a new one is welcome."""
    with connect(proxy) as one, connect(proxy) as two:
        assert ping(one) == ping(two) == PONG
        proxy.cut()
        assert proxy.traffic.present == 0
        assert one.recv(1) == two.recv(1) == b""
    with connect(proxy) as another:
        assert ping(another) == PONG


def test_cut_can_break_what_is_connected(proxy: FaultProxy) -> None:
    """Each connection gets a reset, also one that a blackhole holds."""
    with connect(proxy) as one, connect(proxy) as two:
        assert ping(one) == ping(two) == PONG
        proxy.fault = Blackhole()
        with connect(proxy) as ignored:
            wait_until(lambda: proxy.traffic.present == 3, "all are connected")
            proxy.cut(reset=True)
            for client in (one, two, ignored):
                with pytest.raises(ConnectionResetError):
                    client.recv(1)


def test_no_server_is_a_reset() -> None:
    """A client whose server cannot be reached is not left waiting."""
    with FaultProxy("127.0.0.1", free_port()) as proxy:
        for _ in range(10):  # the reset can be as quick as the connection, or comes after it
            with pytest.raises(ConnectionResetError), connect(proxy) as client:
                client.recv(1)


def test_a_killed_server_is_a_broken_connection() -> None:
    """When the server dies, its clients hear of it; when it is back, new ones are served."""
    with Valkey() as server, FaultProxy(server.host, server.port) as proxy:
        with connect(proxy) as client:
            assert ping(client) == PONG
            server.kill()
            assert client.recv(1) == b""
        server.restart()
        with connect(proxy) as client:
            assert ping(client) == PONG


@pytest.mark.parametrize("lost", [False, True], ids=["heard", "lost"])
def test_a_server_that_dies_over_a_request_is_a_reset(*, lost: bool) -> None:
    """A request that it never read breaks the connection; whose replies are lost never knows."""
    with (
        Valkey() as server,
        FaultProxy(server.host, server.port) as proxy,
        connect(proxy) as client,
    ):
        assert ping(client) == PONG
        if lost:
            proxy.fault = DropReplies()
            client.sendall(PING)
            wait_until(lambda: server.calls()["ping"] == 2, "the request arrived")
        server.freeze()
        sent = proxy.traffic.request_bytes
        client.sendall(PING)
        wait_until(lambda: proxy.traffic.request_bytes > sent, "the server has it")
        server.kill()
        client.settimeout(0.05 if lost else 10)
        with pytest.raises(TimeoutError if lost else ConnectionResetError):
            client.recv(1)


def test_a_client_that_breaks_off_is_let_go(valkey: Valkey, proxy: FaultProxy) -> None:
    """A reset from the client ends the connection to the server too."""
    before = valkey.info("clients")["connected_clients"]
    client = connect(proxy)
    assert ping(client) == PONG
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    wait_until(lambda: proxy.traffic.present == 0, "the connection is let go")
    wait_until(
        lambda: valkey.info("clients")["connected_clients"] == before, "the server knows too"
    )


@pytest.mark.parametrize("fault", [Pass(), Blackhole(), Unreachable()], ids=repr)
def test_stopping_leaves_nothing_behind(valkey: Valkey, fault: Fault) -> None:
    """No thread, no socket, no port; clients hear the end; stopping twice is no error."""
    threads = threading.active_count()
    with FaultProxy(valkey.host, valkey.port) as proxy:
        with connect(proxy) as client:
            assert ping(client) == PONG
            proxy.fault = fault
            proxy.stop()
            assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert threading.active_count() == threads
        assert proxy.traffic.connections == 1, "what it saw can still be read"
    del proxy
    gc.collect()  # a socket left open would warn now, and warnings are errors


def test_misuse_is_told() -> None:
    """Before the start and after the end there is nothing to change."""
    proxy = FaultProxy("127.0.0.1", 1)
    proxy.stop()
    with pytest.raises(RuntimeError, match="has not been started"):
        proxy.cut()
    with proxy, pytest.raises(RuntimeError, match="started already"):
        proxy.start()
    with pytest.raises(RuntimeError, match="has been stopped"):
        proxy.fault = Pass()

"""TLS ends in the proxy, with certificates that clients accept or refuse for a reason."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from socialflow_core.testing.certificates import Authority
from socialflow_core.testing.faults import Blackhole, Reset, Truncate
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.servers.valkey import Valkey

PAST = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority; making one costs keys."""
    return Authority()


@pytest.fixture
def proxy(valkey: Valkey, authority: Authority) -> Iterator[FaultProxy]:
    """A proxy that speaks TLS, with a good certificate."""
    with FaultProxy(valkey.host, valkey.port, tls=authority.server()) as proxy:
        yield proxy


def connect(proxy: FaultProxy, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A TLS connection, or the reason why there is none."""
    plain = socket.create_connection((proxy.host, proxy.port), 10)
    try:
        return context.wrap_socket(plain, server_hostname=proxy.host, suppress_ragged_eofs=False)
    except BaseException:
        plain.close()
        raise


def test_who_trusts_the_authority_is_served(proxy: FaultProxy, authority: Authority) -> None:
    """Requests and replies pass, and so does the end, with TLS's own good-bye."""
    with connect(proxy, authority.client()) as client:
        client.sendall(b"PING\r\nQUIT\r\n")
        said = b""
        while more := client.recv(100):
            said += more
    assert said == b"+PONG\r\n+OK\r\n"
    wait_until(lambda: proxy.traffic.present == 0, "nothing is left")


def test_redis_py_is_served(proxy: FaultProxy, authority: Authority, tmp_path: Path) -> None:
    """A client that takes a path to the authority gets one."""
    file = authority.write(tmp_path)
    with redis.Redis(port=proxy.port, ssl=True, ssl_ca_certs=str(file)) as client:
        assert client.ping()


def test_who_trusts_another_authority_refuses(proxy: FaultProxy) -> None:
    """A certificate of an unknown authority is no good, and leaves nothing behind."""
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        connect(proxy, Authority().client())
    wait_until(lambda: proxy.traffic.present == 0, "nothing is left")


@pytest.mark.parametrize(
    ("names", "expires", "reason"),
    [(["elsewhere.example"], None, "IP address mismatch"), ([], PAST, "has expired")],
)
def test_bad_certificates_are_refused(
    valkey: Valkey, authority: Authority, names: list[str], expires: datetime | None, reason: str
) -> None:
    """A wrong name and a time that is past each make the client refuse."""
    bad = authority.server(*names, expires=expires)
    with (
        FaultProxy(valkey.host, valkey.port, tls=bad) as proxy,
        pytest.raises(ssl.SSLCertVerificationError, match=reason),
    ):
        connect(proxy, authority.client())


def test_who_speaks_no_tls_is_let_go(proxy: FaultProxy) -> None:
    """Plain text at a TLS port ends the connection, not the proxy."""
    with socket.create_connection((proxy.host, proxy.port), 10) as client:
        client.sendall(b"PING\r\n" * 10)
        wait_until(lambda: proxy.traffic.connections == 1, "it was accepted")
        wait_until(lambda: proxy.traffic.present == 0, "it was let go")


def test_faults_are_those_of_the_plain_text(proxy: FaultProxy, authority: Authority) -> None:
    """Bytes are counted as the server and the client count them, not as TLS does."""
    with connect(proxy, authority.client()) as client:
        proxy.fault = Truncate(after=3)
        client.sendall(b"PING\r\n")
        assert client.recv(100) == b"+PO"
        with pytest.raises(ssl.SSLEOFError):  # no good-bye: TLS tells a truncation
            client.recv(100)


def test_a_reset_needs_no_good_bye(proxy: FaultProxy, authority: Authority) -> None:
    """RST reaches a TLS client as it does any other."""
    with connect(proxy, authority.client()) as client:
        proxy.fault = Reset()
        client.sendall(b"PING\r\n")
        # Python 3.11 takes ECONNRESET for an end without a good-bye.
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            client.recv(100)


def test_a_blackhole_never_shakes_hands(proxy: FaultProxy, authority: Authority) -> None:
    """The connection is there, and the handshake waits for ever."""
    proxy.fault = Blackhole()
    context = authority.client()
    with (
        socket.create_connection((proxy.host, proxy.port), 0.05) as plain,
        pytest.raises(TimeoutError),
    ):
        context.wrap_socket(plain, server_hostname=proxy.host)

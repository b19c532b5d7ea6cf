"""What redis-py says to each fault: the proxy is real enough for a real client."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from socialflow_core.testing.faults import (
    Blackhole,
    Delay,
    DropReplies,
    Fault,
    FlipBit,
    Pass,
    Reset,
    Trickle,
    Truncate,
    Unreachable,
)
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.servers.valkey import Valkey


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[FaultProxy]:
    """A proxy before an empty server."""
    valkey.command("FLUSHALL")
    with FaultProxy(valkey.host, valkey.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[redis.Redis]:
    """A client that is connected through the proxy, waits 100 ms and never tries again."""
    once = Retry(NoBackoff(), 0)
    with redis.Redis(
        proxy.host, proxy.port, socket_timeout=0.1, socket_connect_timeout=0.1, retry=once
    ) as client:
        assert client.ping()
        yield client


@pytest.mark.parametrize(
    "fault",
    [Pass(), Delay(each=timedelta(milliseconds=5)), Trickle(every=timedelta(milliseconds=1))],
    ids=repr,
)
def test_slowness_is_no_error(proxy: FaultProxy, client: redis.Redis, fault: Fault) -> None:
    """What arrives late, or in pieces, is the right answer all the same."""
    proxy.fault = fault
    assert [client.incr("hits") for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("fault", [Reset(), Truncate(), Truncate(after=2)], ids=repr)
def test_a_lost_connection_leaves_the_outcome_open(
    valkey: Valkey, proxy: FaultProxy, client: redis.Redis, fault: Fault
) -> None:
    """The client learns of a broken connection, and the server has counted."""
    proxy.fault = fault
    with pytest.raises(redis.ConnectionError):
        client.incr("hits")
    assert valkey.command("GET", "hits") == "1"
    proxy.fault = Pass()
    assert client.incr("hits") == 2


@pytest.mark.parametrize(("fault", "counted"), [(DropReplies(), 2), (Blackhole(), 1)], ids=repr)
def test_silence_is_a_timeout(
    valkey: Valkey, proxy: FaultProxy, client: redis.Redis, fault: Fault, counted: int
) -> None:
    """The client cannot tell a lost answer from a lost request; the server can."""
    assert client.incr("hits") == 1
    proxy.fault = fault
    with pytest.raises(redis.TimeoutError):
        client.incr("hits")
    assert valkey.command("GET", "hits") == str(counted)
    proxy.fault = Pass()
    assert client.incr("hits") == counted + 1


def test_unreachable_hits_who_has_to_connect(proxy: FaultProxy, client: redis.Redis) -> None:
    """The connection that is there goes on; after a cut there is no other to be had."""
    proxy.fault = Unreachable()
    assert client.incr("hits") == 1
    proxy.cut()
    with pytest.raises(redis.TimeoutError):
        client.incr("hits")
    proxy.fault = Pass()
    assert client.incr("hits") == 2


def test_a_flipped_bit_reaches_the_client(proxy: FaultProxy, client: redis.Redis) -> None:
    """An answer of 1 becomes 3: nothing but a checksum could tell."""
    proxy.fault = FlipBit(at=1, bit=1)
    assert client.incr("hits") == 3

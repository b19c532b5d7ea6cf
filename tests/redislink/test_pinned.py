"""What the fast links use of redis-py beyond its public names: a new version has to hold this.

`PlainLink` and `AsyncPlainLink`, which use public names only, pass the same contract; they
are the way out should this ever fail.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import hiredis
import redis
import redis.asyncio

from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis.endpoint import AsyncEndpoint, Endpoint
from socialflow_core.redislink.redis.line import new_reader, take

if TYPE_CHECKING:
    from socialflow_core.testing.servers.valkey import Valkey


def test_a_connection_tells_its_socket(valkey: Valkey) -> None:
    """`_get_socket` answers the connected socket, on which nothing is left to be read."""
    connection = Endpoint.from_url(valkey.url).connect(LinkOptions())
    sock = connection._get_socket()
    assert isinstance(sock, socket.socket)
    sock.settimeout(1)
    sock.sendall(b"*1\r\n$4\r\nPING\r\n")
    assert sock.recv(100) == b"+PONG\r\n"
    connection.disconnect()  # type: ignore[no-untyped-call]  # -- redis-py leaves it untyped
    assert sock.fileno() == -1
    connection.disconnect()  # type: ignore[no-untyped-call]  # -- as above


class _Ear(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.heard.set_result(data)


def test_an_async_connection_tells_its_transport(valkey: Valkey) -> None:
    """`_writer` is asyncio's; its transport takes another protocol; `disconnect` closes it."""

    async def scene() -> None:
        connection = await AsyncEndpoint.from_url(valkey.url).connect(LinkOptions())
        writer, ear = connection._writer, _Ear()
        assert isinstance(writer, asyncio.StreamWriter)
        writer.transport.set_protocol(ear)
        writer.transport.write(b"*1\r\n$4\r\nPING\r\n")
        assert await ear.heard == b"+PONG\r\n"
        await connection.disconnect(nowait=True)
        assert connection._writer is None
        assert writer.is_closing()

    asyncio.run(scene())


def test_a_pool_tells_how_it_connects() -> None:
    """`connection_class` and `connection_kwargs` make a connection; both are public."""
    for pool in (
        redis.ConnectionPool.from_url("redis://:secret@127.0.0.1:7"),
        redis.asyncio.ConnectionPool.from_url("redis://:secret@127.0.0.1:7"),
    ):
        assert vars(pool.connection_class(**pool.connection_kwargs))["port"] == 7


def test_errors_are_values_and_pushes_are_passed_over() -> None:
    """`hiredis.Reader` answers an error reply, and marks what the server pushes."""
    reader = new_reader()
    reader.feed(b">2\r\n+invalidate\r\n+key\r\n-NOSCRIPT no\r\n*1\r\n")
    error = take(reader)
    assert isinstance(error, hiredis.ReplyError)
    assert str(error) == "NOSCRIPT no"
    assert take(reader) is Ellipsis
    reader.feed(b":7\r\n")
    assert take(reader) == [7]

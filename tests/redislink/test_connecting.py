"""Where links connect to, and how: URLs, clients, sockets, TLS, RESP2 and RESP3."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis
import redis.asyncio

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink.redis.aio import AsyncRedisLink
from socialflow_core.redislink.redis.sync import RedisLink
from socialflow_core.testing.certificates import Authority
from socialflow_core.testing.faults import Blackhole, DropReplies, Pass
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.proxy import FaultProxy
from socialflow_core.testing.servers.valkey import Valkey
from tests.redislink.kit import (
    ADD,
    DEADLINE,
    ECHO,
    OPTIONS,
    PATIENT,
    everything_told,
    takes_at_most,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.redislink.conftest import Make

_PASSWORD = secrets.token_urlsafe()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Valkey]:
    """A server that wants a password."""
    with Valkey(password=_PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Who signs the certificates of this module."""
    return Authority()


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
@pytest.mark.parametrize("query", ["", "?protocol=2", "?protocol=3"])
def test_urls(make_fast: Make, valkey: Valkey, scheme: str, query: str) -> None:
    """Both names of the scheme and both versions of the protocol work."""
    link = make_fast(f"{scheme}://127.0.0.1:{valkey.port}/0{query}")
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    assert link.call(ADD, ["hits"], [1]) == 1


def test_a_database_is_chosen(make_fast: Make, valkey: Valkey) -> None:
    """The number in the URL is where the keys are."""
    make_fast(f"redis://127.0.0.1:{valkey.port}/3").call(ADD, ["hits"], [1])
    assert "db3" in valkey.info("keyspace")


def test_a_unix_socket(make_fast: Make, valkey: Valkey) -> None:
    """A socket file works as a host and a port do."""
    assert make_fast(valkey.unix_url).call(ADD, ["hits"], [1]) == 1


def test_a_password_opens(make_fast: Make, guarded: Valkey) -> None:
    """A password in the URL is sent, and shown nowhere."""
    link = make_fast(guarded.url)
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    guarded.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    told = repr(link.link) + repr(vars(link.link))
    assert _PASSWORD not in told


def test_a_client_lends_its_credentials(guarded: Valkey) -> None:
    """A link goes where a client goes, on a connection of its own; the client stays usable."""
    with redis.Redis.from_url(guarded.url, decode_responses=True) as client:
        link = RedisLink.from_client(client, OPTIONS)
        assert link.call(ECHO, [], ["hello"]) == b"hello"
        link.close()
        assert client.ping()


def test_an_async_client_lends_its_credentials(guarded: Valkey) -> None:
    """The same for event loops."""

    async def scene() -> None:
        async with redis.asyncio.Redis.from_url(guarded.url, decode_responses=True) as client:
            link = AsyncRedisLink.from_client(client, OPTIONS)
            assert await link.call(ECHO, [], ["hello"]) == b"hello"
            await link.aclose()
            assert await client.ping()

    asyncio.run(scene())


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls(
    make_fast: Make, valkey: Valkey, authority: Authority, tmp_path: Path, scheme: str
) -> None:
    """With an authority that is trusted the link is encrypted, and many calls go over it."""
    trusted = authority.write(tmp_path)
    with FaultProxy(valkey.host, valkey.port, tls=authority.server()) as proxy:
        link = make_fast(f"{scheme}://127.0.0.1:{proxy.port}/0?ssl_ca_certs={trusted}", PATIENT)
        link.call(ECHO, [], ["hello"])
        large = secrets.token_bytes(100_000)
        assert link.call(ECHO, [], [large]) == large
        assert [link.call(ADD, ["hits"], [1]) for _ in range(20)] == list(range(1, 21))
        link.close_link()


@pytest.mark.parametrize("wrong", ["expired", "another name", "another authority"])
def test_a_bad_certificate_is_refused(
    make_fast: Make, valkey: Valkey, authority: Authority, tmp_path: Path, wrong: str
) -> None:
    """Nothing is sent to a server that cannot show who it is."""
    shown = {
        "expired": lambda: authority.server(expires=datetime.now(UTC) - timedelta(days=1)),
        "another name": lambda: authority.server("elsewhere.example"),
        "another authority": lambda: Authority().server(),
    }[wrong]()
    trusted = authority.write(tmp_path)
    with FaultProxy(valkey.host, valkey.port, tls=shown) as proxy:
        url = f"rediss://:{_PASSWORD}@127.0.0.1:{proxy.port}/0?ssl_ca_certs={trusted}"
        link = make_fast(url)
        with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as refused:
            link.call(ADD, ["hits"], [1])
        assert refused.value.sent is False
        assert _PASSWORD not in everything_told(refused.value)
        assert proxy.traffic.request_bytes == 0
        link.close_link()


def test_nobody_listens(make: Make) -> None:
    """A port without a server is told at once."""
    link = make("redis://127.0.0.1:1")
    with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as refused:
        link.call(ADD, ["hits"], [1])
    assert refused.value.sent is not True


@pytest.mark.parametrize("url", ["http://127.0.0.1", "nonsense", ""])
def test_a_url_that_makes_no_sense(url: str) -> None:
    """It is a mistake of whoever wrote it, told when the link is built."""
    for kind in (RedisLink, AsyncRedisLink):
        with pytest.raises(ValueError, match="redis"):
            kind.from_url(url)


def test_a_first_connection_that_fails_late_is_no_news(make_fast: Make, proxy: FaultProxy) -> None:
    """When a probe found the server meanwhile, nobody cares for the connection tried before."""
    options = dataclasses.replace(OPTIONS, connect_timeout=timedelta(milliseconds=300))
    link = make_fast(f"redis://127.0.0.1:{proxy.port}", options)
    begin = time.monotonic()
    proxy.fault = Blackhole()
    with pytest.raises(UnavailableError):
        link.call(ECHO, [], ["hello"])
    proxy.fault = Pass()
    link.wait_back()
    while time.monotonic() - begin < 0.5:
        assert link.call(ECHO, [], ["hello"]) == b"hello"


def test_closing_while_probing_leaves_nothing(make_fast: Make, proxy: FaultProxy) -> None:
    """A probe that waits for its answer is given up, with its connection."""
    link = make_fast(f"redis://127.0.0.1:{proxy.port}")
    link.call(ECHO, [], ["hello"])
    proxy.fault = DropReplies()
    with pytest.raises(UnavailableError):
        link.call(ECHO, [], ["hello"])
    for _ in range(5):
        with pytest.raises(UnavailableError):
            link.call(ECHO, [], ["hello"])
        link.wait_lost()
    wait_until(lambda: proxy.traffic.connections >= 1, "it probes")
    link.close_link()
    wait_until(lambda: proxy.traffic.present == 0, "every connection is closed")
    gc.collect()

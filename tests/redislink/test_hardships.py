"""What nobody plans for: signals in mid-call, slow logins, providers that raise, no threads."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import AsyncRedisLink, PlainLink, RedisLink
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests.redislink.kit import (
    ADD,
    ECHO,
    FAST,
    OPTIONS,
    PATIENT,
    AsyncDriver,
    Provider,
    SyncDriver,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tests.redislink.conftest import Make
    from tests.redislink.kit import Driver


@pytest.fixture
def guarded() -> Iterator[Valkey]:
    """A server that wants a password."""
    with Valkey(password="right") as server:
        yield server


def test_a_call_that_a_signal_ended_shifts_no_reply(valkey: Valkey) -> None:
    """Its reply is nobody's: the next call reads its own."""

    class TimeLimitError(Exception):
        """As task queues raise it."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeLimitError(number, frame)

    link = RedisLink.from_url(valkey.url, PATIENT)
    link.call(ECHO, [], ["hello"])
    before = signal.signal(signal.SIGALRM, ring)
    valkey.freeze()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeLimitError):
            link.call(ECHO, [], ["interrupted"])
    finally:
        signal.signal(signal.SIGALRM, before)
        valkey.thaw()
    assert link.is_available
    for word in ("one", "two"):
        assert link.call(ECHO, [], [word]) == word.encode()
    link.close()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_login_slower_than_the_deadline_is_waited_for_once(guarded: Valkey, threads: int) -> None:
    """Nobody waits longer for it, and once it is there every thread uses it."""
    provider = Provider(seconds=0.15)
    client = redis.Redis(host=guarded.host, port=guarded.port, credential_provider=provider)
    options = LinkOptions(deadline=timedelta(milliseconds=100))
    link = RedisLink.from_client(client, options)
    before = int(guarded.info("stats")["total_connections_received"])

    def work(name: int) -> int:
        well = 0
        end = time.monotonic() + 20
        while well < 50 and time.monotonic() < end:
            try:
                link.call(ECHO, [], [name])
                well += 1
            except UnavailableError:
                well = 0
            time.sleep(0.002)
        return well

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(work, range(threads))) == [50] * threads
    opened = int(guarded.info("stats")["total_connections_received"]) - before
    assert opened <= 4 * threads
    link.close()
    client.close()


@pytest.mark.parametrize("kind", FAST)
def test_a_provider_that_raises_is_an_outage_that_ends(
    kind: str, guarded: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises: unavailable now, one warning without its words, and back when it is."""
    provider = Provider()
    provider.error = RuntimeError("the token service says 503")
    where: dict[str, Any] = {"host": guarded.host, "port": guarded.port}
    again: Driver
    if kind == "RedisLink":
        client = redis.Redis(**where, credential_provider=provider)
        again = SyncDriver(RedisLink.from_client(client, OPTIONS), client)
    else:
        aclient = redis.asyncio.Redis(**where, credential_provider=provider)
        again = AsyncDriver(AsyncRedisLink.from_client(aclient, OPTIONS), aclient)
    with pytest.raises(UnavailableError) as lost:
        again.call(ECHO, [], ["hello"])
    assert lost.value.sent is False
    if kind == "RedisLink":
        wait_until(lambda: "a probe failed: RuntimeError" in caplog.text, "a probe failed")
    provider.error = None
    again.wait_back()
    assert again.call(ECHO, [], ["hello"]) == b"hello"
    assert caplog.text.count("a probe failed") <= 1
    assert "503" not in caplog.text
    again.close()


def test_a_listener_that_raises_keeps_the_server_in_use(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """What others do when the server is back is their own affair."""

    def tell() -> None:
        raise RuntimeError("no")

    async def atell() -> None:
        tell()

    with Valkey() as server:
        link = make(server.url)
        link.link.when_recovered(tell if hasattr(link.link, "close") else atell)
        link.call(ADD, ["hits"], [1])
        server.kill()
        with pytest.raises(UnavailableError):
            link.call(ADD, ["hits"], [1])
        server.restart()
        link.wait_back()
        assert link.call(ADD, ["hits"], [1]) == 1
        assert link.link.is_available
    assert caplog.text.count("telling of the recovery failed: RuntimeError") <= 1


def test_every_listener_hears_of_a_recovery(make: Make) -> None:
    """Two users of one link both learn that the server is back."""
    told: list[str] = []

    with Valkey() as server:
        link = make(server.url)
        for name in ("one", "two"):

            def tell(name: str = name) -> None:
                told.append(name)

            async def atell(name: str = name) -> None:
                told.append(name)

            link.link.when_recovered(tell if hasattr(link.link, "close") else atell)
        link.call(ADD, ["hits"], [1])
        server.kill()
        with pytest.raises(UnavailableError):
            link.call(ADD, ["hits"], [1])
        server.restart()
        link.wait_back()
        link.call(ADD, ["hits"], [1])
        wait_until(lambda: len(told) == 2, "both are told")
    assert told == ["one", "two"]


def test_without_a_thread_the_next_call_tries_again(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that can start no thread is told unavailable, and nothing is lost for ever."""

    def start(self: threading.Thread) -> None:
        raise RuntimeError(f"can't start {self}")

    link = RedisLink.from_url(valkey.url, OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                link.call(ECHO, [], ["hello"])
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    link.close()


def test_a_script_that_fails_is_no_outage(link: Driver, valkey: Valkey) -> None:
    """A key of another type is that caller's trouble: whether it counted is not known."""
    valkey.command("LPUSH", "bad", "x")
    with pytest.raises(UnavailableError) as refused:
        link.call(ADD, ["bad"], [1])
    assert refused.value.sent is None
    assert link.link.is_available
    assert link.call(ADD, ["good"], [1]) == 1


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, "socket_timeout"),
        ({"socket_timeout": 0.5}, "socket_timeout"),
        (
            {"socket_timeout": 0.1, "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 1)},
            "retry",
        ),
    ],
)
def test_a_client_that_keeps_no_promise_is_refused(options: dict[str, Any], wrong: str) -> None:
    """One that would wait beyond the deadline, or send a request twice."""
    with pytest.raises(ValueError, match=wrong):
        PlainLink(redis.Redis(**options), OPTIONS)


@pytest.mark.parametrize("password", ["se/cret", "se#cret", "se?cret", "se@cr:et", "[secret"])
@pytest.mark.parametrize("linked", [RedisLink, AsyncRedisLink])
def test_a_password_that_is_not_encoded_shows_in_no_error(linked: Any, password: str) -> None:
    """The most usual mistake in a URL is told without a letter of it."""
    try:
        linked.from_url(f"redis://user:{password}@host:6379/0")
    except ValueError as error:
        told = [str(error), str(error.__cause__), str(error.__context__)]
        assert told[1:] == ["None", "None"]
        assert "percent-encoded" in told[0]
        assert "se" not in told[0].replace("percent-encoded", "").replace("user:password", "")

"""What `RedisLink` promises to threads and to processes that fork."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis import line
from socialflow_core.redislink.redis.sync import RedisLink
from socialflow_core.testing.faults import Blackhole, Delay, Pass, Trickle
from socialflow_core.testing.poll import wait_until
from socialflow_core.testing.servers.valkey import Valkey
from tests._kit.forked import in_child
from tests.redislink.kit import ADD, ALL, DEADLINE, ECHO, OPTIONS, PATIENT, clients, takes_at_most

if TYPE_CHECKING:
    from socialflow_core.testing.proxy import FaultProxy
    from tests.redislink.conftest import Make


def test_each_thread_has_its_own_connection(valkey: Valkey) -> None:
    """Threads never wait for one another, no reply is another's, and what ends is closed."""
    link = RedisLink.from_url(valkey.url, PATIENT)
    wrong: list[object] = []
    barrier = threading.Barrier(8)

    def work(name: str) -> None:
        link.call(ECHO, [], ["hello"])
        barrier.wait()
        for number in range(100):
            word = f"{name}:{number}"
            got = link.call(ECHO, [], [word])
            if got != word.encode():
                wrong.append(got)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong
    wait_until(lambda: clients(valkey) == 1, "the connections of threads that ended are closed")
    link.close()


def test_a_socket_found_dead_is_replaced_before_use(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hangs up on who rests costs no call."""
    monkeypatch.setattr(line, "_IDLE_S", 0.0)
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", PATIENT)
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    for reset in (False, True):
        proxy.cut(reset=reset)
        wait_until(lambda: proxy.traffic.present == 0, "the connection is gone")
        assert link.call(ECHO, [], ["again"]) == b"again"
    link.close()


def test_a_socket_that_lives_is_kept(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resting alone is no reason for another connection."""
    monkeypatch.setattr(line, "_IDLE_S", 0.0)
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", PATIENT)
    for _ in range(3):
        link.call(ECHO, [], ["hello"])
    assert proxy.traffic.connections == 1
    link.close()


@pytest.mark.parametrize("pause", [20, 40])
def test_a_trickling_reply_ends_with_the_deadline(proxy: FaultProxy, pause: int) -> None:
    """A byte now and then does not prolong the time that a call may take."""
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", OPTIONS)
    link.call(ECHO, [], ["hello"])
    proxy.fault = Trickle(every=timedelta(milliseconds=pause))
    with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as lost:
        link.call(ECHO, [], ["slowly"])
    assert lost.value.sent is True
    link.close()


def test_a_reply_in_pieces_is_put_together(proxy: FaultProxy) -> None:
    """Pieces that come in time are one reply, and the next call has all its time again."""
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", PATIENT)
    proxy.fault = Trickle(every=timedelta(milliseconds=1))
    assert [link.call(ECHO, [], [word]) for word in "ab"] == [b"a", b"b"]
    link.close()


def test_connecting_is_part_of_a_call(proxy: FaultProxy) -> None:
    """What connecting takes is gone from the time that the first call may take."""
    options = LinkOptions(
        deadline=timedelta(milliseconds=600), connect_timeout=timedelta(seconds=5)
    )
    for each in (60, 100, 150):  # some let it connect, and not be answered
        proxy.fault = Delay(each=timedelta(milliseconds=each))
        link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", options)
        begin = time.monotonic()
        with suppress(UnavailableError):
            link.call(ECHO, [], ["hello"])
        assert time.monotonic() - begin < 0.6 + 0.15
        link.close()


def test_slow_connecting_is_on_nobodys_time(proxy: FaultProxy) -> None:
    """A call whose connection takes too long ends in time, unsent."""
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", OPTIONS)
    proxy.fault = Blackhole()
    with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as lost:
        link.call(ECHO, [], ["hello"])
    assert lost.value.sent is False
    proxy.fault = Pass()
    wait_until(lambda: link.is_available, "the link is back")
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    link.close()


def test_a_connection_that_came_too_late_serves_a_later_call(proxy: FaultProxy) -> None:
    """It is parked: the next call need not connect."""
    options = LinkOptions(deadline=DEADLINE, probe_interval=timedelta(seconds=60))
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", options)
    proxy.fault = Delay(each=timedelta(milliseconds=120))
    with takes_at_most(DEADLINE), pytest.raises(UnavailableError):
        link.call(ECHO, [], ["hello"])
    wait_until(lambda: bool(link._spare), "the connection is parked")
    proxy.fault = Pass()
    link._watch._breaker.close()
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    assert proxy.traffic.connections == 1
    link.close()


def test_a_connection_that_died_while_parked_is_not_used(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe's connection waits for its first call; if it ended meanwhile, another is made."""
    monkeypatch.setattr(line, "_IDLE_S", 0.0)
    link = RedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", OPTIONS)
    proxy.fault = Blackhole()
    with pytest.raises(UnavailableError):
        link.call(ECHO, [], ["hello"])
    proxy.fault = Pass()
    wait_until(lambda: link.is_available, "the link is back")
    proxy.cut()
    assert link.call(ECHO, [], ["hello"]) == b"hello"
    link.close()


@pytest.mark.parametrize("kind", ["RedisLink", "PlainLink"])
def test_a_fork_shares_no_connection(valkey: Valkey, kind: str) -> None:
    """Parent and child both go on, and neither reads the other's replies."""
    driver = ALL[kind](valkey.url, PATIENT)

    def work() -> bool:
        words = [f"child {number}" for number in range(50)]
        return all(driver.call(ECHO, [], [word]) == word.encode() for word in words)

    driver.call(ECHO, [], ["hello"])
    assert in_child(work)
    for number in range(50):
        assert driver.call(ECHO, [], [str(number)]) == str(number).encode()
    driver.close()


@pytest.mark.parametrize("kind", ["RedisLink", "PlainLink"])
def test_a_fork_in_an_outage_recovers_by_itself(kind: str) -> None:
    """A child that was born while the server was away notices that it is back."""
    with Valkey() as server:
        driver = ALL[kind](server.url, OPTIONS)
        driver.call(ADD, ["hits"], [1])
        server.kill()
        with pytest.raises(UnavailableError):
            driver.call(ADD, ["hits"], [1])
        server.restart()

        def work() -> bool:
            driver.wait_back()
            return bool(driver.call(ADD, ["hits"], [1]))

        assert in_child(work)
        driver.wait_back()
        driver.close()


def _hit_often(link: RedisLink, times: int) -> None:
    for _ in range(times):
        link.call(ADD, ["hits"], [1])


def test_processes_of_multiprocessing_share_a_server(valkey: Valkey) -> None:
    """A link that was used before is used on in forked workers; nothing is lost or doubled."""
    link = RedisLink.from_url(valkey.url, PATIENT)
    _hit_often(link, 10)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_hit_often, args=(link, 100)) for _ in range(3)]
    for worker in workers:
        worker.start()
    _hit_often(link, 90)
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0
    assert valkey.command("GET", "hits") == "400"
    link.close()


def test_a_link_that_is_forgotten_warns(valkey: Valkey) -> None:
    """Nobody closed it, so it says so, and closes itself."""

    def use_and_forget() -> None:
        link = RedisLink.from_url(valkey.url, OPTIONS)
        link.call(ECHO, [], ["hello"])
        del link
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed"):
        use_and_forget()
    wait_until(lambda: clients(valkey) == 1, "its connection is closed")


def test_options_are_checked_when_built() -> None:
    """A wait of nothing is a mistake."""
    for name in ("deadline", "connect_timeout", "probe_interval"):
        with pytest.raises(ValueError, match=name):
            LinkOptions(**{name: timedelta(0)})  # type: ignore[arg-type]  # -- by name


def test_a_missed_deadline_of_before_an_outage_is_no_news(make_fast: Make, valkey: Valkey) -> None:
    """After recovery the circuit stays closed, whatever calls of before still fail."""
    link = make_fast(valkey.url)
    link.call(ADD, ["hits"], [1])
    valkey.freeze()
    try:
        with pytest.raises(UnavailableError):
            link.call(ADD, ["hits"], [1])
    finally:
        valkey.thaw()
    link.wait_back()
    for _ in range(20):
        link.call(ADD, ["hits"], [1])

"""What `AsyncRedisLink` promises to the tasks of an event loop."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import warnings
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink import LinkOptions
from socialflow_core.redislink.redis.aio import AsyncRedisLink
from socialflow_core.testing.faults import Blackhole, Delay, DropReplies, Pass, Trickle
from socialflow_core.testing.poll import wait_until
from tests.redislink.kit import (
    ADD,
    DEADLINE,
    ECHO,
    OPTIONS,
    PATIENT,
    TOTAL,
    clients,
    poll,
    takes_at_most,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from socialflow_core.testing.proxy import FaultProxy
    from socialflow_core.testing.servers.valkey import Valkey


@asynccontextmanager
async def linked(url: str, options: LinkOptions = OPTIONS) -> AsyncIterator[AsyncRedisLink]:
    """A connected link."""
    link = AsyncRedisLink.from_url(url, options)
    await link.call(ECHO, [], ["hello"])
    yield link
    await link.aclose()


def test_callers_of_one_turn_travel_together(valkey: Valkey) -> None:
    """16 callers cost one script call and one round trip, and each gets its own entry."""

    async def scene() -> list[Any]:
        async with linked(valkey.url) as link:
            calls, trips = valkey.calls(), valkey.round_trips()
            replies = await asyncio.gather(*(link.call(ECHO, [], [str(n)]) for n in range(16)))
            assert valkey.round_trips() - trips == 1
            assert (valkey.calls() - calls)["evalsha"] == 1
            return replies

    assert asyncio.run(scene()) == [str(number).encode() for number in range(16)]


def test_a_crowd_travels_in_several_groups(valkey: Valkey) -> None:
    """Of 1,000 callers no more than 16 are judged in one go, nobody's reply is another's."""

    async def scene() -> None:
        async with linked(valkey.url, PATIENT) as link:
            calls = valkey.calls()
            replies = await asyncio.gather(*(link.call(ECHO, [], [str(n)]) for n in range(1000)))
            assert (valkey.calls() - calls)["evalsha"] == 63
            assert replies == [str(number).encode() for number in range(1000)]

    asyncio.run(scene())


def test_scripts_do_not_mix(valkey: Valkey) -> None:
    """Callers of one turn that run different scripts each get theirs."""

    async def scene() -> tuple[Any, ...]:
        async with linked(valkey.url) as link:
            return await asyncio.gather(
                link.call(ECHO, [], ["one"]),
                link.call(ADD, ["hits"], [5]),
                link.call(ECHO, [], ["two"]),
                link.call(TOTAL, ["a", "b"], []),
            )

    assert list(asyncio.run(scene())) == [b"one", 5, b"two", 2]


def test_cancelled_callers_shift_no_reply(proxy: FaultProxy) -> None:
    """Of 1,000 calls half are cancelled on their way: each of the others gets its own reply."""

    async def one(link: AsyncRedisLink, number: int) -> None:
        await asyncio.sleep(random.random() / 20)
        assert await link.call(ECHO, [], [str(number)]) == str(number).encode()

    async def scene() -> None:
        async with linked(f"redis://127.0.0.1:{proxy.port}", PATIENT) as link:
            proxy.fault = Delay(each=timedelta(milliseconds=5))
            tasks = [asyncio.create_task(one(link, number)) for number in range(1000)]
            for task in tasks[::2]:
                asyncio.get_running_loop().call_later(random.random() / 15, task.cancel)
            told = await asyncio.gather(*tasks, return_exceptions=True)
            assert set(map(type, told[1::2])) == {type(None)}
            assert set(map(type, told[::2])) <= {type(None), asyncio.CancelledError}
            assert link.is_available

    asyncio.run(scene())


def test_all_callers_cancelled_is_no_outage(valkey: Valkey, proxy: FaultProxy) -> None:
    """If nobody waits for an answer any more, its absence says nothing."""

    async def scene() -> None:
        async with linked(f"redis://127.0.0.1:{proxy.port}") as link:
            proxy.fault = DropReplies()
            task = asyncio.create_task(link.call(ADD, ["hits"], [1]))
            await poll(lambda: valkey.command("GET", "hits") == "1", "it is sent")
            task.cancel()
            await asyncio.sleep(1.5 * DEADLINE.total_seconds())
            assert link.is_available

    asyncio.run(scene())


def test_the_deadline_of_one_caller_leaves_the_connection_to_others(proxy: FaultProxy) -> None:
    """Who asked later than the one that gave up still gets its answer, on that connection."""

    async def scene() -> None:
        options = LinkOptions(
            deadline=timedelta(milliseconds=200), probe_interval=timedelta(seconds=5)
        )
        async with linked(f"redis://127.0.0.1:{proxy.port}", options) as link:
            proxy.fault = Delay(each=timedelta(seconds=9))
            first = asyncio.create_task(link.call(ECHO, [], ["first"]))
            await asyncio.sleep(0.15)
            second = asyncio.create_task(link.call(ECHO, [], ["second"]))
            with pytest.raises(UnavailableError) as lost:
                await first
            assert lost.value.sent is True
            proxy.fault = Pass()
            assert await second == b"second"
            assert proxy.traffic.connections == 1

    asyncio.run(scene())


def test_a_late_reply_goes_to_nobody(proxy: FaultProxy) -> None:
    """What the old connection still brings after recovery is not taken for a new answer."""

    async def scene() -> None:
        async with linked(f"redis://127.0.0.1:{proxy.port}") as link:
            for round_ in range(5):
                proxy.fault = Delay(each=timedelta(milliseconds=110 + 10 * round_))
                told = await asyncio.gather(
                    *(link.call(ECHO, [], [f"{round_}:{n}"]) for n in range(5)),
                    return_exceptions=True,
                )
                assert set(map(type, told)) == {UnavailableError}
                proxy.fault = Pass()
                await poll(lambda: link.is_available, "the link is back")
                for number in range(20):
                    word = f"{round_}:{number}"
                    assert await link.call(ECHO, [], [word]) == word.encode()

    asyncio.run(scene())


def test_an_idle_connection_that_ended_is_no_outage(proxy: FaultProxy) -> None:
    """A server that hangs up on who rests is asked again on another connection."""

    async def scene() -> None:
        async with linked(f"redis://127.0.0.1:{proxy.port}", PATIENT) as link:
            for reset in (False, True):
                proxy.cut(reset=reset)
                await asyncio.sleep(0.05)
                assert await link.call(ECHO, [], ["again"]) == b"again"
            assert link.is_available

    asyncio.run(scene())


def test_a_trickling_reply_ends_with_the_deadline(proxy: FaultProxy) -> None:
    """A byte now and then does not prolong the time that a call may take."""

    async def scene() -> None:
        async with linked(f"redis://127.0.0.1:{proxy.port}") as link:
            proxy.fault = Trickle(every=timedelta(milliseconds=40))
            with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as lost:
                await link.call(ECHO, [], ["slowly"])
            assert lost.value.sent is True

    asyncio.run(scene())


def test_a_busy_loop_does_not_make_an_outage(valkey: Valkey) -> None:
    """If the loop itself was away beyond the deadline, the answer that lies there is taken."""

    async def scene() -> None:
        async with linked(valkey.url) as link:
            task = asyncio.create_task(link.call(ECHO, [], ["late"]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            threading.Event().wait(2 * DEADLINE.total_seconds())
            assert await task == b"late"
            assert link.is_available

    asyncio.run(scene())


def test_each_loop_has_its_own_connection(valkey: Valkey) -> None:
    """Loops in several threads use one link at the same time."""
    link = AsyncRedisLink.from_url(valkey.url, PATIENT)
    wrong: list[object] = []

    async def scene(name: str) -> None:
        try:
            for number in range(50):
                words = [f"{name}:{number}:{part}" for part in range(5)]
                got = await asyncio.gather(*(link.call(ECHO, [], [word]) for word in words))
                if got != [word.encode() for word in words]:
                    wrong.append(got)
        finally:
            await link.aclose()

    barrier = threading.Barrier(4)

    def work(name: str) -> None:
        async def begin() -> None:
            await link.call(ECHO, [], ["hello"])
            barrier.wait()  # all have their connection before the first of them closes
            await scene(name)

        asyncio.run(begin())

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong
    wait_until(lambda: clients(valkey) == 1, "every connection is closed")


def test_a_loop_after_another(valkey: Valkey) -> None:
    """A link outlives its loop; what that loop left open is let go with a warning."""
    link = AsyncRedisLink.from_url(valkey.url, PATIENT)

    async def scene(*, close: bool) -> None:
        assert await link.call(ECHO, [], ["hello"]) == b"hello"
        if close:
            await link.aclose()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            asyncio.run(scene(close=False))
        asyncio.run(scene(close=True))
        gc.collect()
    assert "unclosed" in str([str(warning.message) for warning in told])
    assert {warning.category for warning in told} == {ResourceWarning}
    wait_until(lambda: clients(valkey) == 1, "no connection is left")


def test_slow_connecting_is_on_nobodys_time(proxy: FaultProxy) -> None:
    """A call whose connection takes too long ends in time, unsent; later ones have it."""

    async def scene() -> None:
        link = AsyncRedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", OPTIONS)
        proxy.fault = Blackhole()
        with takes_at_most(DEADLINE), pytest.raises(UnavailableError) as lost:
            await link.call(ECHO, [], ["hello"])
        assert lost.value.sent is False
        proxy.fault = Pass()
        await poll(lambda: link.is_available, "the link is back")
        assert await link.call(ECHO, [], ["hello"]) == b"hello"
        await link.aclose()

    asyncio.run(scene())


def test_closing_while_connecting_leaves_nothing(proxy: FaultProxy) -> None:
    """Who waits for a connection learns that there will be none, and none stays."""

    async def scene() -> None:
        link = AsyncRedisLink.from_url(f"redis://127.0.0.1:{proxy.port}", PATIENT)
        proxy.fault = Blackhole()
        waiting = asyncio.create_task(link.call(ECHO, [], ["hello"]))
        await poll(lambda: proxy.traffic.present == 1, "it is connecting")
        await link.aclose()
        with pytest.raises(UnavailableError) as refused:
            await waiting
        assert refused.value.sent is False
        await poll(lambda: proxy.traffic.present == 0, "the connection is gone")

    asyncio.run(scene())
    gc.collect()

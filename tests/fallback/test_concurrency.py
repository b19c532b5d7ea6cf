"""Many callers at once: nobody waits for the lock, and only one of them probes."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from socialflow_core.fallback import BreakerPolicy, CircuitOpenError, CircuitState
from socialflow_core.fallback.breaker import Breaker

LONG = 10  # seconds after which a test that waits for another thread gives up


@pytest.fixture
def half_open() -> Breaker:
    """A breaker that lets the next call probe, and no other for an hour."""
    now = 0
    policy = BreakerPolicy(consecutive_failures=1, cooldown=timedelta(hours=1))
    breaker = Breaker("vendor", policy, clock=lambda: now)
    with pytest.raises(ConnectionError), breaker.guard():
        raise ConnectionError
    now += policy.cooldown // timedelta(microseconds=1)
    assert breaker.retry_after == timedelta(0)
    return breaker


def test_a_cancelled_probe_frees_the_slot(half_open: Breaker) -> None:
    """A task that is cancelled while it probes leaves the question open for the next."""

    async def scenario() -> None:
        probe = asyncio.create_task(half_open.acall(asyncio.Event().wait))
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpenError):
            await half_open.acall(asyncio.sleep, 0)
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        await half_open.acall(asyncio.sleep, 0)

    asyncio.run(scenario())
    assert half_open.state is CircuitState.CLOSED


def test_many_threads_send_one_probe(half_open: Breaker) -> None:
    """Of 20 calls at once one is made, and 19 are refused while it runs."""
    together, refused = threading.Barrier(20, timeout=LONG), threading.Semaphore(0)

    def probe() -> str:
        for _ in range(19):
            assert refused.acquire(timeout=LONG)
        return "probed"

    def caller() -> str:
        together.wait()
        try:
            return half_open.call(probe)
        except CircuitOpenError:
            refused.release()
            return "refused"

    with ThreadPoolExecutor(20) as pool:
        answers = [future.result() for future in [pool.submit(caller) for _ in range(20)]]
    assert sorted(answers) == ["probed"] + ["refused"] * 19
    assert half_open.state is CircuitState.CLOSED


def test_many_tasks_send_one_probe(half_open: Breaker) -> None:
    """The same in one event loop."""

    async def scenario() -> list[str | BaseException]:
        done = asyncio.Event()

        async def probe() -> str:
            await done.wait()
            return "probed"

        tasks = [asyncio.create_task(half_open.acall(probe)) for _ in range(20)]
        await asyncio.wait(tasks[1:], timeout=LONG)
        done.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(scenario())
    assert first == "probed"
    assert all(isinstance(answer, CircuitOpenError) for answer in others)


def test_calls_do_not_wait_for_each_other() -> None:
    """Four calls meet inside the breaker: nothing is locked while they run."""
    breaker = Breaker("vendor")
    meeting = threading.Barrier(4, timeout=LONG)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: breaker.call(meeting.wait), range(4)))
    assert breaker.state is CircuitState.CLOSED


def test_tasks_do_not_wait_for_each_other() -> None:
    """Four coroutines meet inside the guard."""
    breaker = Breaker("vendor")

    async def scenario() -> None:
        arrived = 0
        everybody = asyncio.Event()

        async def meet() -> None:
            nonlocal arrived
            with breaker.guard():
                arrived += 1
                if arrived == 4:
                    everybody.set()
                await asyncio.wait_for(everybody.wait(), LONG)

        await asyncio.gather(*(meet() for _ in range(4)))

    asyncio.run(scenario())

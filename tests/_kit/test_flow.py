"""One flow, two drivers, the same trace."""

import asyncio
from collections.abc import Callable, Generator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core._kit.flow import Call, Flow, Now, Sleep, arun, run


def adder(steps: list[int], trace: list[object]) -> Flow[int, int]:
    """Ask for each step; what fails counts as zero."""
    total = 0
    try:
        for step in steps:
            try:
                answer = yield step
            except LookupError as error:
                trace.append(repr(error))
                answer = 0
            trace.append(answer)
            total += answer
    finally:
        trace.append("closed")
    return total


def double(step: int) -> int:
    """Fail for negative steps: once in a way the flow knows, once in one it does not."""
    if step == -1:
        raise LookupError(step)
    if step < -1:
        raise ZeroDivisionError(step)
    return 2 * step


@given(st.lists(st.integers(-2, 5), max_size=8))
def test_both_drivers_leave_the_same_trace(steps: list[int]) -> None:
    """Sync and async differ in nothing: answers, errors, result and clean-up."""

    async def adouble(step: int) -> int:
        await asyncio.sleep(0)
        return double(step)

    outcomes: list[tuple[object, list[object]]] = []
    drivers: list[Callable[[Flow[int, int]], int]] = [
        lambda flow: run(flow, double),
        lambda flow: asyncio.run(arun(flow, adouble)),
    ]
    for drive in drivers:
        trace: list[object] = []
        try:
            result: object = drive(adder(steps, trace))
        except ZeroDivisionError as error:
            result = repr(error)
        outcomes.append((result, trace))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1][-1] == "closed"


def test_a_flow_without_effects_just_answers() -> None:
    """A flow that decides at once never asks."""
    assert run(adder([], []), double) == 0


def test_stop_iteration_from_outside_does_not_pass_for_a_result() -> None:
    """A performer that leaks StopIteration is an error, not an answer of None."""

    def leak(step: int) -> int:
        raise StopIteration(step)

    with pytest.raises(RuntimeError):
        run(adder([1], []), leak)


def test_cancellation_is_raised_inside_the_flow() -> None:
    """A cancelled flow may clean up, and the cancellation goes on."""
    trace: list[str] = []

    def patient() -> Generator[Sleep, None, None]:
        try:
            yield Sleep(timedelta(hours=1))
        except asyncio.CancelledError:
            trace.append("cancelled")
            yield Sleep(timedelta(0))
            trace.append("cleaned")
            raise

    async def perform(effect: Sleep) -> None:
        await asyncio.sleep(effect.duration.total_seconds())

    async def main() -> None:
        task = asyncio.create_task(arun(patient(), perform))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert trace == ["cancelled", "cleaned"]


def test_effects_are_values() -> None:
    """Effects compare by what they ask, so that tests can state a trace."""
    assert Now() == Now()
    assert Sleep(timedelta(1)) == Sleep(timedelta(1))
    assert Call(dict) == Call(dict)

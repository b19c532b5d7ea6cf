"""Several steps of I/O with decisions between them, written once for sync and async.

A *flow* is a generator that yields what it wants done and is sent the answer. It holds
every decision and does no I/O; `run` and `arun` carry it out and hold no decision.

>>> def double(number: int) -> Flow[Call[int], int]:
...     answer = yield Call(lambda: number)
...     return 2 * answer
>>> run(double(21), lambda effect: effect.function())
42
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Call", "Flow", "Now", "Sleep", "arun", "run"]

EffectT = TypeVar("EffectT")
ResultT = TypeVar("ResultT")

# The answer's type depends on each effect, which a generator's type cannot say.
Flow: TypeAlias = Generator[EffectT, Any, ResultT]


@dataclass(frozen=True, slots=True)
class Call(Generic[ResultT]):
    """Call a function of the user's; answered with what it returns."""

    function: Callable[[], ResultT]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this long; answered with None."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class Now:
    """Read the clock; answered with microseconds since 1970-01-01 UTC."""


def run(flow: Flow[EffectT, ResultT], perform: Callable[[EffectT], object]) -> ResultT:
    """Drive *flow* to its end; what *perform* raises is raised inside the flow."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = perform(effect)
            except BaseException as error:  # noqa: BLE001 -- the flow decides, KeyboardInterrupt too
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: ResultT = stop.value
        return result
    finally:
        flow.close()


async def arun(
    flow: Flow[EffectT, ResultT], perform: Callable[[EffectT], Awaitable[object]]
) -> ResultT:
    """`run`, awaited; a cancellation is raised inside the flow too."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = await perform(effect)
            except BaseException as error:  # noqa: BLE001 -- the flow decides, CancelledError too
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as stop:
        result: ResultT = stop.value
        return result
    finally:
        flow.close()

"""How every benchmark here measures: contenders side by side, ratios, medians, ranges.

Absolute times say more about the machine and its other work than about the code. So the
contenders take turns in short rounds; what is compared is the ratio within a round, and
what is told is the median of the rounds and its range. A contender can have a process of its own.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import platform
import time
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from multiprocessing.connection import Connection

__all__ = [
    "Apart",
    "Contender",
    "Cost",
    "Row",
    "Span",
    "machine",
    "markdown",
    "take_turns",
    "versions",
]

Contender: TypeAlias = "Callable[[int], object]"
"""Does what is measured as often as it is told."""

_FEWEST_ROUNDS = 7
_TURN_S = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation took, in microseconds, by the clock and of this process's CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Span:
    """The median of some figures, and their range."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Span:
        """Sum up *figures*."""
        told = sorted(figures)
        return cls(median(told), told[0], told[-1])

    @classmethod
    def ratio(cls, ours: Sequence[float], theirs: Sequence[float]) -> Span:
        """Sum up the ratios of figures that belong together."""
        return cls.of(our / their for our, their in zip(ours, theirs, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a measure, its goal, and what came out.

    Attributes:
        goal: What the median may be at most; None for a figure that only informs.
        cpu: The same ratio, of the client's CPU instead of the clock.
        unit: What follows a figure; nothing for a ratio.
    """

    measure: str
    span: Span
    goal: float | None = None
    cpu: Span | None = None
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the goal, if there is one, is reached."""
        return self.goal is None or self.span.middle <= self.goal

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return "" if self.goal is None else "met" if self.met else "**missed**"

    def cells(self) -> tuple[str, ...]:
        """What the table says."""
        low, high = self._figure(self.span.low), self._figure(self.span.high)
        return (
            self.measure,
            "" if self.goal is None else f"<= {self._figure(self.goal)}",
            self._figure(self.span.middle),
            "" if low == high else f"{low} to {high}",
            "" if self.cpu is None else self._figure(self.cpu.middle),
            self.verdict,
        )

    def _figure(self, figure: float) -> str:
        if figure == int(figure):
            return f"{int(figure)}{self.unit}"
        return f"{figure:.3f}{self.unit}" if abs(figure) < 0.1 else f"{figure:.2f}{self.unit}"  # noqa: PLR2004 -- below, two digits say little


class Apart:
    """What *build* makes, in a process of its own, and so out of reach of the others.

    Their threads do not run in its turns (`limits` scans its memory in one), and their
    memory is not looked through when its garbage is collected.
    """

    def __init__(self, build: Callable[[], Contender]) -> None:
        # A fork, for what is measured is made of closures, which cannot be sent.
        forked = multiprocessing.get_context("fork")
        self._pipe, there = forked.Pipe()
        forked.Process(target=_serve, args=(build, there), daemon=True).start()
        there.close()
        self._pipe.recv()  # it is built; or an EOFError tells that it could not be

    def cost(self, count: int) -> Cost:
        """What one turn costs, by its own measure."""
        self._pipe.send(count)
        cost: Cost = self._pipe.recv()
        return cost


def _serve(build: Callable[[], Contender], pipe: Connection) -> None:
    run = build()
    pipe.send("built")
    while True:
        pipe.send(_cost(run, pipe.recv()))


@dataclass
class _Turns:
    """One contender, how much it does in a turn, and what its turns took."""

    cost: Callable[[int], Cost]
    count: int
    costs: list[Cost] = field(default_factory=list)


def take_turns(
    contenders: Mapping[str, Contender | Apart], *, rounds: int
) -> dict[str, list[Cost]]:
    """Measure all in *rounds* turns; the order is reversed from each round to the next.

    Raises:
        ValueError: If the rounds are too few for a median to mean anything.
    """
    if rounds < _FEWEST_ROUNDS:
        raise ValueError(f"at least {_FEWEST_ROUNDS} rounds are needed")
    measures = {
        name: each.cost if isinstance(each, Apart) else partial(_cost, each)
        for name, each in contenders.items()
    }
    turns = {name: _Turns(cost, _enough(cost)) for name, cost in measures.items()}
    order = list(turns.values())
    for _ in range(rounds):
        for each in order:
            each.costs.append(each.cost(each.count))
        order.reverse()
    return {name: each.costs for name, each in turns.items()}


def _enough(cost: Callable[[int], Cost]) -> int:
    """How often fits into a turn; the first call of all is a warm-up."""
    cost(1)
    count = 1
    while (took := _least(cost, count)) < _TURN_S / 4:
        count *= 2
    return max(1, round(count * _TURN_S / took))


def _least(cost: Callable[[int], Cost], count: int) -> float:
    # Of three, lest a hiccup of the machine makes every turn of a contender too short.
    return min(cost(count).wall for _ in range(3)) * count / 1e6


def _cost(run: Contender, count: int) -> Cost:
    gc.collect()
    gc.disable()  # as timeit does: a collection would hit whoever comes at that moment
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        run(count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        gc.enable()
    return Cost(wall * 1e6 / count, cpu * 1e6 / count)


def machine() -> str:
    """Where it was measured, in a few words."""
    return f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs"


def versions(*packages: str) -> str:
    """What was measured, in one line."""
    told = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            told.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            told.append(f"{package} (not installed)")
    return ", ".join(told)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

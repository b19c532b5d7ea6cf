"""How every benchmark here measures: contenders side by side, ratios, medians, ranges.

Absolute times say more about the machine and its other work than about the code. So the
contenders take turns in short rounds; what is compared is the ratio within a round, and
what is told is the median of the rounds and its range.
"""

from __future__ import annotations

import gc
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Contender", "Cost", "Row", "Span", "markdown", "take_turns", "versions"]

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


@dataclass
class _Turns:
    """One contender, how much it does in a turn, and what its turns took."""

    run: Contender
    count: int
    costs: list[Cost] = field(default_factory=list)


def take_turns(contenders: Mapping[str, Contender], *, rounds: int) -> dict[str, list[Cost]]:
    """Measure all in *rounds* turns; the order is reversed from each round to the next.

    Raises:
        ValueError: If the rounds are too few for a median to mean anything.
    """
    if rounds < _FEWEST_ROUNDS:
        raise ValueError(f"at least {_FEWEST_ROUNDS} rounds are needed")
    turns = {name: _Turns(run, _enough(run)) for name, run in contenders.items()}
    order = list(turns.values())
    for _ in range(rounds):
        for each in order:
            each.costs.append(_cost(each.run, each.count))
        order.reverse()
    return {name: each.costs for name, each in turns.items()}


def _enough(run: Contender) -> int:
    """How often *run* fits into a turn; the first call of all is a warm-up."""
    run(1)
    count = 1
    while (took := _cost(run, count).wall * count / 1e6) < _TURN_S / 4:
        count *= 2
    return max(1, round(count * _TURN_S / took))


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

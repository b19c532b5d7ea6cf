"""What observing costs when nobody listens, beside an empty function call.

python -m benchmarks.observe
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._run import Row, Span, markdown, take_turns, versions
from socialflow_core._kit.observe import count, span

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "observe.md"
_ROUNDS = 41
_MOST = 12.0


def _empty() -> None:
    return None


def _spanned() -> None:
    with span("work"):
        return


def _counted() -> None:
    count("hits", tier="auth")


def _repeated(function: Callable[[], object]) -> Callable[[int], None]:
    def run(times: int) -> None:
        for _ in range(times):
            function()

    return run


def main() -> None:
    """Measure, print, and write the page of the documentation."""
    functions = {"empty": _empty, "span": _spanned, "count": _counted}
    costs = take_turns({n: _repeated(f) for n, f in functions.items()}, rounds=_ROUNDS)
    wall = {name: [cost.wall for cost in told] for name, told in costs.items()}
    rows = [
        Row(
            measure=f"a {name} without a subscriber / an empty function call",
            span=Span.ratio(wall[name], wall["empty"]),
            goal=_MOST,
        )
        for name in ("span", "count")
    ]
    header = ("measure", "goal", "median", "range", "CPU", "")
    text = (
        "# Observing, when nobody listens\n\n"
        f"{versions()}; {_ROUNDS} interleaved rounds, medians of the ratios within a round.\n"
        "Measured by `python -m benchmarks.observe`.\n\n"
        f"{markdown(header, [row.cells() for row in rows])}"
    )
    print(text)
    _PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()

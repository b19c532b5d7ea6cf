"""A bar for each ratio, as an SVG that needs nothing but itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._run import Row

__all__ = ["chart"]

_LABELS, _BARS, _STEP, _TOP = 430, 420, 26, 64
_MOST = 1.2  # the end of the scale; what is longer is cut there
_LEGEND = "bar: median; thin line: range of the rounds; black mark: goal; dashed: the other one"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2937}.small{font-size:11px;fill:#6b7280}"
    ".met{fill:#2563eb}.missed{fill:#d97706}.goal{stroke:#111827;stroke-width:2}"
    ".range{stroke:#6b7280}.peer{stroke:#9ca3af;stroke-dasharray:4 3}"
)


def chart(title: str, rows: Sequence[Row]) -> str:
    """Draw *rows*, which are ratios: a bar to the median, its range, and a mark at the goal."""
    width, height = _LABELS + _BARS + 70, _TOP + _STEP * len(rows) + 20
    peer = _x(1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-weight="600">{escape(title)}</text>',
        f'<text x="12" y="44" class="small">{_LEGEND}</text>',
        f'<line class="peer" x1="{peer}" x2="{peer}" y1="{_TOP - 10}" y2="{height - 14}"/>',
        *(_bar(row, _TOP + _STEP * place) for place, row in enumerate(rows)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bar(row: Row, top: int) -> str:
    end, low, high = _x(row.span.middle), _x(row.span.low), _x(row.span.high)
    middle = top + 8
    goal = ""
    if row.goal is not None:
        at = _x(row.goal)
        goal = f'<line class="goal" x1="{at}" x2="{at}" y1="{top - 3}" y2="{top + 19}"/>'
    return (
        f'<text x="{_LABELS - 10}" y="{top + 13}" text-anchor="end">{escape(row.measure)}</text>'
        f'<rect class="{"met" if row.met else "missed"}" x="{_LABELS}" y="{top}" '
        f'width="{max(1, end - _LABELS):.1f}" height="16"/>'
        f'<line class="range" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>{goal}'
        f'<text x="{max(end, high, _x(row.goal or 0)) + 8:.1f}" y="{top + 13}">'
        f"{row.cells()[2]}</text>"
    )


def _x(ratio: float) -> float:
    return round(_LABELS + _BARS * min(ratio, _MOST) / _MOST, 1)

"""Names that were probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["nearest"]

_SHORT = 8


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *name* misspells: in case, or by one or two slips of the pen.

    A slip is a character too many, too few, wrong, or swapped with its neighbour. Names
    of up to eight characters are allowed one: two would make another word of them.

    >>> nearest("DATABSE_URL", ["REDIS_URL", "DATABASE_URL"])
    'DATABASE_URL'
    """
    upper = name.upper()
    letters = set(upper)
    best: tuple[int, str] | None = None
    for other in known:
        allowed = 1 if len(other) <= _SHORT else 2
        # Cheap, and refuses nearly all: each slip changes at most two of the letters used.
        if abs(len(upper) - len(other)) > allowed or len(letters ^ set(other)) > 2 * allowed:
            continue
        slips = next((n for n in range(allowed + 1) if _within(upper, other, n)), None)
        if slips is not None and (best is None or slips < best[0]):
            best = slips, other
    return best[1] if best else None


def _within(one: str, other: str, slips: int) -> bool:
    """Whether *slips* corrections, or fewer, make the texts equal."""
    at = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        at += 1
    one, other = one[at:], other[at:]
    if not slips:
        return one == other
    return (
        _within(one[1:], other, slips - 1)
        or _within(one, other[1:], slips - 1)
        or _within(one[1:], other[1:], slips - 1)
        or (one[:2] == other[1::-1] and _within(one[2:], other[2:], slips - 1))
    )

"""From limits and states to a decision: all or nothing, told by the limit that matters most."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ._interface import Decision
from ._strategies import Judge, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._interface import Limit

__all__ = [
    "Ruling",
    "Subject",
    "check",
    "decide",
    "joined",
    "later",
    "look",
    "ruling",
    "weigh",
]

_MOST_KEY = 1024


def check(key: str, limits: Sequence[Limit], cost: int = 1) -> None:
    """Refuse what makes no sense, before anything is counted.

    Raises:
        ValueError: See `RateLimiter`.
    """
    if not isinstance(key, str) or not 0 < len(key) <= _MOST_KEY:
        raise ValueError(f"key must be a text of 1 to {_MOST_KEY} characters")
    if not (key.isascii() or _is_utf8(key)):
        raise ValueError("key must not hold lone surrogates: no store could write it")
    if not isinstance(cost, int) or isinstance(cost, bool) or cost < 1:
        raise ValueError("cost must be a whole number from 1")
    if len(limits) != 1:
        if not limits:
            raise ValueError("at least one limit is needed")
        if len(set(limits)) < len(limits):
            raise ValueError("the same limit is given twice")
    for limit in limits:
        if cost > limit.rate.limit:
            raise ValueError(f"cost is above the limit {limit.name}: waiting would never help")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Subject(NamedTuple):
    """One limit of a hit, and what stands against it."""

    judge: Judge
    state: int
    limit: int
    period: int

    def verdict(self, cost: int, now: int) -> Verdict:
        """What it says to *cost*; a cost of 0 just looks."""
        return Verdict(*self.judge(self.state, self.limit, self.period, cost, now))


class Ruling(NamedTuple):
    """What the limits of a hit say together.

    Attributes:
        verdicts: One for each limit.
        decider: Which of them the answer tells of.
    """

    verdicts: tuple[Verdict, ...]
    decider: int


def ruling(verdicts: Sequence[Verdict]) -> Ruling:
    """Find the decider: who refuses for longest, or else has least remaining for longest.

    Of several that are equal in this it is the first.
    """
    allowed = all(verdict.allowed for verdict in verdicts)

    def rank(index: int) -> tuple[int, ...]:
        verdict = verdicts[index]
        if allowed:
            return -verdict.remaining, verdict.reset_us
        return not verdict.allowed, verdict.retry_us, verdict.reset_us

    return Ruling(tuple(verdicts), max(range(len(verdicts)), key=rank))


def weigh(subjects: Sequence[Subject], cost: int, now: int) -> Ruling:
    """All or nothing: if one refuses, the others say how they stand without the hit."""
    asked = ruling([subject.verdict(cost, now) for subject in subjects])
    if asked.verdicts[asked.decider].allowed:
        return asked
    return _standing(subjects, asked, now)


def look(subjects: Sequence[Subject], cost: int, now: int) -> Ruling:
    """What `weigh` would answer, with everything as it stands without the hit."""
    return _standing(subjects, ruling([subject.verdict(cost, now) for subject in subjects]), now)


def _standing(subjects: Sequence[Subject], asked: Ruling, now: int) -> Ruling:
    stands = (subject.verdict(0, now) for subject in subjects)
    return asked._replace(
        verdicts=tuple(
            stood._replace(allowed=verdict.allowed, retry_us=verdict.retry_us)
            for verdict, stood in zip(asked.verdicts, stands, strict=True)
        )
    )


def decide(
    limits: Sequence[Limit], ruled: Ruling, now: int, source: str, reasons: Sequence[str] = ()
) -> Decision:
    """Put *ruled* in words; *reasons* say for each limit why its answer is not the full one."""
    parts = tuple(
        Decision(
            said.allowed, limit, said.remaining, now, said.reset_us, said.retry_us, source, why
        )
        for limit, said, why in zip(
            limits, ruled.verdicts, reasons or [""] * len(limits), strict=True
        )
    )
    told = parts[ruled.decider]
    if len(parts) == 1:
        return told
    return told._replace(reason=next(filter(None, reasons), ""), parts=parts)


def joined(parts: tuple[Decision, ...]) -> Decision:
    """The decision over several limits, which need not have one source."""
    if len(parts) == 1:
        return parts[0]
    said = [Verdict(p.allowed, 0, p.remaining, p.reset_us, p.retry_us) for p in parts]
    told = parts[ruling(said).decider]
    allowed = all(part.allowed for part in parts)
    reason = told.reason or next((part.reason for part in parts if part.reason), "")
    return told._replace(allowed=allowed, reason=reason, parts=parts)


def later(decision: Decision, us: int, source: str, *, more: int = 0) -> Decision:
    """The same answer, some time on, told by *source*, when *more* hits remain."""
    # Built anew: `_replace` takes thrice as long, and somebody who hammers meets only this.
    allowed, by, remaining, now, reset, retry, _, reason, parts = decision
    reset = reset - us if reset > us else 0
    retry = retry and max(1, retry - us)
    parts = parts and tuple([later(part, us, source, more=more) for part in parts])
    return Decision(allowed, by, remaining + more, now + us, reset, retry, source, reason, parts)

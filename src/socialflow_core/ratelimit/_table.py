"""What one limit's keys have spent: bounded, and without a scan.

The keys stand in a ring, around which a hand walks: two steps for each new key, and it
forgets those of which nothing is spent. So memory follows the keys that are in use. When
there is no more room, of some keys before the hand the one that has spent least makes
room. A key that is at its limit never does: if all that are looked at are, new keys are
counted together, as one *crowd*.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ._core import Subject
from ._strategies import judge_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._interface import Limit

__all__ = ["News", "Table"]

_SWEEP = 2  # keys that are looked at for each new one
_CHOICE = 8  # keys among which the one to make room is chosen
_SEARCH = 64  # keys that are looked at for such a choice, at most


class News(Enum):
    """What happened to a table beside the hit."""

    EVICTED = "a key was forgotten that had spent something"
    CROWDED = "a key had to be counted with others"
    ROOMY = "new keys have places again"


class Table:
    """The states of one limit's keys. Not thread-safe."""

    __slots__ = (
        "_hand",
        "_is_crowded",
        "_max_keys",
        "_ring",
        "crowd",
        "judge",
        "limit",
        "period",
        "states",
        "used_us",
    )

    def __init__(self, limit: Limit, max_keys: int) -> None:
        self.judge = judge_of(limit.strategy)
        self.limit = limit.rate.limit
        self.period = limit.rate.per_us
        self.states: dict[str, int] = {}
        self.crowd = 0  # the state that keys share for which there is no room
        self.used_us = 0  # when it was last asked for a hit
        self._is_crowded = False
        self._ring: list[str] = []  # the keys of `states`
        self._hand = 0
        self._max_keys = max_keys

    def is_idle(self, now: int) -> bool:
        """Whether nothing is spent any more, of any key."""
        self.used_us = min(self.used_us, now)  # the clock may have gone back
        # Longer than any strategy remembers: a sliding window two periods; a bucket,
        # whose step is rounded up, one period and a microsecond for each hit.
        return now - self.used_us >= 2 * self.period + self.limit

    def has_place(self, key: str, now: int) -> bool:
        """Whether *key* has a state of its own, or can have one."""
        return (
            len(self._ring) < self._max_keys
            or key in self.states
            or self._least_spent(now) is not None
        )

    def subject(self, key: str, *, own: bool) -> Subject:
        """What stands against *key*, or against the crowd if it has no place of its *own*."""
        state = self.states.get(key, 0) if own else self.crowd
        return Subject(self.judge, state, self.limit, self.period)

    def put(self, key: str, state: int, now: int) -> Sequence[News]:
        """Keep what was decided of *key*, or of the crowd if it has no place of its own."""
        if key in self.states:
            self.states[key] = state
            return ()
        if not state:
            return ()
        news = []
        if len(self._ring) >= self._max_keys:
            at = self._least_spent(now)
            if at is None:
                return self._join_crowd(state)
            if self._reset_us(self.states[self._ring[at]], now):
                news.append(News.EVICTED)
            self._remove(at)
        self._sweep(now)
        self._ring.append(key)
        self.states[key] = state
        # Not while the crowd has something spent, lest it come and go at every hit.
        if self._is_crowded and not self._reset_us(self.crowd, now):
            self._is_crowded = False
            news.append(News.ROOMY)
        return news

    def forget(self, key: str) -> None:
        """Let nothing be spent of *key*; its place is free when the hand comes by."""
        if key in self.states:
            self.states[key] = 0

    def _join_crowd(self, state: int) -> Sequence[News]:
        self.crowd = state
        self._hand -= _SEARCH
        if self._is_crowded:
            return ()
        self._is_crowded = True
        return (News.CROWDED,)

    def _reset_us(self, state: int, now: int) -> int:
        return self.judge(state, self.limit, self.period, 0, now)[3]

    def _least_spent(self, now: int) -> int | None:
        """Where the key stands that can best be forgotten; None if none can."""
        best, most, size = None, 0, len(self._ring)
        for step in range(min(_SEARCH, size)):
            if best is not None and step >= _CHOICE:
                break
            at = (self._hand - 1 - step) % size
            state = self.states[self._ring[at]]
            remaining = self.judge(state, self.limit, self.period, 0, now)[2]
            if remaining > most:
                best, most = at, remaining
        return best

    def _sweep(self, now: int) -> None:
        for _ in range(min(_SWEEP, len(self._ring))):
            # Downwards, for what takes a removed key's place was seen already, or is new.
            at = self._hand = (self._hand - 1) % len(self._ring)
            key = self._ring[at]
            _, state, _, reset, _ = self.judge(self.states[key], self.limit, self.period, 0, now)
            if reset:
                # Brought to now, so that a clock that went back keeps no key for ever.
                self.states[key] = state
            else:
                self._remove(at)

    def _remove(self, at: int) -> None:
        del self.states[self._ring[at]]
        self._ring[at] = self._ring[-1]
        self._ring.pop()

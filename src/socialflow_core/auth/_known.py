"""Every revocation that is known in one process, small, and without a scan to forget it.

Marks are whole numbers of 128 bits, which take half of what texts take. When they are to
be forgotten stands in buckets of about a minute, each a list of the same numbers; the next
bucket to end is found by a heap.

One thread changes it at a time; any number read meanwhile.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ._revocation import Entry, mark_number, number_of, predates, subject_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._interface import Claims, Scope

__all__ = ["Known", "Lacking", "Marks", "judge"]

_WIDTH_US = 60_000_000
_SIZE = 16
_NAMED: tuple[Scope, ...] = ("token", "session", "user")


class Marks:
    """Names that are kept until a time.

    Attributes:
        names: Each with its bucket; to look them up.
    """

    __slots__ = ("_buckets", "_heap", "names")

    def __init__(self) -> None:
        # A bucket is its number and then the names in it. What two of them hold, the one
        # in `names` decides about.
        self.names: dict[int, list[int]] = {}
        self._buckets: dict[int, list[int]] = {}
        self._heap: list[int] = []

    def add(self, name: int, kept_us: int) -> bool:
        """Keep *name* at least until then, and up to a minute longer; False if it is already."""
        number = -(-kept_us // _WIDTH_US)
        former = self.names.get(name)
        if former is not None and former[0] >= number:
            return False
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = [number]
            heappush(self._heap, number)
        # In this order: what a fork cuts off in between is kept for ever, not forgotten.
        self.names[name] = bucket
        bucket.append(name)
        return True

    def forget(self, now_us: int) -> None:
        """Let go of what has ended."""
        while self._heap and self._heap[0] * _WIDTH_US <= now_us:
            bucket = self._buckets.pop(heappop(self._heap))
            for name in islice(bucket, 1, None):
                if self.names.get(name) is bucket:
                    del self.names[name]


class Epoch(NamedTuple):
    """Tokens issued before a moment are refused, until another."""

    before_us: int
    kept_us: int


class Known:
    """All that is known to be revoked."""

    __slots__ = ("all", "sessions", "tokens", "users", "users_kept")

    def __init__(self) -> None:
        self.tokens = Marks()
        self.sessions = Marks()
        self.users: dict[int, int] = {}
        self.users_kept = Marks()
        self.all = Epoch(0, 0)

    def __len__(self) -> int:
        marks = len(self.tokens.names) + len(self.sessions.names)
        return marks + len(self.users) + (self.all.before_us > 0)

    def add(self, entry: Entry) -> bool:
        """Know of one more; False if that was known. Of two epochs the later is kept."""
        scope, name, before, kept = entry
        if scope == "all":
            former = self.all
            self.all = Epoch(max(before, former.before_us), max(kept, former.kept_us))
            return self.all != former
        number = int.from_bytes(name, "big")
        if scope == "token":
            return self.tokens.add(number, kept)
        if scope == "session":
            return self.sessions.add(number, kept)
        is_later = before > self.users.get(number, -1)
        if is_later:
            self.users[number] = before
        return self.users_kept.add(number, kept) or is_later

    def forget(self, now_us: int) -> None:
        """Let go of what has ended; it costs what it forgets, and a look at the clock."""
        self.tokens.forget(now_us)
        self.sessions.forget(now_us)
        held = len(self.users_kept.names)
        self.users_kept.forget(now_us)
        if len(self.users_kept.names) < held:
            # A new one, so that whoever reads sees the one or the other.
            kept = self.users_kept.names
            self.users = {user: at for user, at in self.users.items() if user in kept}
        if self.all.kept_us <= now_us:
            self.all = Epoch(0, 0)

    def marks(self, scope: Scope) -> Marks:
        """The names of one scope; `all` has none."""
        if scope == "token":
            return self.tokens
        return self.sessions if scope == "session" else self.users_kept

    def entry(self, scope: Scope, number: int) -> Entry | None:
        """What is known of one name, as it can be told to others."""
        bucket = self.marks(scope).names.get(number)
        if bucket is None:
            return None
        before = self.users.get(number, 0) if scope == "user" else 0
        return Entry(scope, number.to_bytes(_SIZE, "big"), before, bucket[0] * _WIDTH_US)


class Lacking:
    """What others may lack of what is known: all of it, until they are heard to have it."""

    __slots__ = ("_known", "_numbers")

    def __init__(self, known: Known) -> None:
        self._known = known
        self._numbers: dict[Scope, set[int]] = {
            scope: set(known.marks(scope).names) for scope in _NAMED
        }

    def strike(self, told: Iterable[Entry]) -> None:
        """They have these, as far as they know as much of them."""
        for scope, name, before, kept in told:
            number = int.from_bytes(name, "big")
            mine = self._known.entry(scope, number) if scope in _NAMED else None
            if mine and mine.before_us <= before and mine.kept_us < kept + _WIDTH_US:
                self._numbers[scope].discard(number)

    def entries(self) -> Iterator[Entry]:
        """What they have not been heard to have; what holds for all tokens is told anyway."""
        for scope, numbers in self._numbers.items():
            for number in numbers:
                entry = self._known.entry(scope, number)
                if entry is not None:
                    yield entry
        if self._known.all.before_us:
            yield Entry("all", b"", *self._known.all)


def judge(claims: Claims, known: Known) -> bool:
    """Whether a token with these claims is known to be revoked."""
    if known.tokens.names and mark_number(claims) in known.tokens.names:
        return True
    if (
        known.sessions.names
        and claims.session
        and number_of(claims.session) in known.sessions.names
    ):
        return True
    if known.users and predates(
        claims.issued_us, known.users.get(subject_number(claims.subject), 0)
    ):
        return True
    return predates(claims.issued_us, known.all.before_us)

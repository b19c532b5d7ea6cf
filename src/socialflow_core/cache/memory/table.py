"""A bounded table of entries: all of a memory cache, and the local tier before a store.

Whether an entry is still good is told by *marks*: objects that an invalidation kills. Whoever
is about to fetch a value takes the marks of its key and tags first; what comes back is kept
only if none of them has died meanwhile, so an invalidation can never be overtaken by a value
that was read before it. A mark lives as long as somebody holds it, so there are never more of
them than entries and fetches.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from socialflow_core._kit.observe import count
from socialflow_core.cache._core import sure_us
from socialflow_core.cache._keys import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from socialflow_core.cache._interface import Codec
    from socialflow_core.cache._stored import Entry

__all__ = ["UNREAD", "Held", "Mark", "Table", "Ticket", "entry_mark", "tag_mark"]

UNREAD: Final = object()
# What a held entry takes beside its payload and its key, as measured.
_OVERHEAD = 600
# Its mark, the mark's name and the reference to it, and the tag itself.
_A_TAG = 650
_FEW_MARKS = 1000


class Mark:
    """Alive until its key or tag is invalidated."""

    __slots__ = ("__weakref__", "dead")

    def __init__(self) -> None:
        self.dead = False


Ticket: TypeAlias = tuple[Mark, ...]
"""The marks of a key, its tags, and everything."""

_EVERYTHING = "t:"


def entry_mark(key: str) -> str:
    """The name of a key's mark."""
    return f"e:{name_of(key)}"


def tag_mark(tag: str) -> str:
    """The name of a tag's mark; that of no text at all is everything's."""
    return f"t:{name_of(tag)}"


class Held:
    """An entry in the table.

    Attributes:
        tags: Its tags, sorted.
        asked: The same, as they were given last.
        value: The decoded value, if it is one that can be shared and was asked for; `UNREAD`.
        codec: The codec that read it.
        sure_until: Until when it is fresh whatever number is drawn; by the table's clock.
        gone_at: When it is no longer kept.
    """

    __slots__ = (
        *("asked", "codec", "entry", "gone_at", "marks", "payload", "size", "sure_until"),
        *("tags", "value"),
    )

    def __init__(
        self, entry: Entry, *, tags: tuple[str, ...], ticket: Ticket, now: int, left_us: int
    ) -> None:
        self.entry = entry
        self.payload = entry.payload
        self.tags = tags
        self.asked = tags
        self.marks = ticket
        self.gone_at = now + left_us
        self.sure_until = 0
        self.codec: Codec[Any] | None = None
        self.value: Any = UNREAD
        self.size = len(entry.payload) + _OVERHEAD + sum(_A_TAG + len(tag) for tag in tags)

    def learn(self, codec: Codec[Any], value: Any, beta: float, asked: tuple[str, ...]) -> None:
        """It was read with *codec*: that makes the next time quick."""
        self.sure_until = 0  # whoever reads meanwhile sees all of it or nothing
        self.codec, self.asked = codec, asked
        self.value = value if codec.immutable else UNREAD
        self.sure_until = self.gone_at - self.entry.keep_us + sure_us(self.entry, beta)


class Table:
    """See the module. Thread-safe; finding takes no lock.

    Args:
        max_entries: How many entries it holds.
        max_bytes: How many bytes they take, about; the least recently used make room.
        is_open: Whether it takes entries yet.

    Attributes:
        is_open: Whether it takes entries.
    """

    def __init__(self, max_entries: int, max_bytes: int, *, is_open: bool) -> None:
        if max_entries < 1 or max_bytes < 1:
            raise ValueError("max_entries and max_bytes must be at least 1")
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.is_open = is_open
        self._lock = threading.Lock()
        self._marks: dict[str, weakref.ref[Mark]] = {}
        self._everything = Mark()
        self._drop_all()

    def renew(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        """How many bytes the entries take, about."""
        return self._bytes

    def find(self, key: str) -> Held | None:
        """The valid entry of *key*, fresh or not."""
        held = self._held.get(key)
        if held is None:
            return None
        for mark in held.marks:
            if mark.dead:
                self.forget(key)
                return None
        try:
            self._held.move_to_end(key)
        except KeyError:  # another thread has just taken it out
            return None
        return held

    def ticket(self, key: str, tags: Iterable[str]) -> Ticket:
        """The marks of a key and its tags, to be taken before the value is fetched."""
        with self._lock:
            if len(self._marks) > self._sweep_above:
                self._sweep()
            mark = self._mark(entry_mark(key))
            if not tags:
                return mark, self._everything
            return (mark, self._everything, *[self._mark(tag_mark(tag)) for tag in tags])

    def _mark(self, name: str) -> Mark:
        known = self._marks.get(name)
        mark = known() if known is not None else None
        if mark is None:
            mark = Mark()
            self._marks[name] = weakref.ref(mark)
        return mark

    def put(self, key: str, held: Held) -> bool:
        """Keep it; False if one of its marks is dead, or it does not fit in at all."""
        held.size += len(key)
        with self._lock:
            self._remove(key)
            if not self.is_open or held.size > self._max_bytes:
                return False
            if any(mark.dead for mark in held.marks):
                return False
            self._held[key] = held
            self._bytes += held.size
            evicted = self._make_room()
        if evicted:
            count("cache.evicted", evicted)
        return True

    def charge(self, key: str, held: Held, more: int) -> None:
        """It takes so many bytes *more* from now on, for its value is kept beside its bytes."""
        with self._lock:
            if self._held.get(key) is not held:
                return
            held.size += more
            self._bytes += more
            evicted = self._make_room()
        if evicted:
            count("cache.evicted", evicted)

    def _make_room(self) -> int:
        evicted = 0
        while len(self._held) > self._max_entries or self._bytes > self._max_bytes:
            # One call: `find` moves entries meanwhile, without the lock.
            self._bytes -= self._held.popitem(last=False)[1].size
            evicted += 1
        return evicted

    def forget(self, key: str) -> None:
        """Take it out, whatever it is."""
        with self._lock:
            self._remove(key)

    def kill(self, marks: Iterable[str]) -> None:
        """Invalidate what has one of these marks: `entry_mark`, `tag_mark`."""
        with self._lock:
            for name in marks:
                known = self._marks.pop(name, None)
                mark = known() if known is not None else None
                if mark is not None:
                    mark.dead = True
                if name == _EVERYTHING:
                    self._drop_all()

    def open(self) -> None:
        """Take entries from now on, and nothing of what was being fetched before."""
        with self._lock:
            if not self.is_open:
                self._drop_all()
                self.is_open = True

    def close(self) -> None:
        """Drop everything, and take nothing, also of what is being fetched."""
        with self._lock:
            self.is_open = False
            self._drop_all()

    def clear(self) -> None:
        """Drop everything, also what is being fetched."""
        with self._lock:
            self._drop_all()

    def _drop_all(self) -> None:
        # Every ticket holds this one.
        self._everything.dead = True
        self._everything = Mark()
        self._marks = {}
        self._sweep_above = _FEW_MARKS
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0

    def _sweep(self) -> None:
        # A WeakValueDictionary does so at once, and makes every hit in a store slower.
        self._marks = {name: mark for name, mark in self._marks.items() if mark() is not None}
        self._sweep_above = 2 * len(self._marks) + _FEW_MARKS

    def _remove(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= held.size

"""What the sync and the async cache have in common: the table in front, and no I/O."""

from __future__ import annotations

import copy
import itertools
import random
import secrets
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import count
from socialflow_core.cache._codecs import JSON
from socialflow_core.cache._core import Ask, check_key, checked_tags, eagerness, in_us
from socialflow_core.cache._interface import Cached
from socialflow_core.cache._stored import Kind, Query

from .table import UNREAD, Held, entry_mark, tag_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from socialflow_core._kit.clock import Clock
    from socialflow_core.cache._flow import Outcome
    from socialflow_core.cache._interface import Codec, Policy, Ttl

    from .table import Table, Ticket

__all__ = ["Front", "is_good_for_others", "monotonic_us"]

_US = timedelta(microseconds=1)
_MOST_TAGS = 100
_MOST_BYTES = 1_048_576


def monotonic_us() -> int:
    """Microseconds by a clock that nobody sets: a cache asks how long, never when."""
    return time.monotonic_ns() // 1000


class Front:
    """A table before a store.

    Args:
        table: Holds what can be answered at once.
        store_is_table: Whether the store keeps its entries in that very table.
        sources: What to call a hit in the table, and one in the store.
        codec: What makes bytes of values where a call names none.
        max_bytes: A value of more bytes is handed out and not kept.
        clock: Microseconds, since whenever.
    """

    def __init__(
        self,
        table: Table,
        *,
        store_is_table: bool,
        sources: tuple[str, str],
        codec: Codec[Any] = JSON,
        max_bytes: int = _MOST_BYTES,
        clock: Clock = monotonic_us,
    ) -> None:
        self.table = table
        self._store_is_table = store_is_table
        self.near_by, self.far = sources
        self.codec = codec
        self._max_bytes = max_bytes
        self.clock = clock
        self._numbers = itertools.count()
        self._renew()
        renew_in_forks(self, Front._renew)

    def _renew(self) -> None:
        """In a forked child too: two must not claim by the same tokens."""
        self.table.renew()
        self._token = secrets.token_hex(8)
        # Chance, not a secret: who computes early.
        self._uniform = random.Random().random  # noqa: S311 -- see above

    def sure(self, key: str, tags: tuple[str, ...], codec: Codec[Any] | None) -> Held | None:
        """What the table has of *key*, if there is nothing to think about."""
        try:
            held = self.table.find(key)
        except TypeError:  # not to be looked up at all: `ask` says so
            return None
        if (
            held is None
            or self.clock() >= held.sure_until
            or held.codec is not (codec or self.codec)
            or held.asked != tags
        ):
            return None
        count("cache.hit", source=self.near_by)
        return held

    def cached(self, held: Held, codec: Codec[Any] | None) -> Cached[Any]:
        """The same as a `Cached`."""
        age = self.clock() - held.gone_at + held.entry.keep_us
        value = (
            held.value if held.value is not UNREAD else (codec or self.codec).decode(held.payload)
        )
        return Cached(value, self.near_by, age * _US)

    def ask(
        self,
        key: str,
        ttl: Ttl[Any],
        tags: tuple[str, ...],
        codec: Codec[Any] | None,
        policy: Policy,
    ) -> Ask:
        """The question, checked.

        Raises:
            ValueError: If something in it makes no sense.
            TypeError: If something in it is of another type.
        """
        check_key(key)
        if not callable(ttl) and ttl <= timedelta(0):
            raise ValueError("ttl must be longer than zero")
        if len(tags) > _MOST_TAGS:
            raise ValueError(f"a key has at most {_MOST_TAGS} tags")
        codec = codec or self.codec
        tags = checked_tags(tags) if tags != () else ()
        # random() is 0 at times, but never 1.
        early = eagerness(policy.early, 1.0 - self._uniform()) if policy.early else 0.0
        return Ask(key, tags, ttl, codec, policy, self._max_bytes, early)

    def near(self, ask: Ask) -> Held | None:
        """What the table has, if it need not be computed early: as the store would say."""
        held = self.table.find(ask.key)
        if held is None or held.codec is not ask.codec or held.tags != ask.tags:
            return None
        entry = held.entry
        left = held.gone_at - entry.keep_us + entry.fresh_us - self.clock()
        if left <= max(0.0, entry.took_us * ask.early):
            return None
        count("cache.hit", source=self.near_by)
        return held

    def query(self, ask: Ask) -> Query:
        """What to ask the store."""
        token = f"{self._token}-{next(self._numbers)}"
        return Query(ask.key, ask.tags, token, in_us(ask.policy.lock_ttl), ask.early)

    def ticket(self, ask: Ask) -> Ticket:
        """The marks of what is asked for."""
        return self.table.ticket(ask.key, ask.tags)

    def learn(self, ask: Ask, tags: tuple[str, ...], outcome: Outcome, ticket: Ticket) -> None:
        """Keep in the table what the store had, and count."""
        if outcome.computed:
            count("cache.miss", degraded=bool(outcome.reason))
            return
        count("cache.stale" if outcome.reason else "cache.hit", source=self.far)
        entry = outcome.entry
        if entry is None or outcome.reason or entry.kind is not Kind.VALUE:
            return
        if not self.table.is_open:
            return
        held = self.table.find(ask.key)
        if held is None or held.entry is not entry:
            if self._store_is_table:
                return
            times = {"now": self.clock(), "left_us": outcome.left_us}
            held = Held(entry, tags=ask.tags, ticket=ticket, **times)
            self.table.put(ask.key, held)
        if ask.codec.immutable and held.value is UNREAD:
            self.table.charge(ask.key, held, ask.codec.weight * len(entry.payload))
        held.learn(ask.codec, outcome.value, ask.policy.early, tags)

    def handed_out(self, outcome: Outcome) -> Cached[Any]:
        """The same as a `Cached`.

        Raises:
            Exception: The error that was kept instead of a value.
        """
        if outcome.error is not None:
            raise outcome.error
        source = "computed" if outcome.computed else self.far
        return Cached(outcome.value, source, outcome.age_us * _US, outcome.reason)

    def shared(self, outcome: Outcome, ask: Ask) -> Outcome:
        """What whoever waited for it gets: the same, and where it can change, an own copy.

        What neither the codec nor `copy.deepcopy` can copy is shared.
        """
        entry = outcome.entry
        if ask.codec.immutable or outcome.value is None:
            return outcome
        if entry is None or entry.kind is not Kind.VALUE:
            with suppress(Exception):  # whatever a class makes of being copied
                return outcome._replace(value=copy.deepcopy(outcome.value))
            return outcome
        return outcome._replace(value=ask.codec.decode(entry.payload))

    def kill(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Forget here."""
        self.table.kill([*map(entry_mark, keys), *map(tag_mark, tags)])


def is_good_for_others(outcome: Outcome, ticket: Ticket) -> bool:
    """Whether nothing was invalidated since the computation began."""
    return not (outcome.overtaken or any(mark.dead for mark in ticket))

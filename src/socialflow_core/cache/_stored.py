"""What a cache asks of its store: entries, claims, and the protocol of stores.

The sync and async protocols are what `testing.cache.StoreContract` tries.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AsyncStore", "Claim", "Entry", "Kind", "Query", "Reply", "Store", "Written"]


class Kind(Enum):
    """What an entry holds."""

    VALUE = 0
    """The bytes of a value."""
    NONE = 1
    """That there is none."""
    ERROR = 2
    """An error that was to be kept: its type's name and its arguments."""


class Entry(NamedTuple):
    """What a store keeps of a key.

    Attributes:
        payload: The bytes.
        codec: The name of the codec that made them.
        fresh_us: How long it is fresh.
        keep_us: How long to keep it; what is beyond *fresh_us* is stale.
        took_us: How long computing took.
        kind: What the payload is.
    """

    payload: bytes
    codec: str
    fresh_us: int
    keep_us: int
    took_us: int
    kind: Kind = Kind.VALUE


class Query(NamedTuple):
    """What a store is asked.

    Attributes:
        key: The key.
        tags: Its tags, sorted, each once.
        token: A text that nobody else uses: who asks.
        lock_us: How long a claim holds.
        early: An entry that is fresh for no longer than *early* times what it took to
            compute is to be computed anew: `_core.eagerness`. Below zero: any entry is.
    """

    key: str
    tags: tuple[str, ...]
    token: str
    lock_us: int
    early: float = 0.0


class Claim(Enum):
    """Whether whoever asked is to compute the value."""

    NONE = 0
    """There is an entry, and no need to."""
    MINE = 1
    """Yes, and nobody else will meanwhile."""
    TAKEN = 2
    """Somebody else does."""
    IMPOSSIBLE = 3
    """The store takes no claims and no entries at present."""


class Reply(NamedTuple):
    """What a store answers.

    Attributes:
        entry: What there is, if it and its tags are valid.
        left_us: How long it will be kept.
        claim: Who is to compute.
        stamp: The state of the tags at that moment; `write` wants it back.
    """

    entry: Entry | None
    left_us: int = 0
    claim: Claim = Claim.NONE
    stamp: str = ""


class Written(Enum):
    """What became of an entry."""

    STORED = 0
    OVERTAKEN = 1
    """It, a tag, or the claim was dropped or ran out meanwhile."""
    REFUSED = 2
    """The store takes nothing at present."""


class Store(Protocol):
    """Where entries are kept; what a cache is built on. Thread-safe.

    Each method is one round trip, and raises:
        UnavailableError: If the store does not answer.
    """

    def read(self, query: Query, /) -> Reply:
        """Read an entry and, where one has to be computed, claim that, in one step."""
        ...

    def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """Keep *entry* and end the claim, if the claim and the tags are what they were."""
        ...

    def release(self, query: Query, /) -> None:
        """End the claim without an entry; nothing happens if it has ended."""
        ...

    def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """Forget entries and claims of *keys*, and all that have one of *tags*."""
        ...


class AsyncStore(Protocol):
    """`Store`, awaited."""

    async def read(self, query: Query, /) -> Reply:
        """See `Store.read`."""
        ...

    async def write(self, query: Query, stamp: str, entry: Entry, /) -> Written:
        """See `Store.write`."""
        ...

    async def release(self, query: Query, /) -> None:
        """See `Store.release`."""
        ...

    async def drop(self, keys: Sequence[str], tags: Sequence[str], /) -> None:
        """See `Store.drop`."""
        ...

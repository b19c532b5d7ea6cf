"""What a cache promises: values, protocols and errors, no behaviour.

```
CoreError
└── UnavailableError    a store did not answer (between a cache and its store only)
```

A cache raises what `compute` raised, and `ValueError` or `TypeError` for arguments that make
no sense. A store that is away is no error: the value is computed, and `Cached.reason` says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, Protocol, TypeAlias, TypeVar

__all__ = [
    "DEFAULT_POLICY",
    "AsyncCache",
    "Cache",
    "Cached",
    "Codec",
    "Policy",
    "Ttl",
]

ValueT = TypeVar("ValueT")

_ZERO = timedelta(0)
_MOST_ERRORS = 32

Ttl: TypeAlias = timedelta | Callable[[ValueT], timedelta | None]
"""How long a value is fresh, or a function that says so of the computed value: None, not to
keep it at all. A function may see a value twice, and must answer the same."""


@dataclass(frozen=True, slots=True)
class Codec(Generic[ValueT]):
    """How values become bytes and values again. Never pickle: who writes the store would run code.

    Attributes:
        name: Stands beside the bytes; an entry of another name is not read. At most 32
            characters of ASCII.
        encode: Raises whatever it likes for a value that it does not take: that value is
            handed out and not stored.
        decode: Raises whatever it likes for bytes that are no such value (any more): then
            the entry counts as missing.
        immutable: Whether a value can be shared by all who ask for it. If not, a cache keeps
            bytes, and everybody gets a value of their own.
        weight: How many times the bytes an immutable value takes, about: it is kept beside
            them, and counts.

    Raises:
        ValueError: If the name is not such a name, or the weight is negative.
    """

    name: str
    encode: Callable[[ValueT], bytes]
    decode: Callable[[bytes], ValueT]
    immutable: bool = field(default=False, kw_only=True)
    weight: int = field(default=8, kw_only=True)

    def __post_init__(self) -> None:
        if not (0 < len(self.name) <= 32 and self.name.isascii() and self.name.isprintable()):  # noqa: PLR2004 -- as the docstring says
            raise ValueError("name must be 1 to 32 printable ASCII characters")
        if self.weight < 0:
            raise ValueError("weight must not be negative")


@dataclass(frozen=True, slots=True)
class Cached(Generic[ValueT]):
    """A value, and where it comes from.

    Attributes:
        value: The value.
        source: "computed" by this very call or one that it joined, "memory", "local" (the
            tier in front of a store), or the name of a store: "redis".
        age: How long ago the value was computed.
        reason: Why this is not the full answer: stale, or computed because the store is
            away, or not stored; empty if it is.
    """

    value: ValueT
    source: str
    age: timedelta = _ZERO
    reason: str = ""

    @property
    def degraded(self) -> bool:
        """Whether this is not the full answer; `reason` says why."""
        return bool(self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may happen around the end of a value's life, and when computing fails.

    Attributes:
        early: How eagerly a value is computed anew before it ends, so that a hot key's end
            meets one caller and not all: the *beta* of XFetch (Vattani, Chierichetti,
            Lowenstein, "Optimal probabilistic cache stampede prevention", VLDB 2015). 0
            never, 1 as the paper proves best, more is earlier.
        stale_while_revalidate: For how long after its end a value is still handed out while
            one computes it anew in the background (RFC 5861 section 3). In threads that is
            another thread: *compute* must not need the caller's.
        stale_if_error: For how long after its end a value is handed out if computing it anew
            fails with an `Exception` (RFC 5861 section 4).
        negative_ttl: How long "there is none" is kept: a result of None, and the errors of
            *negative*. Zero: not at all, every such answer is computed.
        negative: The exact types of errors to keep for *negative_ttl*. A hit raises a new
            error of that type with the same arguments, which have to be str, int, float,
            bool or None.
        lock_ttl: How long one process may compute before another begins, too; what takes
            longer is stored only if nobody else has begun meanwhile. Make it longer than
            *compute* usually takes, and as short as others can wait if a process dies meanwhile.
        wait: How long at most to wait for somebody else's computation before computing
            oneself; None: in this process as long as it takes, for others *lock_ttl*.

    Raises:
        ValueError: If a duration is negative, `lock_ttl` is below a millisecond, *early* is
            not from 0 to 100, or *negative* has no *negative_ttl* or more than 32 types.
    """

    early: float = 1.0
    stale_while_revalidate: timedelta = _ZERO
    stale_if_error: timedelta = _ZERO
    negative_ttl: timedelta = _ZERO
    negative: tuple[type[Exception], ...] = ()
    lock_ttl: timedelta = timedelta(seconds=10)
    wait: timedelta | None = None

    def __post_init__(self) -> None:
        for name in ("stale_while_revalidate", "stale_if_error", "negative_ttl"):
            if getattr(self, name) < _ZERO:
                raise ValueError(f"{name} must not be negative")
        if self.wait is not None and self.wait < _ZERO:
            raise ValueError("wait must not be negative")
        if self.lock_ttl < timedelta(milliseconds=1):
            raise ValueError("lock_ttl must be at least a millisecond")
        if not 0 <= self.early <= 100:  # noqa: PLR2004 -- as the docstring says
            raise ValueError("early must be from 0 to 100")
        if self.negative and not self.negative_ttl:
            raise ValueError("negative needs a negative_ttl")
        if len(self.negative) > _MOST_ERRORS:
            raise ValueError(f"negative holds at most {_MOST_ERRORS} types")


DEFAULT_POLICY = Policy()


class Cache(Protocol):
    """Keeps what was computed. Thread-safe.

    *key* is 1 or more characters; build it with `key_of`. Whoever asks for a key that is
    being computed waits for that computation, and gets its value or its error. An error is
    no value: it is not kept (but see `Policy.negative`), and the next call computes.
    *tags* name groups that a key belongs to, the same at every call for that key. A result
    of None is not kept either, unless `Policy.negative_ttl` says how long.

    Both ways to ask raise:
        ValueError: If the key or a tag is empty, or a duration makes no sense.
        TypeError: If they are not text.
        RuntimeError: If *compute* asks for the key that it is to compute.
        Exception: Whatever *compute* raises.
    """

    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], ValueT],
        /,
        *,
        ttl: Ttl[ValueT],
        tags: tuple[str, ...] = (),
        codec: Codec[ValueT] | None = None,
        policy: Policy = DEFAULT_POLICY,
    ) -> ValueT:
        """The value of *key*, computed if there is none."""
        ...

    def lookup(
        self,
        key: str,
        compute: Callable[[], ValueT],
        /,
        *,
        ttl: Ttl[ValueT],
        tags: tuple[str, ...] = (),
        codec: Codec[ValueT] | None = None,
        policy: Policy = DEFAULT_POLICY,
    ) -> Cached[ValueT]:
        """The same, with where it comes from, how old it is, and what is amiss."""
        ...

    def invalidate(self, *keys: str) -> bool:
        """Forget *keys*, everywhere; what is being computed of them is not stored.

        Answers whether that is done. False: the store is away; it is done here, and will
        be done there as soon as the store is back.
        """
        ...

    def invalidate_tags(self, *tags: str) -> bool:
        """Forget every key with one of *tags*, at a cost that does not depend on how many."""
        ...


class AsyncCache(Protocol):
    """`Cache`, awaited. *compute* answers an awaitable, and runs in a task of its own.

    Cancelling a caller, be it the one who came first, does not disturb the others.
    """

    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Awaitable[ValueT]],
        /,
        *,
        ttl: Ttl[ValueT],
        tags: tuple[str, ...] = (),
        codec: Codec[ValueT] | None = None,
        policy: Policy = DEFAULT_POLICY,
    ) -> ValueT:
        """See `Cache.get_or_compute`."""
        ...

    async def lookup(
        self,
        key: str,
        compute: Callable[[], Awaitable[ValueT]],
        /,
        *,
        ttl: Ttl[ValueT],
        tags: tuple[str, ...] = (),
        codec: Codec[ValueT] | None = None,
        policy: Policy = DEFAULT_POLICY,
    ) -> Cached[ValueT]:
        """See `Cache.lookup`."""
        ...

    async def invalidate(self, *keys: str) -> bool:
        """See `Cache.invalidate`."""
        ...

    async def invalidate_tags(self, *tags: str) -> bool:
        """See `Cache.invalidate_tags`."""
        ...

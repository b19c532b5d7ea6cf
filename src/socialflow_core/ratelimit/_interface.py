"""What a rate limiter promises: values, protocols and errors, no behaviour.

```
CoreError
└── UnavailableError    the store did not answer (adapters with a store only)
```

Bad arguments raise `ValueError` before anything is counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Literal, NamedTuple, Protocol, TypeAlias, get_args

from socialflow_core._kit.grammar import parse_rate

__all__ = [
    "AsyncRateLimiter",
    "Decision",
    "FailurePolicy",
    "Limit",
    "Rate",
    "RateLimiter",
    "Strategy",
]

_US = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Lua counts in doubles: above this a script would no longer agree with Python.
_EXACT = 2**53
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Rate:
    """*limit* hits in every period *per*.

    Raises:
        ValueError: If one of them is not positive, or *limit* times the microseconds of
            *per* reaches 2**53, where a Redis script stops being exact.

    >>> Rate(100, per=timedelta(minutes=1)) == Rate.parse("100/minute")
    True
    """

    limit: int
    per: timedelta = field(kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise ValueError("limit must be a whole number from 1")
        if not isinstance(self.per, timedelta) or self.per < _US:
            raise ValueError("per must be a timedelta of at least one microsecond")
        if self.limit * self.per_us >= _EXACT:
            raise ValueError("limit times per in microseconds must be below 2**53")

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read "100/minute", "10/15m", "5 per 2 hours": the grammar of `limits`, and durations.

        Raises:
            ValueError: If *text* is none of these.
        """
        limit, per = parse_rate(text)
        return cls(limit, per=per)

    @property
    def per_us(self) -> int:
        """The period in microseconds."""
        return self.per // _US


FailurePolicy: TypeAlias = Literal["local", "open", "closed"]
"""What a limit does while its store is away: count in this process, allow, or refuse."""


class Strategy(Enum):
    """How hits are counted. In any trailing period each allows at most 2 x limit.

    The value is part of the key under which a store keeps the count.
    """

    FIXED_WINDOW = "fixed-window"
    """*limit* hits in a window that begins with the key's first counted hit."""
    SLIDING_WINDOW = "sliding-window"
    """The window before counts by the share of it that still lies in the trailing period."""
    TOKEN_BUCKET = "token-bucket"  # noqa: S105 -- a name, not a token
    """*limit* hits at once, then one more every per / limit (GCRA)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A named rate: what to allow, and how to count it.

    Counts belong to the whole value: a limit of the same name with another rate or
    strategy counts anew. The name goes into headers and keys, hence its alphabet.

    Raises:
        ValueError: If *name* is not 1 to 64 characters of A-Z a-z 0-9 _ . - that begin
            with a letter or digit, or *strategy* or *failure* is none.
    """

    name: str
    rate: Rate
    strategy: Strategy = field(default=Strategy.FIXED_WINDOW, kw_only=True)
    failure: FailurePolicy = field(default="local", kw_only=True, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(
                "name must be 1 to 64 of A-Z a-z 0-9 _ . - and begin with a letter or digit"
            )
        if not isinstance(self.strategy, Strategy):
            raise ValueError("strategy must be a Strategy")  # noqa: TRY004 -- as for every field
        if self.failure not in get_args(FailurePolicy):
            raise ValueError(f"failure must be one of {', '.join(get_args(FailurePolicy))}")
        object.__setattr__(self, "_hash", hash((self.name, self.rate, self.strategy)))

    def __hash__(self) -> int:
        # Looked up at every hit: a generated hash would visit every field again.
        return self._hash

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        # Built anew, for a text's hash is another one in another process.
        return _limit, (self.name, self.rate, self.strategy, self.failure)


def _limit(name: str, rate: Rate, strategy: Strategy, failure: FailurePolicy) -> Limit:
    return Limit(name, rate, strategy=strategy, failure=failure)


class Decision(NamedTuple):
    """The answer to a hit; true in a condition if it was allowed.

    Durations are kept in microseconds (`_us`) and made a `timedelta` when read.

    Attributes:
        allowed: Whether every limit allowed the hit; only then it was counted.
        decided_by: The limit that refused, and if several did, the one to wait for
            longest; for an allowed hit the one with the least remaining.
        remaining: Hits that this limit still allows now.
        now_us: When it was decided, in microseconds since 1970-01-01 UTC.
        reset_us: Until nothing of the limit is spent any more.
        retry_us: Until a refused hit would be allowed; zero if it was allowed.
        source: Where the count came from: "memory", "redis", "limits", ...
        reason: Why the answer is not the full one; empty if it is.
        parts: One decision for each limit, in their order, if there were several.
    """

    allowed: bool
    decided_by: Limit
    remaining: int
    now_us: int
    reset_us: int
    retry_us: int
    source: str
    reason: str = ""
    parts: tuple[Decision, ...] = ()

    def __bool__(self) -> bool:
        # A tuple would be true even when it says no.
        return self.allowed

    @property
    def limit(self) -> int:
        """The number of hits that the deciding limit allows in its period."""
        return self.decided_by.rate.limit

    @property
    def reset_at(self) -> datetime:
        """When nothing of the limit is spent any more, in UTC."""
        return _EPOCH + (self.now_us + self.reset_us) * _US

    @property
    def reset_after(self) -> timedelta:
        """How long until `reset_at`."""
        return self.reset_us * _US

    @property
    def retry_after(self) -> timedelta:
        """How long until a refused hit would be allowed; zero if it was allowed."""
        return self.retry_us * _US

    @property
    def degraded(self) -> bool:
        """Whether this is not the full answer; `reason` says why."""
        return bool(self.reason)

    @property
    def each(self) -> tuple[Decision, ...]:
        """One decision for each limit, also if there was only one."""
        return self.parts or (self,)


class RateLimiter(Protocol):
    """Counts hits of keys against limits.

    *key* names who is counted: 1 to 1,024 characters; build it with `key_of`. Several
    limits are judged at once, all or nothing: one that refuses leaves all uncounted.

    Every method raises:
        ValueError: If a key, a cost or the choice of limits makes no sense. A cost above
            a limit is refused so too: waiting would never help.
        UnavailableError: If the store does not answer and the adapter has no fallback.
    """

    def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """Spend *cost* of *key* if every limit allows it now; a refused hit is free."""
        ...

    def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """Answer what `hit` would decide now, and spend nothing.

        *remaining* and *reset_us* are as they stand, without the hit.
        """
        ...

    def reset(self, key: str, /, *limits: Limit) -> None:
        """Forget what *key* has spent of these limits."""
        ...


class AsyncRateLimiter(Protocol):
    """`RateLimiter`, awaited."""

    async def hit(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.hit`."""
        ...

    async def peek(self, key: str, /, *limits: Limit, cost: int = 1) -> Decision:
        """See `RateLimiter.peek`."""
        ...

    async def reset(self, key: str, /, *limits: Limit) -> None:
        """See `RateLimiter.reset`."""
        ...

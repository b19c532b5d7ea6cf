"""What a link to Redis promises: one round trip, within a deadline, or a clear no.

```
CoreError
└── UnavailableError    no answer in time; `sent` says whether the request had left
```
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Argument", "AsyncLink", "Link", "LinkOptions", "Script"]

Argument: TypeAlias = str | bytes | int


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """A Lua script that judges any number of *items* in one call.

    An item is some KEYS and some ARGV; several are laid end to end, and the script
    answers a list with one entry for each. That lets a link send callers together.
    """

    source: str
    sha: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Redis names scripts by SHA-1 (EVALSHA); nothing is protected by it.
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """How long a link waits for what.

    Attributes:
        deadline: The longest that one call may hold its caller, connecting included.
        connect_timeout: The longest that connecting may take, on nobody's time.
        probe_interval: How often a lost server is asked whether it is back, in the
            background; no call ever is the probe.
        probe: The command that must succeed for the server to count as back.
        greeting: The command that a new connection begins with, as EVAL and its words: what
            has to be done before a server that may have been started again is believed. A
            connection on which it fails is none. A plain link, which knows no connections,
            sends it to a server that does not know a script yet.

    Raises:
        ValueError: If a duration is not positive.
    """

    deadline: timedelta = timedelta(milliseconds=100)
    connect_timeout: timedelta = timedelta(seconds=1)
    probe_interval: timedelta = timedelta(milliseconds=100)
    probe: tuple[Argument, ...] = ("PING",)
    greeting: tuple[Argument, ...] = ()

    def __post_init__(self) -> None:
        for name in ("deadline", "connect_timeout", "probe_interval"):
            if getattr(self, name) <= timedelta(0):
                raise ValueError(f"{name} must be longer than zero")


class Link(Protocol):
    """Runs scripts on one Redis. Thread-safe and fork-safe."""

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        ...

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run *script* on one item and answer its entry.

        A request is never sent twice, for the first may have counted.

        Raises:
            UnavailableError: If no answer came within the deadline, the connection broke,
                the server refused, or it is known to be away; then at once. After a script
                that failed half-way `sent` is None, and the server does not count as away.
        """
        ...

    def when_recovered(self, tell: Callable[[], None]) -> None:
        """Call *tell* in the background each time when the server is back, beside all others."""
        ...

    def close(self) -> None:
        """Close every connection; calling it twice is fine."""
        ...


class AsyncLink(Protocol):
    """`Link`, awaited; the callers of one turn of the event loop travel together."""

    @property
    def is_available(self) -> bool:
        """Whether the server answered when this event loop last asked it."""
        ...

    async def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Link.call`. Cancelling a caller concerns nobody else."""
        ...

    def when_recovered(self, tell: Callable[[], Awaitable[None]]) -> None:
        """See `Link.when_recovered`; awaited on the loop that lost the server."""
        ...

    async def aclose(self) -> None:
        """See `Link.close`."""
        ...

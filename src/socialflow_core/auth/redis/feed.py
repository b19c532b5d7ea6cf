"""The thread that keeps a process's revocations those of Redis.

It reads the stream of changes, and holds on to the tip: the last change that it has heard
of. As long as each change says that it came after the tip, none was missed. If that is not
so, or Redis's own tip is another one and nothing follows ours, then histories have parted:
the stream was trimmed, everything was flushed, an older or empty replica has taken over.
Then everything is read anew, what is known here stays known, and what Redis lacks is told
to it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.flow import run
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core._kit.observe import Fact, fact
from socialflow_core.auth._known import Lacking
from socialflow_core.auth._revocation import Entry
from socialflow_core.auth._scripts import REVOKE
from socialflow_core.redislink import LinkOptions

from .held import KINDS, SCOPES

with requires_extra("redis"):
    from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.connection import AbstractConnection as Connection

    from socialflow_core.auth._interface import Scope
    from socialflow_core.redislink.redis import Endpoint

    from .held import Held, Item

__all__ = ["Feed"]

_BEAT_MS = 200
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_CHANGES = 1000
_CHUNK = 10_000
_NAME = 16
_FIELDS = {b"p", b"r", b"e"}


class Feed:
    """Follows one Redis on a daemon thread, which `ensure` starts. Fork-safe.

    Attributes:
        heard: When it was certain, by the monotonic clock, that nothing was missed.
        is_following: Whether its thread runs, so that `ensure` has nothing to do.

    Args:
        endpoint: Where Redis is; the connection is of the feed's own.
        held: What this process knows.
        options: How long connecting, or one answer, may take.
    """

    def __init__(self, endpoint: Endpoint, held: Held, options: LinkOptions | None = None) -> None:
        self._endpoint = endpoint
        self._held = held
        self._options = options or LinkOptions()
        self._tip: bytes | None = None
        self._has_read = False
        self._since = b"0-0"
        self.heard = float("-inf")
        self._away = False
        self._pause_s = _PAUSE_S
        self._tried = float("-inf")
        self._closed = threading.Event()
        self._begin()
        renew_in_forks(self, Feed._begin)

    def _begin(self) -> None:
        """Begin without a thread: at first, and in a forked child, which knows all the same."""
        self._thread: threading.Thread | None = None
        self.is_following = False
        self._lock = threading.Lock()
        if self._closed.is_set():
            return
        self._closed = threading.Event()

    def ensure(self) -> None:
        """Follow from now on, if that is not so already.

        Where no thread is to be had, that is told, and tried again a second later.
        """
        with self._lock:
            now = time.monotonic()
            if self.is_following or self._closed.is_set() or now < self._tried + _LONGEST_PAUSE_S:
                return
            self._tried = now
            thread = threading.Thread(target=self._run, name="socialflow-revocations", daemon=True)
            self.is_following = True
            try:
                thread.start()
            except RuntimeError as error:
                self.is_following = False
                self._miss(error)
            else:
                self._thread = thread

    def close(self) -> None:
        """End the thread; calling it twice is fine."""
        with self._lock:
            self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except BaseException as error:  # noqa: BLE001 -- whatever it is, this thread goes on
                if not isinstance(error, OSError | RedisError):
                    self._tip = None  # it makes no sense to us: past it, by reading all anew
                self._miss(error)
                self._closed.wait(self._pause_s)
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _listen(self) -> None:
        # Credentials may come from a provider of the application's, which may raise anything.
        connection = self._endpoint.connect(self._options)
        try:
            self._follow(connection)
        finally:
            with contextlib.suppress(OSError, RedisError):
                connection.disconnect()  # type: ignore[no-untyped-call]  # -- as it is there

    def _miss(self, error: BaseException) -> None:
        if not self._away:
            self._away = True
            # Its kind alone: what it says may name hosts and users.
            reason = f"revocations are not heard of ({type(error).__name__})"
            fact(Fact(block="auth", state="degraded", name="revocations", reason=reason))

    def _follow(self, connection: Connection) -> None:
        """Read on, for as long as the connection lasts."""
        while not self._closed.is_set():
            if self._tip is None or not self._read_on(connection, self._tip):
                self._read_anew(connection)
            self._tell(connection, self._held.take_owed())

    def _read_on(self, connection: Connection, tip: bytes) -> bool:
        """Read what has changed since the tip; False if that cannot be told."""
        begun = time.monotonic()
        keys = self._held.keys
        (theirs,) = _ask(connection, ("GET", keys.tip))
        passed = {tip}
        if (theirs or b"") in passed:
            self._be_certain(begun)
            wait: tuple[str | int, ...] = ("BLOCK", _BEAT_MS)
        else:
            wait = ()
        words = ("XREAD", "COUNT", _CHANGES, *wait, "STREAMS", keys.stream, self._since)
        (reply,) = _ask(connection, words)
        entries: list[Entry] = []
        is_whole = True
        for number, fields in _changes(reply):
            self._since = number
            told = dict(zip(fields[::2], fields[1::2], strict=True))
            if told.keys() != _FIELDS:
                continue  # somebody else wrote that
            is_whole = is_whole and told[b"p"] == tip
            entries.append(_entry(told[b"e"]))
            tip = number + b":" + told[b"r"]
            passed.add(tip)
        self._held.local.learn(entries)
        if not is_whole or not (entries or wait):
            return False
        self._tip = tip
        if not wait and theirs in passed:
            self._be_certain(begun)
        return True

    def _be_certain(self, since: float) -> None:
        """Nothing was missed of what happened before *since*, by the monotonic clock."""
        self.heard = since
        self._pause_s = _PAUSE_S
        if self._away:
            self._away = False
            reason = "revocations are heard of again, and none was missed"
            fact(Fact(block="auth", state="recovered", name="revocations", reason=reason))

    def _read_anew(self, connection: Connection) -> None:
        """Read everything, and tell Redis what it lacks."""
        # Changes from here on are read again from the stream.
        (tip,) = _ask(connection, ("GET", self._held.keys.tip))
        # At first nothing was read before; what was revoked here since is owed.
        lacking = Lacking(self._held.local.known) if self._has_read else None
        for chunk in self._everything(connection):
            self._held.local.learn(chunk)
            if lacking is not None:
                lacking.strike(chunk)
            if self._closed.is_set():
                return
        if lacking is not None:
            # If that fails, everything is read again, and what it lacks is found again.
            self._tell(connection, [*lacking.entries()], owing=False)
        self._tip = tip or b""
        self._has_read = True
        self._since = self._tip.partition(b":")[0] or b"0-0"

    def _everything(self, connection: Connection) -> Iterator[list[Entry]]:
        keys = self._held.keys
        places: tuple[tuple[Scope, str], ...] = (
            ("token", keys.tokens),
            ("session", keys.sessions),
            ("user", keys.users),
        )
        for scope, key in places:
            # From the longest kept on: what is added or has ended meanwhile makes us read
            # some twice, and leaves out none.
            for start in count(0, _CHUNK):
                words = ("ZREVRANGE", key, start, start + _CHUNK - 1, "WITHSCORES")
                (reply,) = _ask(connection, words)
                if not reply:
                    break
                yield self._chunk(connection, scope, _pairs(reply))
        (everybody,) = _ask(connection, ("GET", keys.all))
        if everybody:
            yield [_entry(KINDS["all"].encode() + everybody)]

    def _chunk(
        self, connection: Connection, scope: Scope, pairs: Sequence[tuple[bytes, int]]
    ) -> list[Entry]:
        if scope != "user":
            return [Entry(scope, name, 0, kept) for name, kept in pairs]
        names = [name for name, _ in pairs]
        (befores,) = _ask(connection, ("HMGET", self._held.keys.befores, *names))
        return [
            Entry(scope, name, int(before), kept)
            for (name, kept), before in zip(pairs, befores, strict=True)
            if before is not None  # it has ended in between
        ]

    def _tell(
        self, connection: Connection, entries: Sequence[Entry], *, owing: bool = True
    ) -> None:
        def perform(item: Item) -> object:
            keys, args = item
            (reply,) = _ask(connection, ("EVAL", REVOKE, len(keys), *keys, *args))
            return reply[0]

        run(self._held.telling(entries, owing=owing), perform)


def _ask(connection: Connection, *commands: Sequence[Any]) -> list[Any]:
    """Send commands together, and read their replies."""
    packed = connection.pack_commands(commands)  # type: ignore[no-untyped-call]  # -- see there
    connection.send_packed_command(packed)  # type: ignore[no-untyped-call]  # -- see there
    return [connection.read_response() for _ in commands]


def _changes(reply: Any) -> Sequence[tuple[bytes, Sequence[bytes]]]:
    """The entries of the one stream of XREAD: a map in RESP3, pairs in RESP2."""
    if not reply:
        return ()
    parts = reply.items() if isinstance(reply, dict) else reply
    return next(entries for _, entries in parts)


def _pairs(reply: Sequence[Any]) -> Sequence[tuple[bytes, int]]:
    """Members and scores of a zset: pairs in RESP3, flat in RESP2."""
    if not isinstance(reply[0], list):
        reply = [*zip(reply[::2], reply[1::2], strict=True)]
    return [(member, int(float(score))) for member, score in reply]


def _entry(told: bytes) -> Entry:
    """A change, as the script wrote it."""
    scope = SCOPES[told[:1]]
    end = 1 if scope == "all" else 1 + _NAME
    before, kept = told[end:].split()
    return Entry(scope, told[1:end], int(before), int(kept))

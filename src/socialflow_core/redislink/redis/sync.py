"""A link for threads: each has a connection of its own, and none waits for another."""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Self

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.forks import renew_in_forks
from socialflow_core.redislink._interface import LinkOptions

from .endpoint import Endpoint
from .line import Line, entries, is_away, pack, pack_command
from .watch import Watch, away, in_background

with requires_extra("redis"):
    import hiredis
    from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import redis

    from socialflow_core.redislink._interface import Argument, Script

__all__ = ["RedisLink"]


class RedisLink:
    """See `Link`. One that is not closed warns when it is forgotten.

    Args:
        endpoint: Where Redis is.
        options: How long to wait for what.
    """

    def __init__(self, endpoint: Endpoint, options: LinkOptions | None = None) -> None:
        self._endpoint = endpoint
        self._options = options or LinkOptions()
        self._deadline = self._options.deadline.total_seconds()
        self._listeners: list[Callable[[], None]] = []
        self._begin()
        renew_in_forks(self, RedisLink._begin_in_child)

    @classmethod
    def from_url(cls, url: str, options: LinkOptions | None = None) -> Self:
        """Link to redis://, rediss://, unix://, valkey:// or valkeys:// ."""
        return cls(Endpoint.from_url(url), options)

    @classmethod
    def from_client(cls, client: redis.Redis, options: LinkOptions | None = None) -> Self:
        """Link to where *client* goes, with its credentials, on connections of our own."""
        return cls(Endpoint.from_client(client), options)

    def _begin(self) -> None:
        """Begin without connections: at first, and in a forked child."""
        self._was_used = False
        self._is_suspect = False  # whether a connection failed, so that others may have, too
        self._own = threading.local()
        self._lines: weakref.WeakSet[Line] = weakref.WeakSet()
        self._spare: list[Line] = []
        self._era = 0  # lines of an earlier era were made before an outage
        self._lock = threading.Lock()
        self._watch = Watch(self._probe, self._options.probe_interval, self._tell_recovered)

    def _begin_in_child(self) -> None:
        was_closed = self._watch.is_closed
        self._begin()
        if was_closed:
            self._watch.close()

    @property
    def is_available(self) -> bool:
        """Whether the server answered when it was last asked."""
        return self._watch.is_available

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Link.call`."""
        if not self._watch.is_available:
            raise away(sent=False)
        begin = time.monotonic()
        line = self._line()
        try:
            reply = line.exchange(pack("EVALSHA", script, keys, args), begin)
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
                # Refused before it ran, so sending it again counts nothing twice.
                reply = line.exchange(pack("EVAL", script, keys, args), begin)
            return entries(reply, 1)[0]
        except hiredis.ReplyError as error:
            if not is_away(error):
                raise away(sent=None) from error
            self._drop(line)
            raise away(sent=False) from error
        except (OSError, hiredis.HiredisError) as error:
            self._drop(line)
            raise away(sent=True) from error
        except BaseException:
            # A signal's handler, or the end of a greenlet: the reply may still come, and would
            # be taken for the next call's.
            self._own.line = None
            line.close()
            raise

    def when_recovered(self, tell: Callable[[], None]) -> None:
        """See `Link.when_recovered`."""
        self._listeners.append(tell)

    def close(self) -> None:
        """See `Link.close`."""
        self._watch.close()
        with self._lock:
            self._era += 1
            lines = [*self._lines]
            self._spare.clear()
        for line in lines:
            line.close()

    def __del__(self) -> None:
        # Not asked of the lines: those that go together with the link are gone by now.
        if self._was_used and not self._watch.is_closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()

    def _line(self) -> Line:
        """This thread's connection, made anew if it is from before an outage, or dead."""
        line: Line | None = getattr(self._own, "line", None)
        if line is not None:
            if line.era == self._era and not line.is_stale():
                return line
            line.close()
            self._own.line = None
        self._own.line = line = self._new_line()
        return line

    def _new_line(self) -> Line:
        with self._lock:
            era, spare = self._era, None
            if self._watch.is_closed:
                raise away(sent=False)
            if self._spare:
                spare = self._spare.pop()
        if spare is not None:
            if spare.era == era and not spare.is_stale():
                return spare
            spare.close()
        # On another thread, for connecting may take longer than this caller has.
        connecting = in_background(self._connect)
        try:
            return connecting.result(self._deadline)
        except Exception as error:  # a credential provider may raise anything
            connecting.add_done_callback(self._park)
            self._lose(era)
            raise away(sent=False) from error

    def _connect(self) -> Line:
        line = Line(self._endpoint.connect(self._options), self._deadline, self._era)
        with self._lock:
            self._was_used = True
            self._lines.add(line)
            too_late = self._watch.is_closed
        if too_late:
            line.close()
        return line

    def _park(self, connecting: Future[Line]) -> None:
        """Keep a connection that came too late for its caller for the next one."""
        if connecting.exception() is None:
            line = connecting.result()
            with self._lock:
                line.era = self._era
                self._spare.append(line)

    def _drop(self, line: Line) -> None:
        line.close()
        self._own.line = None
        self._is_suspect = True
        self._lose(line.era)

    def _lose(self, era: int) -> None:
        # A call that began before an outage may end after it: then it is no news.
        if era == self._era:
            self._watch.lose()

    def _probe(self) -> bool:
        """Try a new connection; if it works, a new era begins with it.

        Unless it was only connecting that took too long: then the old ones are still good.
        """
        try:
            line = self._connect()
        except (OSError, RedisError):
            return False
        try:
            reply = line.exchange(pack_command(self._options.probe), time.monotonic())
        except (OSError, hiredis.HiredisError) as error:
            reply = error
        if isinstance(reply, Exception):
            line.close()
            return False
        older: list[Line] = []
        with self._lock:
            if self._is_suspect:
                self._is_suspect = False
                self._era += 1
                older, self._spare = self._spare, []
            line.era = self._era
            self._spare.append(line)
        for parked in older:
            parked.close()
        return True

    def _tell_recovered(self) -> None:
        try:
            for tell in self._listeners:
                tell()
        finally:
            # This thread ends now; the connection that it used is the next one's.
            line: Line | None = getattr(self._own, "line", None)
            if line is not None:
                self._own.line = None
                with self._lock:
                    self._spare.append(line)

"""Locks for the processes of one machine, by `flock` on files of one folder.

The kernel frees a lock when its holder ends, also by `kill -9`: no ttl passes, and nobody
waits. In return a holder that is stopped keeps its lock. The folder has to be on a local
disk; what a network file system makes of `flock` is its own affair.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import UnavailableError, translating
from socialflow_core._kit.forks import renew_in_forks

from ._core import file_name, next_fence
from ._interface import TRIES, TTL
from .memory.akeeper import AsyncKeeper
from .memory.keeper import Keeper

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

    from socialflow_core._kit.clock import Clock

    from ._interface import AsyncHeld, Held, Tries

__all__ = ["AsyncFileLocks", "FileLocks"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MOST_DIGITS = 32
_END = 2**53  # see `Held.fence`


def _unavailable(_: OSError) -> UnavailableError:
    return UnavailableError("the folder of lock files", sent=False)


class _File:
    """One open file; compared by identity, for its number is soon another file's."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def is_at(self, path: str) -> bool:
        """Whether it is the file that others find there."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(path))  # noqa: PTH116 -- a third of the cost
        except FileNotFoundError:
            return False

    def count_on(self, clock: Clock) -> int:
        """The next fence, once it is kept in the file."""
        told = os.pread(self.descriptor, _MOST_DIGITS, 0).partition(b"\n")[0].strip()
        last = int(told) if told.isdigit() else 0
        # What is no number was not written here; the clock makes up for what it was.
        fence = next_fence(last if last < _END else 0, clock())
        # Over the last one, and never without one: whoever dies here leaves this or that.
        text = b"%019d\n" % fence
        if os.pwrite(self.descriptor, text, 0) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(self.descriptor, len(text))
        return fence


class _Folder:
    """Where the files are, and which are open. Thread-safe."""

    def __init__(self, path: str | os.PathLike[str], clock: Clock) -> None:
        self._path = os.fspath(path)
        self._clock = clock
        self._open: set[_File] = set()
        self._lock = _no_forks()
        renew_in_forks(self, _Folder._begin_in_child)

    def _begin_in_child(self) -> None:
        # A forked child shares them, and would keep locked what its parent holds until it dies.
        for file in self._open:
            os.close(file.descriptor)
        self._open = set()

    def path(self, name: str) -> str:
        """Where the file of a lock is."""
        return os.path.join(self._path, file_name(name))  # noqa: PTH118 -- as above

    def take(self, path: str) -> tuple[_File, int] | None:
        """Open and lock the file; answer it and the fence, None if it is taken.

        Raises:
            OSError: If it cannot be opened, locked, read or written.
        """
        try:
            file = self._opened(path)
        except FileNotFoundError:
            os.makedirs(self._path, mode=0o700, exist_ok=True)  # noqa: PTH103 -- as above
            file = self._opened(path)
        fence = 0
        try:
            fcntl.flock(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have removed the file between the two calls: then it locks nothing.
            if file.is_at(path):
                fence = file.count_on(self._clock)
        except BlockingIOError:
            return None
        finally:
            if not fence:
                self.close(file)
        return (file, fence) if fence else None

    def _opened(self, path: str) -> _File:
        with self._lock:
            file = _File(os.open(path, _FLAGS, 0o600))
            self._open.add(file)
        return file

    def close(self, file: _File) -> None:
        """Close it, which unlocks it; nothing happens if it is not open."""
        with self._lock:
            if file in self._open:
                # A child that is being started has it open, too, for a moment: closing alone
                # would leave it locked as long.
                with suppress(OSError):
                    fcntl.flock(file.descriptor, fcntl.LOCK_UN)
                os.close(file.descriptor)
                self._open.discard(file)


@cache
def _no_forks() -> threading.RLock:
    """Held while a file is opened or closed, and by whoever forks.

    Nobody forks while a file is open that its folder does not know of: the child would keep
    it. One for all folders, so that threads that fork at a time wait for each other.
    """
    lock = threading.RLock()  # reentrant, for a grip may be collected, and closed, anywhere
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
    return lock


class _Grip:
    """See `Grip`."""

    def __init__(self, folder: _Folder, name: str) -> None:
        self._folder = folder
        self._path = folder.path(name)
        self._file = _File(-1)
        self.fence = 0

    def __del__(self) -> None:
        # Of a lock that was lost and then forgotten: another process may wait for the file.
        self._folder.close(self._file)

    def take(self) -> bool:
        """See `Grip.take`."""
        with translating(OSError, _unavailable):
            taken = self._folder.take(self._path)
        if taken is None:
            return False
        self._file, self.fence = taken
        return True

    def renew(self) -> bool:
        """See `Grip.renew`: whether the file has not been removed or replaced."""
        with translating(OSError, _unavailable):
            return self._file.is_at(self._path)

    def release(self) -> bool:
        """See `Grip.release`."""
        with translating(OSError, _unavailable):
            try:
                return self._file.is_at(self._path)
            finally:
                self._folder.close(self._file)


class _AsyncGrip:
    """See `AsyncGrip`. On threads: a disk may be slow, and the event loop must not wait."""

    def __init__(self, folder: _Folder, name: str) -> None:
        self._grip = _Grip(folder, name)

    @property
    def fence(self) -> int:
        """See `Grip.fence`."""
        return self._grip.fence

    async def take(self) -> bool:
        """See `Grip.take`."""
        return await asyncio.to_thread(self._grip.take)

    async def renew(self) -> bool:
        """See `Grip.renew`."""
        return await asyncio.to_thread(self._grip.renew)

    async def release(self) -> bool:
        """See `Grip.release`."""
        return await asyncio.to_thread(self._grip.release)


class FileLocks:
    """See `Locks`. A lock is lost only if its file is removed, which nothing here does.

    The file holds the last fence. It stays, for removing it would let two have the lock.

    Args:
        folder: Made if it is missing, for this user alone (0700); so are the files (0600).
        clock: Microseconds since 1970-01-01 UTC, the floor of the fences.
    """

    def __init__(self, folder: str | os.PathLike[str], *, clock: Clock = unix_us) -> None:
        self._folder = _Folder(folder, clock)
        self._keeper = Keeper(lambda name, _: _Grip(self._folder, name), lasting=True)

    def lock(self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES) -> Held:
        """See `Locks.lock`; *ttl* only says how often to look whether the file is there."""
        return self._keeper.lock(name, ttl, tries)

    def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> Held | None:
        """See `Locks.try_lock`."""
        return self._keeper.try_lock(name, ttl)


class AsyncFileLocks:
    """`FileLocks`, awaited."""

    def __init__(self, folder: str | os.PathLike[str], *, clock: Clock = unix_us) -> None:
        self._folder = _Folder(folder, clock)
        self._keeper = AsyncKeeper(lambda name, _: _AsyncGrip(self._folder, name), lasting=True)

    def lock(
        self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES
    ) -> AbstractAsyncContextManager[AsyncHeld]:
        """See `AsyncLocks.lock`."""
        return self._keeper.lock(name, ttl, tries)

    async def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> AsyncHeld | None:
        """See `AsyncLocks.try_lock`."""
        return await self._keeper.try_lock(name, ttl)

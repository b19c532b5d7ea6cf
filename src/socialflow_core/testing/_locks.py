"""Async locks as sync ones, for the suite of locks."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from socialflow_core.locks import TRIES, TTL, AsyncHeld, AsyncLocks, Held, Signal, Tries

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta
    from types import TracebackType

__all__ = ["Blocking"]

ResultT = TypeVar("ResultT")


class _BlockingSignal:
    def __init__(self, owner: Blocking, held: AsyncHeld) -> None:
        self._owner = owner
        self._held = held

    def is_set(self) -> bool:
        return self._held.lost.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        async def wait() -> bool:
            try:
                return await asyncio.wait_for(self._held.lost.wait(), timeout)
            except TimeoutError:
                return False

        return self._owner.run(wait())


class _BlockingHeld:
    def __init__(
        self,
        owner: Blocking,
        held: AsyncHeld,
        context: AbstractAsyncContextManager[AsyncHeld],
    ) -> None:
        self._owner = owner
        self._held = held
        self._context = context

    @property
    def fence(self) -> int:
        return self._held.fence

    @property
    def lost(self) -> Signal:
        return _BlockingSignal(self._owner, self._held)

    @property
    def is_lost(self) -> bool:
        async def look() -> bool:
            return self._held.is_lost

        return self._owner.run(look())

    def release(self) -> bool:
        async def release() -> bool:
            freed = await self._held.release()
            await self._context.__aexit__(None, None, None)
            return freed

        return self._owner.run(release())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async def leave() -> None:
            await self._context.__aexit__(kind, error, traceback)

        try:
            self._owner.run(leave())
        except BaseException as raised:
            if raised is not error:  # the block's own error leaves the block by itself
                raise


class Blocking:
    """Async locks, driven as sync ones on an event loop in a thread of its own; close it."""

    def __init__(self, locks: AsyncLocks) -> None:
        self.locks = locks
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def lock(self, name: str, /, *, ttl: timedelta = TTL, tries: Tries = TRIES) -> Held:
        """See `Locks.lock`."""
        context = self.locks.lock(name, ttl=ttl, tries=tries)

        async def enter() -> AsyncHeld:
            return await context.__aenter__()

        return _BlockingHeld(self, self.run(enter()), context)

    def try_lock(self, name: str, /, *, ttl: timedelta = TTL) -> Held | None:
        """See `Locks.try_lock`."""
        held = self.run(self.locks.try_lock(name, ttl=ttl))
        return _BlockingHeld(self, held, held) if held else None

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do it on the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Close the locks, if they can be, and the event loop."""

        async def end() -> None:
            aclose = getattr(self.locks, "aclose", None)
            if aclose:
                await aclose()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            await self._loop.shutdown_asyncgens()

        self.run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

"""A cache over any store, for event loops: `socialflow_core.cache._flow`, awaited."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, assert_never

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Sleep, arun
from socialflow_core._kit.observe import count
from socialflow_core.cache._core import check_key, checked_tags
from socialflow_core.cache._flow import (
    Compute,
    Read,
    Refresh,
    Release,
    Write,
    alone,
    at_hand,
    fetch,
    recompute,
    settled,
)
from socialflow_core.cache._interface import DEFAULT_POLICY

from .flights import AsyncFlight, Here, computing, waiting
from .front import is_good_for_others
from .table import UNREAD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from socialflow_core.cache._core import Ask
    from socialflow_core.cache._flow import Effect, Outcome
    from socialflow_core.cache._interface import Cached, Codec, Policy, Ttl
    from socialflow_core.cache._stored import AsyncStore, Query, Reply

    from .flights import Landing
    from .front import Front

__all__ = ["AsyncEngine"]

ValueT = TypeVar("ValueT")
_Compute: TypeAlias = "Callable[[], Awaitable[Any]]"


class AsyncEngine:
    """See `AsyncCache`. Usable from several event loops; each computes for itself."""

    def __init__(self, store: AsyncStore, front: Front) -> None:
        self._store = store
        self._front = front
        self._codec = front.codec
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Here] = (
            weakref.WeakKeyDictionary()
        )

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
        held = self._front.sure(key, tags, codec)
        if held is None:
            ask = self._front.ask(key, ttl, tags, codec, policy)
            held = self._front.near(ask)
            if held is None:
                outcome = await self._fetch(ask, compute, tags)
                if outcome.error is not None:
                    raise outcome.error
                return outcome.value  # type: ignore[no-any-return]  # -- as the codec decoded it
        if held.value is not UNREAD:
            return held.value  # type: ignore[no-any-return]  # -- as above
        return (codec or self._codec).decode(held.payload)

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
        held = self._front.sure(key, tags, codec)
        if held is None:
            ask = self._front.ask(key, ttl, tags, codec, policy)
            held = self._front.near(ask)
            if held is None:
                return self._front.handed_out(await self._fetch(ask, compute, tags))
        return self._front.cached(held, codec)

    async def invalidate(self, *keys: str) -> bool:
        """See `Cache.invalidate`."""
        for key in keys:
            check_key(key)
        return await self._drop(keys, ())

    async def invalidate_tags(self, *tags: str) -> bool:
        """See `Cache.invalidate_tags`."""
        return await self._drop((), checked_tags(tags))

    async def stop(self) -> None:
        """End what this event loop computes."""
        tasks = [*self._here().tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Not what those begin anew who waited: only claims that end because of this.
        await asyncio.gather(*self._here().releases, return_exceptions=True)

    async def _drop(self, keys: tuple[str, ...], tags: tuple[str, ...]) -> bool:
        self._front.kill(keys, tags)
        try:
            await self._store.drop(keys, tags)
        except UnavailableError:
            return False
        finally:
            # What was read between the two may have been what is dropped.
            self._front.kill(keys, tags)
        return True

    def _here(self) -> Here:
        loop = asyncio.get_running_loop()
        here = self._loops.get(loop)
        if here is None:
            here = self._loops[loop] = Here()
        return here

    async def _fetch(self, ask: Ask, compute: _Compute, tags: tuple[str, ...]) -> Outcome:
        here, place = self._here(), (ask.key, id(ask.codec))
        limit = None if ask.policy.wait is None else ask.policy.wait.total_seconds()
        while True:
            flight = here.flights.get(place)
            if flight is None:
                return await self._lead(here, ask, compute, tags)
            try:
                with waiting(flight, contextlib.nullcontext()):
                    landing = await flight.wait(limit)
            except TimeoutError:
                perform = _Performer(self, ask, self._front.query(ask), compute)
                return await arun(alone(ask), perform)
            match landing:
                case Exception() | asyncio.CancelledError() as error:
                    raise error
                case None | BaseException():
                    continue  # who computed was interrupted
                case outcome:
                    if is_good_for_others(outcome, flight.ticket):
                        return self._front.shared(outcome, ask)

    async def _lead(
        self, here: Here, ask: Ask, compute: _Compute, tags: tuple[str, ...]
    ) -> Outcome:
        place = ask.key, id(ask.codec)
        flight = here.flights[place] = AsyncFlight(self._front.ticket(ask))
        query, reply, outcome = self._front.query(ask), None, None
        try:
            # Not in a task yet: a hit is had without one.
            reply = await self._store.read(query)
            outcome = settled(reply, ask)
        except UnavailableError:
            pass  # `fetch` knows what to do
        except BaseException:
            here.start(self._release(query))  # it may have been claimed
            here.land(place, flight, None)
            raise
        if outcome is not None:
            here.land(place, flight, outcome)
        else:
            others = at_hand(reply, ask) if reply is not None else None
            if others is not None:
                # Computed ahead of time: that meets one caller, and not all of them.
                here.land(place, flight, others)
                flight = AsyncFlight(flight.ticket)
            outcome = await self._take_off(
                here, flight, reply, _Performer(self, ask, query, compute)
            )
        self._front.learn(ask, tags, outcome, flight.ticket)
        return outcome

    async def _take_off(
        self, here: Here, flight: AsyncFlight, reply: Reply | None, perform: _Performer
    ) -> Outcome:
        """Compute in a task of its own, which whoever is cancelled leaves to the others."""
        ask = perform.ask
        place = ask.key, id(ask.codec)

        async def travel() -> None:
            landing: Landing = None
            try:
                with computing(flight):
                    landing = await arun(fetch(ask, reply), perform)
            except asyncio.CancelledError as error:
                # If it was not this task that was cancelled, it is what computing came to.
                task = asyncio.current_task()
                landing = None if task is not None and task.cancelling() else error
            except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
                landing = error
            here.land(place, flight, landing)

        def ended(_: asyncio.Task[None]) -> None:
            if not flight.has_landed:  # it was cancelled before it began, and did nothing
                here.land(place, flight, None)
                release = here.start(self._release(perform.query))
                here.releases.add(release)
                release.add_done_callback(here.releases.discard)

        here.start(travel()).add_done_callback(ended)
        match await flight.wait(None):
            case BaseException() as error:
                raise error
            case None:
                raise asyncio.CancelledError
            case outcome:
                return outcome

    async def _release(self, query: Query) -> None:
        with contextlib.suppress(UnavailableError):  # it ends by itself
            await self._store.release(query)

    def refresh(self, ask: Ask, reply: Reply, perform: _Performer) -> None:
        """Compute anew in a task of its own; for `_Performer`."""

        async def work() -> None:
            try:
                await arun(recompute(ask, reply), perform)
                count("cache.refreshed")
            except Exception:  # noqa: BLE001 -- nobody waits for it; the next who asks will hear it
                count("cache.refresh_failed")

        self._here().start(work())

    @property
    def parts(self) -> tuple[AsyncStore, Front]:
        """The store and the table in front of it; for `_Performer`."""
        return self._store, self._front


class _Performer:
    """Carries out what a flow wants done, for one question."""

    __slots__ = ("_compute", "_engine", "ask", "query")

    def __init__(self, engine: AsyncEngine, ask: Ask, query: Query, compute: _Compute) -> None:
        self._engine = engine
        self.ask = ask
        self.query = query
        self._compute = compute

    async def __call__(self, effect: Effect) -> object:
        store, front = self._engine.parts
        match effect:
            case Compute():
                began = front.clock()
                value = await self._compute()
                return value, front.clock() - began
            case Read(force=force):
                return await store.read(self.query._replace(early=-1.0) if force else self.query)
            case Write(stamp=stamp, entry=entry):
                return await store.write(self.query, stamp, entry)
            case Release():
                await store.release(self.query)
            case Sleep(duration=duration):
                await asyncio.sleep(duration.total_seconds())
            case Refresh(reply=reply):
                self._engine.refresh(self.ask, reply, self)
            case _:
                assert_never(effect)
        return None

"""A cache over any store, for threads: `socialflow_core.cache._flow`, carried out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from socialflow_core._kit.errors import UnavailableError
from socialflow_core._kit.flow import Sleep, run
from socialflow_core._kit.forks import renew_in_forks
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

from .flights import Flight, Flights, computing, waiting
from .front import is_good_for_others
from .table import UNREAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from socialflow_core.cache._core import Ask
    from socialflow_core.cache._flow import Effect, Outcome
    from socialflow_core.cache._interface import Cached, Codec, Policy, Ttl
    from socialflow_core.cache._stored import Query, Reply, Store

    from .flights import Landing
    from .front import Front

__all__ = ["Engine"]

ValueT = TypeVar("ValueT")
# How many values may be computed anew in the background at once.
_MOST_REFRESHES = 4


class Engine:
    """See `Cache`. Fork-safe."""

    def __init__(self, store: Store, front: Front) -> None:
        self._store = store
        self._front = front
        self._codec = front.codec
        self._begin()
        renew_in_forks(self, Engine._begin)

    def _begin(self) -> None:
        # In a forked child too: the threads that computed do not exist there.
        self._flights = Flights()
        self._refreshes = threading.BoundedSemaphore(_MOST_REFRESHES)

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
        """See `Cache.get_or_compute`."""
        held = self._front.sure(key, tags, codec)
        if held is None:
            ask = self._front.ask(key, ttl, tags, codec, policy)
            held = self._front.near(ask)
            if held is None:
                outcome = self._fetch(ask, compute, tags)
                if outcome.error is not None:
                    raise outcome.error
                return outcome.value  # type: ignore[no-any-return]  # -- as the codec decoded it
        if held.value is not UNREAD:
            return held.value  # type: ignore[no-any-return]  # -- as above
        return (codec or self._codec).decode(held.payload)

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
        """See `Cache.lookup`."""
        held = self._front.sure(key, tags, codec)
        if held is None:
            ask = self._front.ask(key, ttl, tags, codec, policy)
            held = self._front.near(ask)
            if held is None:
                return self._front.handed_out(self._fetch(ask, compute, tags))
        return self._front.cached(held, codec)

    def invalidate(self, *keys: str) -> bool:
        """See `Cache.invalidate`."""
        for key in keys:
            check_key(key)
        return self._drop(keys, ())

    def invalidate_tags(self, *tags: str) -> bool:
        """See `Cache.invalidate_tags`."""
        return self._drop((), checked_tags(tags))

    def _drop(self, keys: tuple[str, ...], tags: tuple[str, ...]) -> bool:
        self._front.kill(keys, tags)
        try:
            self._store.drop(keys, tags)
        except UnavailableError:
            return False
        finally:
            # What was read between the two may have been what is dropped.
            self._front.kill(keys, tags)
        return True

    def _fetch(self, ask: Ask, compute: Callable[[], Any], tags: tuple[str, ...]) -> Outcome:
        place = ask.key, id(ask.codec)
        limit = None if ask.policy.wait is None else ask.policy.wait.total_seconds()
        while True:
            mine = Flight(self._front.ticket(ask))
            flight = self._flights.join(place, mine)
            if flight is mine:
                outcome = self._lead(ask, compute, flight)
                self._front.learn(ask, tags, outcome, flight.ticket)
                return outcome
            with waiting(flight, self._flights.lock):
                in_time = flight.wait(self._flights.lock, limit)
            if not in_time:
                perform = _Performer(self, ask, self._front.query(ask), compute)
                return run(alone(ask), perform)
            match flight.landing:
                case Exception() as error:
                    raise error
                case None | BaseException():
                    continue  # who computed was interrupted
                case outcome:
                    if is_good_for_others(outcome, flight.ticket):
                        return self._front.shared(outcome, ask)

    def _lead(self, ask: Ask, compute: Callable[[], Any], flight: Flight) -> Outcome:
        place = ask.key, id(ask.codec)
        landing: Landing = None
        try:
            landing = outcome = self._travel(ask, compute, flight)
        except BaseException as error:
            landing = error
            raise
        else:
            return outcome
        finally:
            self._flights.land(place, flight, landing)

    def _travel(self, ask: Ask, compute: Callable[[], Any], flight: Flight) -> Outcome:
        query = self._front.query(ask)
        reply = None
        try:
            reply = self._store.read(query)
            outcome = settled(reply, ask)
            if outcome is not None:
                return outcome
            # Computed ahead of time: that meets one caller, and not all of them.
            others = at_hand(reply, ask)
            if others is not None:
                self._flights.land((ask.key, id(ask.codec)), flight, others)
        except UnavailableError:
            pass  # `fetch` knows what to do
        except BaseException:
            self._store.release(query)  # interrupted: it may have been claimed
            raise
        with computing(flight):
            return run(fetch(ask, reply), _Performer(self, ask, query, compute))

    def refresh(self, ask: Ask, reply: Reply, perform: _Performer) -> None:
        """Compute anew on a thread of its own; for `_Performer`."""
        if not self._refreshes.acquire(blocking=False):
            perform(Release())  # somebody else, or the next time
            return
        refreshes = self._refreshes

        def work() -> None:
            try:
                run(recompute(ask, reply), perform)
                count("cache.refreshed")
            except Exception:  # noqa: BLE001 -- nobody waits for it; the next who asks will hear it
                count("cache.refresh_failed")
            finally:
                refreshes.release()

        thread = threading.Thread(target=work, name="socialflow-cache-refresh", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # none is to be had
            refreshes.release()
            perform(Release())

    @property
    def parts(self) -> tuple[Store, Front]:
        """The store and the table in front of it; for `_Performer`."""
        return self._store, self._front


class _Performer:
    """Carries out what a flow wants done, for one question."""

    __slots__ = ("_ask", "_compute", "_engine", "_query")

    def __init__(self, engine: Engine, ask: Ask, query: Query, compute: Callable[[], Any]) -> None:
        self._engine = engine
        self._ask = ask
        self._query = query
        self._compute = compute

    def __call__(self, effect: Effect) -> object:
        store, front = self._engine.parts
        match effect:
            case Compute():
                began = front.clock()
                value = self._compute()
                return value, front.clock() - began
            case Read(force=force):
                return store.read(self._query._replace(early=-1.0) if force else self._query)
            case Write(stamp=stamp, entry=entry):
                return store.write(self._query, stamp, entry)
            case Release():
                store.release(self._query)
            case Sleep(duration=duration):
                time.sleep(duration.total_seconds())
            case Refresh(reply=reply):
                self._engine.refresh(self._ask, reply, self)
            case _:
                assert_never(effect)
        return None

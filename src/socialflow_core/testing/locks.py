"""What locks promise, as tests to run on your own; extra `[testing]`.

```python
from socialflow_core.testing.locks import LocksContract


class TestMine(LocksContract):
    def locks(self):
        return MyLocks()

    def take_away(self, name):
        my_store.delete(name)
```

Async locks are handed to `AsyncLocksContract`, which runs the same suite on them.
"""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra
from socialflow_core.locks import AsyncLocks, Held, Locks, LockTakenError, Tries

from ._locks import Blocking
from .poll import wait_until

with requires_extra("testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AsyncLocksContract", "Blocking", "HeldContract", "LocksContract", "SignalContract"]

# As short as a lock may be, so that what happens to a ttl is seen soon.
SHORT = timedelta(milliseconds=100)
# Short, and yet renewed in time by a machine that is busy.
STEADY = timedelta(milliseconds=400)
# Long enough that nothing is renewed while a test is looking.
LONG = timedelta(hours=1)
QUICK = Tries(3, wait=timedelta(milliseconds=2), spread=timedelta(milliseconds=1))
PATIENT = Tries(10_000, wait=timedelta(milliseconds=2), spread=timedelta(milliseconds=2))


class _Suite:
    """What the suites below share: how the locks are built, and how a store forgets."""

    def locks(self) -> Locks:
        """Build locks on an empty store; called for each test."""
        raise LookupError("say how locks are built")

    def take_away(self, name: str) -> None:
        """Make the store of the newest locks forget that *name* is held."""
        raise LookupError(name, "say how a store forgets")

    @pytest.fixture
    def mine(self) -> Iterator[Locks]:
        """Fresh locks, closed at the end if they can be."""
        locks = self.locks()
        try:
            yield locks
        finally:
            getattr(locks, "close", lambda: None)()

    @staticmethod
    def take(locks: Locks, name: str = "a", ttl: timedelta = LONG) -> Held:
        """Take a lock that has to be free."""
        held = locks.try_lock(name, ttl=ttl)
        assert held is not None
        return held


class SignalContract(_Suite):
    """What `lost` promises."""

    def test_nothing_is_lost_while_the_lock_is_held(self, mine: Locks) -> None:
        """Neither at once, nor after several ttls: the lock is renewed meanwhile."""
        with self.take(mine, ttl=STEADY) as held:
            assert not held.lost.is_set()
            assert not held.lost.wait(2.5 * STEADY.total_seconds())
            assert not held.is_lost
            assert mine.try_lock("a") is None

    def test_what_the_store_forgot_is_lost(self, mine: Locks) -> None:
        """The holder hears of it with the next renewal, and it stays so."""
        held = self.take(mine, ttl=SHORT)
        self.take_away("a")
        assert held.lost.wait(10)
        assert held.lost.is_set()
        assert held.is_lost
        assert not held.release()
        assert held.is_lost

    def test_a_release_loses_nothing(self, mine: Locks) -> None:
        """What was given back was not lost, then or later."""
        held = self.take(mine, ttl=STEADY)
        assert held.release()
        assert not held.lost.wait(1.5 * STEADY.total_seconds())
        assert not held.is_lost


class HeldContract(SignalContract):
    """What a lock that is held promises."""

    def test_fences_rise(self, mine: Locks) -> None:
        """Whoever holds a lock has a higher number than all before; Lua and JSON can say it."""
        fences = []
        for _ in range(5):
            with self.take(mine) as held:
                fences.append(held.fence)
        assert fences == sorted(set(fences))
        assert 0 < fences[0] < fences[-1] < 2**53

    def test_fences_rise_also_after_the_store_forgot(self, mine: Locks) -> None:
        """Who lost a lock has a lower number than whoever holds it now."""
        first = self.take(mine)
        self.take_away("a")
        with self.take(mine) as second:
            assert first.fence < second.fence
            assert not first.release()

    def test_a_release_is_for_ones_own(self, mine: Locks) -> None:
        """Releasing late, or twice, never frees what another holds by now."""
        first = self.take(mine)
        self.take_away("a")
        with self.take(mine):
            assert not first.release()
            assert not first.release()
            assert mine.try_lock("a") is None

    def test_a_release_frees_it_once(self, mine: Locks) -> None:
        """The first answers True, every other False."""
        held = self.take(mine)
        assert [held.release() for _ in range(3)] == [True, False, False]
        assert self.take(mine).release()

    def test_the_end_of_a_block_releases(self, mine: Locks) -> None:
        """Also if the block raises, and what it raises goes on."""
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), mine.lock("a", ttl=LONG):
                raise ZeroDivisionError
        with self.take(mine):
            assert mine.try_lock("a") is None
        assert self.take(mine).release()

    def test_what_is_forgotten_warns_and_is_released(self, mine: Locks) -> None:
        """Nobody can release it any more, so the lock is not kept for ever."""
        gc.collect()  # what else waits to be collected is not this test's
        held = [self.take(mine, ttl=SHORT)]
        with pytest.warns(ResourceWarning, match="unreleased"):
            held.clear()
        with mine.lock("a", ttl=LONG, tries=PATIENT) as other:
            assert other.fence


class LocksContract(HeldContract):
    """Subclass it, say how locks are built and how their store forgets, and run it."""

    def test_one_holds_it_at_a_time(self, mine: Locks) -> None:
        """Nobody gets a lock twice, its holder neither."""
        with self.take(mine):
            assert mine.try_lock("a") is None
            with pytest.raises(LockTakenError) as caught:
                mine.lock("a", tries=QUICK)
            assert (caught.value.name, caught.value.tries) == ("a", 3)

    def test_names_do_not_share_a_lock(self, mine: Locks) -> None:
        """Neither do names that look alike, or that a store or a disk might not like."""
        names = ["a", "A", "a/b", "a/../a", "a:b", "{a}", "}", "a b", ".", "..", "\0", "n" * 200]
        names += ["*", "\N{SNOWMAN}" * 200, "a\r\nb", "é", "e\N{COMBINING ACUTE ACCENT}", "-x"]
        held = [self.take(mine, name) for name in names]
        assert [mine.try_lock(name) for name in names] == [None] * len(names)
        assert all(each.release() for each in held)

    def test_it_waits_for_its_turn(self, mine: Locks) -> None:
        """Whoever tries again gets the lock once it is free."""
        held = self.take(mine)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: mine.lock("a", ttl=LONG, tries=PATIENT))
            assert mine.try_lock("a") is None
            assert held.release()
            with waiting.result(10) as next_one:
                assert next_one.fence > held.fence

    @pytest.mark.parametrize("name", ["", "n" * 201, "\ud800", None, b"a", 1])
    def test_a_name_that_makes_no_sense_is_refused(self, mine: Locks, name: Any) -> None:
        """A name is a text of 1 to 200 characters."""
        for ask in (mine.lock, mine.try_lock):
            with pytest.raises(ValueError, match="name must"):
                ask(name)

    @pytest.mark.parametrize(
        "ttl", [timedelta(0), timedelta(milliseconds=99), timedelta(days=1, seconds=1), 30, None]
    )
    def test_a_ttl_that_makes_no_sense_is_refused(self, mine: Locks, ttl: Any) -> None:
        """A ttl is a timedelta from 100 milliseconds to a day."""
        for ask in (mine.lock, mine.try_lock):
            with pytest.raises(ValueError, match="ttl must"):
                ask("a", ttl=ttl)

    def test_threads_take_turns(self, mine: Locks) -> None:
        """Of many who read, think and write under the lock, none overwrites another."""
        seen: list[int] = []

        def count_on() -> None:
            for _ in range(5):
                with mine.lock("a", ttl=LONG, tries=PATIENT):
                    before = len(seen)
                    wait_until(lambda: True, "others had a chance")
                    seen.append(before)

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(count_on) for _ in range(8)]:
                done.result(30)
        assert seen == list(range(40))


class AsyncLocksContract(LocksContract):
    """The same for async locks; say how they are built in `async_locks`."""

    def async_locks(self) -> AsyncLocks:
        """Build async locks on an empty store; called for each test."""
        raise LookupError("say how async locks are built")

    def locks(self) -> Locks:
        """They, driven from threads."""
        return Blocking(self.async_locks())

    def test_a_cancelled_try_keeps_nothing(self, mine: Blocking) -> None:
        """Whenever it is cancelled, the lock is free soon after."""

        async def cancel(turns: int) -> None:
            task = asyncio.ensure_future(mine.locks.try_lock("a", ttl=LONG))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                held = await task
            except asyncio.CancelledError:
                return
            assert held is not None
            await held.release()

        for turns in range(12):
            mine.run(cancel(turns))
            with mine.lock("a", ttl=LONG, tries=PATIENT):
                assert mine.try_lock("a") is None

    def test_a_cancelled_release_releases(self, mine: Blocking) -> None:
        """Who is cancelled while leaving the block has left the lock, too."""

        async def cancel() -> None:
            held = await mine.locks.try_lock("a", ttl=LONG)
            assert held is not None
            task = asyncio.ensure_future(held.release())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        mine.run(cancel())
        assert mine.lock("a", ttl=LONG, tries=PATIENT).release()

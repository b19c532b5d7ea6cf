"""What befalls a process that holds locks, and that they are kept, lost or given back even so."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from socialflow_core._kit.observe import subscribe
from socialflow_core.locks import Tries, UnavailableError
from socialflow_core.locks._core import file_name
from socialflow_core.locks.files import FileLocks
from socialflow_core.locks.memory import AsyncMemoryLocks, MemoryLocks
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.poll import wait_until
from tests._kit.forked import in_child
from tests.auth.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from socialflow_core._kit.observe import Fact
    from socialflow_core.locks import Held

LONG = timedelta(hours=1)
SHORT = timedelta(milliseconds=300)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No thread of locks can be started until that is undone."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("locks"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return monkeypatch


def test_without_a_thread_nothing_is_held(no_threads: pytest.MonkeyPatch) -> None:
    """Nobody could renew it: it is given back, and the next who asks has it."""
    locks = MemoryLocks()
    with pytest.raises(UnavailableError, match="thread"):
        locks.lock("a", ttl=LONG)
    no_threads.undo()
    with locks.lock("a", ttl=LONG) as held:
        assert not held.is_lost


def test_a_renewal_without_a_thread_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch goes on: a loss is told in time, and later locks are renewed."""
    start, locks = threading.Thread.start, MemoryLocks()
    refused: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "locks-renewal":
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    with locks.lock("a", ttl=SHORT) as held:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        wait_until(lambda: len(refused) > 1, "it is tried again")
        monkeypatch.undo()
        locks.take_away("a")
        wait_until(held.lost.is_set, "the next renewal finds out")


class Meddler(Ear):
    """Releases and asks, as soon as it is told of a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Held | None = None

    def on_fact(self, fact: Fact, /) -> None:
        """Meddle."""
        assert self.held is not None
        assert self.held.is_lost
        self.held.release()
        super().on_fact(fact)


def test_whoever_is_told_of_a_loss_may_meddle() -> None:
    """Nothing is locked while it is told."""
    locks, meddler = MemoryLocks(), Meddler()
    leave = subscribe(meddler)
    try:
        meddler.held = locks.lock("a", ttl=SHORT)
        locks.take_away("a")
        wait_until(lambda: bool(meddler.facts), "it is told")
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(locks.try_lock, "b", ttl=LONG).result(10)
        assert other is not None
        other.release()
    finally:
        leave()


class Interrupted(Ear):
    """Ctrl-C comes at the moment at which a lock is counted as held."""

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """Interrupt, once."""
        del by, attributes
        if name == "locks.acquired" and not self.facts:
            self.facts.append(None)  # type: ignore[arg-type]  # -- a mark that it was here
            raise KeyboardInterrupt


def test_an_interrupt_leaves_nothing_held() -> None:
    """Nobody has a handle of it, so nobody could release it."""
    locks = MemoryLocks()
    leave = subscribe(Interrupted())
    try:
        with pytest.raises(KeyboardInterrupt):
            locks.lock("a", ttl=LONG)
    finally:
        leave()
    assert not locks._keeper._leases  # a renewal would tell of a loss that is none
    with locks.lock("a", ttl=LONG):
        pass


def test_a_cancelled_try_is_given_back_before_it_is_told() -> None:
    """So that whatever comes next, the end of the loop too, leaves nothing held."""

    async def main() -> bool:
        locks = AsyncMemoryLocks()
        grip = locks._keeper._grip("a", 1)

        async def take() -> bool:
            taken: bool = await type(grip).take(grip)
            await asyncio.sleep(0.01)  # the answer takes a while
            return taken

        locks._keeper._grip = lambda *_: _with(grip, take)
        trying = asyncio.create_task(locks.try_lock("a", ttl=LONG))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        trying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trying
        return locks.take_away("a")

    assert not asyncio.run(main())


def _with(grip: Any, take: Any) -> Any:
    grip.take = take
    return grip


def test_released_locks_leave_no_timer() -> None:
    """However long their ttl is."""

    async def main() -> int:
        locks = AsyncMemoryLocks()
        for number in range(200):
            async with locks.lock(f"{number}", ttl=LONG):
                pass
        loop = asyncio.get_running_loop()
        return sum(not timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]  # -- of asyncio's own loops

    assert asyncio.run(main()) == 0


def test_the_fence_survives_a_write_that_fails(tmp_path: Path) -> None:
    """It is written over, never away, so it rises also if the clock was set back meanwhile."""
    with FileLocks(tmp_path, clock=ManualClock(2_000_000)).lock("a", ttl=LONG) as held:
        first = held.fence

    def child() -> bool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # from now on no write succeeds
        with pytest.raises(UnavailableError):
            FileLocks(tmp_path).lock("a", ttl=LONG, tries=Tries(1))
        return True

    assert in_child(child)
    with FileLocks(tmp_path, clock=ManualClock(1_000_000)).lock("a", ttl=LONG) as held:
        assert held.fence == first + 1


def test_a_free_file_is_free_while_children_are_started(tmp_path: Path) -> None:
    """A child has all open files for a moment; that keeps nothing locked."""
    locks, end = FileLocks(tmp_path), threading.Event()

    def start_children() -> None:
        while not end.is_set():
            subprocess.run([sys.executable, "-S", "-c", ""], check=True)

    starting = threading.Thread(target=start_children)
    starting.start()
    try:
        for _ in range(3000):
            held = locks.try_lock("a", ttl=LONG)
            assert held is not None
            held.release()
    finally:
        end.set()
        starting.join()


@pytest.fixture
def children() -> Iterator[list[int]]:
    """Processes that are ended at the end."""
    running: list[int] = []
    yield running
    for child in running:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_children_that_live_on_keep_no_file(tmp_path: Path, children: list[int]) -> None:
    """Whenever they were forked: also while a file was being opened or closed."""
    locks, end = FileLocks(tmp_path), threading.Event()

    def work() -> None:
        while not end.is_set():
            held = locks.try_lock("a", ttl=LONG)
            if held is not None:
                held.release()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that threads do not survive a fork is the point
            for _ in range(100):
                child = os.fork()
                if not child:
                    signal.pause()
                children.append(child)
    finally:
        end.set()
        for thread in threads:
            thread.join()
    held = locks.try_lock("a", ttl=LONG)
    assert held is not None
    held.release()
    inode = (tmp_path / file_name("a")).stat().st_ino
    for child in children:
        wait_until(lambda: inode not in _open_in(child), "it has closed the file")  # noqa: B023 -- used at once


def test_threads_may_fork_at_a_time(tmp_path: Path) -> None:
    """However busy the locks are, and afterwards they can be taken as before."""
    locks, end, done = FileLocks(tmp_path), threading.Event(), list[bool]()

    def fork() -> None:
        done.append(all(in_child(lambda: True) for _ in range(50)))

    def work() -> None:
        while not end.is_set():
            locks.lock("a", ttl=LONG).release()
        done.append(True)

    threads = [threading.Thread(target=each, daemon=True) for each in (fork, fork, work)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        for thread in threads:
            thread.start()
        for thread in threads[:2]:
            thread.join(60)
    end.set()
    threads[2].join(60)
    assert done == [True] * 3


def _open_in(process: int) -> set[int]:
    found = set()
    for number in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208 -- names are all that is wanted
        try:
            found.add(os.stat(f"/proc/{process}/fd/{number}").st_ino)  # noqa: PTH116 -- as above
        except OSError:
            continue
    return found

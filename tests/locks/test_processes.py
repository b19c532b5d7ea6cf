"""Locks between processes: who counts, dies, stops or forks."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from socialflow_core.locks import Locks, Tries
from socialflow_core.locks.files import AsyncFileLocks, FileLocks
from socialflow_core.locks.memory import MemoryLocks
from socialflow_core.locks.redis import RedisLocks
from tests._kit.forked import in_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.testing.servers.valkey import Valkey

WORKER = Path(__file__).with_name("worker.py")
PATIENT = Tries(5_000, wait=timedelta(milliseconds=4), spread=timedelta(milliseconds=4))
TTL = timedelta(milliseconds=600)
LONG = timedelta(hours=1)


class Place(NamedTuple):
    """Where processes meet, and locks of our own there."""

    kind: str
    where: str
    locks: Locks


@pytest.fixture(params=["files", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path, shared_valkey: Valkey) -> Iterator[Place]:
    """On this machine, and everywhere."""
    if request.param == "files":
        folder = str(tmp_path / "locks")
        yield Place("files", folder, FileLocks(folder))
    else:
        shared_valkey.command("FLUSHALL")
        locks = RedisLocks.from_url(shared_valkey.url)
        yield Place("redis", shared_valkey.url, locks)
        locks.close()


@contextmanager
def worker(verb: str, place: Place, *rest: object) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, which is gone at the end."""
    command = [sys.executable, str(WORKER), verb, place.kind, place.where, *map(str, rest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """What it tells next."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_no_update_is_lost(place: Place, tmp_path: Path) -> None:
    """Four processes of three threads count a number in a file: none reads what another is at.

    Each also sees a higher fence than the one before.
    """
    file = tmp_path / "number"
    file.write_text("0 0")
    command = [sys.executable, str(WORKER), "count", place.kind, place.where, str(file), "3", "15"]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert file.read_text().split()[0] == str(4 * 3 * 15)


def test_who_is_killed_holds_nothing_for_long(place: Place) -> None:
    """After kill -9 the lock is free: in Redis when its ttl has passed, in a file at once."""
    with worker("hold", place, TTL.total_seconds()) as process:
        fence = int(line(process))
        assert place.locks.try_lock("held") is None
        process.kill()
        process.wait()
        began = time.monotonic()
        with place.locks.lock("held", tries=PATIENT) as held:
            waited = time.monotonic() - began
            assert held.fence > fence
    assert waited < (TTL.total_seconds() if place.kind == "redis" else 0.0) + 1.0


def test_who_was_stopped_learns_that_it_lost(shared_valkey: Valkey) -> None:
    """Meanwhile another holds it, with a higher fence; once it goes on, the first one knows.

    What it does then to the lock does not concern the other.
    """
    shared_valkey.command("FLUSHALL")
    locks = RedisLocks.from_url(shared_valkey.url)
    place = Place("redis", shared_valkey.url, locks)
    with worker("hold", place, TTL.total_seconds()) as process:
        fence = int(line(process))
        process.send_signal(signal.SIGSTOP)
        with locks.lock("held", tries=PATIENT) as held:
            assert held.fence > fence
            process.send_signal(signal.SIGCONT)
            assert line(process) == "lost True"
            assert process.wait(10) == 0
            assert locks.try_lock("held") is None
            assert not held.is_lost
    locks.close()


def test_who_is_stopped_keeps_a_file(tmp_path: Path) -> None:
    """The kernel keeps the lock of a process that is there, however still it is."""
    place = Place("files", str(tmp_path), FileLocks(tmp_path))
    with worker("hold", place, 0.1) as process:
        line(process)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            wait_for(place.locks, 0.3)
        process.send_signal(signal.SIGCONT)


def wait_for(locks: Locks, seconds: float) -> None:
    """Try for so long."""
    until = time.monotonic() + seconds
    while (held := locks.try_lock("held")) is None:
        if time.monotonic() > until:
            raise TimeoutError
    held.release()


def test_a_forked_child_does_not_hold_what_its_parent_holds(place: Place) -> None:
    """There it is lost; releasing it, or leaving the block, frees nothing; it can wait for it."""
    with place.locks.lock("a", ttl=LONG) as held:

        def child() -> bool:
            with held:
                told = held.is_lost, held.lost.is_set(), held.release()
            return told == (True, True, False) and place.locks.try_lock("a") is None

        assert in_child(child)
        assert not held.is_lost
        assert place.locks.try_lock("a") is None
    assert in_child(lambda: place.locks.lock("a").release())


def test_a_forked_child_renews_its_own(place: Place) -> None:
    """The threads of its parent are not there; it has its own."""
    with place.locks.lock("a", ttl=TTL):

        def child() -> bool:
            with place.locks.lock("b", ttl=TTL) as held:
                return not held.lost.wait(1.5 * TTL.total_seconds())

        assert in_child(child)


def test_a_child_that_lives_on_holds_no_file(tmp_path: Path) -> None:
    """A fork shares the open file; it is closed there, or the lock would outlive its holder."""
    locks = FileLocks(tmp_path)
    held = locks.lock("a")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)  # until its parent is done
        os._exit(0)
    os.close(read)
    held.release()
    with locks.lock("a", tries=PATIENT):
        os.close(write)
        os.waitpid(child, 0)


def test_a_child_closes_no_file_of_its_own(tmp_path: Path) -> None:
    """When it forgets what its parent held, the number of that file may be another's."""
    locks = FileLocks(tmp_path)
    held = [locks.lock("a", ttl=LONG)]

    def child() -> bool:
        with locks.lock("b", ttl=LONG) as own:
            held.clear()
            gc.collect()
            return locks.try_lock("b") is None and own.release()

    assert in_child(child)
    assert held.pop().release()


def test_memory_is_not_shared_with_a_child() -> None:
    """A child begins with a table of its own, in which nobody holds anything."""
    locks = MemoryLocks()
    with locks.lock("a", ttl=LONG) as held:
        assert in_child(lambda: held.is_lost and locks.lock("a").release())
        assert not held.is_lost


def test_an_async_lock_is_lost_in_a_child(tmp_path: Path) -> None:
    """As a sync one is."""
    locks = AsyncFileLocks(tmp_path)

    async def main() -> None:
        async with locks.lock("a", ttl=LONG) as held:
            assert in_child(lambda: held.is_lost and held.lost.is_set())
            assert not held.is_lost
            assert await locks.try_lock("a") is None

    asyncio.run(main())

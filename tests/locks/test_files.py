"""What is special about locks in files."""

from __future__ import annotations

import asyncio
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from socialflow_core.locks import Tries, UnavailableError
from socialflow_core.locks._core import file_name
from socialflow_core.locks.files import AsyncFileLocks, FileLocks
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.poll import wait_until

LONG = timedelta(hours=1)
ONCE = Tries(1)
OPEN = Path("/proc/self/fd")


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    """The folder is 0700 and a file 0600, whatever the umask allows."""
    before = os.umask(0)
    try:
        FileLocks(tmp_path / "deep" / "locks").lock("a", ttl=LONG).release()
    finally:
        os.umask(before)
    (file,) = (tmp_path / "deep" / "locks").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.parent.parent.stat().st_mode) & 0o700 == 0o700


def test_the_fence_is_kept_in_the_file(tmp_path: Path) -> None:
    """It goes on from there, also if the clock went back; without it, from the clock."""
    clock = ManualClock(1000)
    locks = FileLocks(tmp_path, clock=clock)
    file = tmp_path / file_name("a")
    assert [locks.lock("a").release() for _ in range(3)] == [True] * 3
    assert int(file.read_text()) == 1002
    clock.advance(timedelta(microseconds=-500))
    with FileLocks(tmp_path, clock=clock).lock("a") as held:
        assert held.fence == 1003
    file.write_bytes(b"")
    clock.now_us = 5000
    with locks.lock("a") as held:
        assert held.fence == 5000


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"-5", b"\xff\x00", b"12 34", b"x" * 10_000, b"9007199254740992\n", b"9" * 30],
)
def test_what_is_no_number_does_no_harm(tmp_path: Path, content: bytes) -> None:
    """The clock is the floor, and the file is in order again."""
    file = tmp_path / file_name("a")
    file.write_bytes(content)
    with FileLocks(tmp_path, clock=ManualClock(7000)).lock("a") as held:
        assert held.fence == 7000
    assert int(file.read_text()) == 7000


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Who may write to the folder cannot make us write elsewhere."""
    other = tmp_path / "other"
    other.write_text("precious")
    (tmp_path / file_name("a")).symlink_to(other)
    with pytest.raises(UnavailableError) as caught:
        FileLocks(tmp_path).lock("a", tries=ONCE)
    assert isinstance(caught.value.__cause__, OSError)
    assert other.read_text() == "precious"


def test_a_folder_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    """A file in its place, for instance; nothing was done, and no file stays open."""
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError) as caught:
        FileLocks(tmp_path / "file").lock("a", tries=ONCE)
    assert caught.value.sent is False


def test_no_file_stays_open(tmp_path: Path) -> None:
    """Neither of locks that were released, nor of those that were taken, lost or forbidden."""
    locks, others = FileLocks(tmp_path), FileLocks(tmp_path)
    before = len([*OPEN.iterdir()])
    for number in range(5):
        with locks.lock("a", ttl=LONG) as held:
            assert others.try_lock("a") is None
            if number % 2:
                (tmp_path / file_name("a")).unlink()
        assert not held.release()
    assert len([*OPEN.iterdir()]) == before


def test_a_lost_lock_can_be_forgotten(tmp_path: Path) -> None:
    """Without a warning; its file is closed with it."""
    locks, before = FileLocks(tmp_path), len([*OPEN.iterdir()])
    held = [locks.lock("a", ttl=timedelta(seconds=0.1))]
    (tmp_path / file_name("a")).unlink()
    assert held[0].lost.wait(10)
    held.clear()
    wait_until(lambda: len([*OPEN.iterdir()]) == before, "it is closed")


def test_a_file_that_was_replaced_locks_nothing(tmp_path: Path) -> None:
    """Whoever locks the new one has the lock, and giving back the old one does no harm."""
    locks, file = FileLocks(tmp_path), tmp_path / file_name("a")
    old = locks.lock("a", ttl=LONG)
    file.rename(tmp_path / "away")
    with locks.lock("a", ttl=LONG) as held:
        assert held.fence > old.fence
        assert not old.release()
        assert locks.try_lock("a") is None


def test_both_worlds_meet_in_the_folder(tmp_path: Path) -> None:
    """What an event loop holds, a thread does not get."""

    async def main() -> None:
        async with AsyncFileLocks(tmp_path).lock("a", ttl=LONG):
            assert FileLocks(tmp_path).try_lock("a") is None

    asyncio.run(main())
    assert FileLocks(tmp_path).lock("a").release()

"""A process that locks; run by the tests beside it.

`worker.py count KIND WHERE FILE THREADS TIMES` counts a number in a file on, under the lock.
`worker.py hold KIND WHERE TTL` takes the lock, tells its fence, and tells when it is lost.
"""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path

from socialflow_core.locks import Locks, Tries
from socialflow_core.locks.files import FileLocks
from socialflow_core.locks.redis import RedisLocks

PATIENT = Tries(10_000, wait=timedelta(milliseconds=3), spread=timedelta(milliseconds=3))


def locks(kind: str, where: str) -> Locks:
    """The locks that the test uses, too."""
    return FileLocks(where) if kind == "files" else RedisLocks.from_url(where)


def count(mine: Locks, file: Path, threads: int, times: int) -> None:
    """Read the number and the fence before, and write the next ones; in each thread *times*."""

    def count_on() -> None:
        for _ in range(times):
            with mine.lock("counter", tries=PATIENT) as held:
                number, fence = map(int, file.read_text().split())
                if held.fence <= fence or held.is_lost:
                    raise AssertionError(held, fence)
                file.write_text(f"{number + 1} {held.fence}")

    running = [threading.Thread(target=count_on) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def hold(mine: Locks, ttl: timedelta) -> None:
    """Tell of the lock in lines, until it is lost."""
    with mine.lock("held", ttl=ttl) as held:
        tell(f"{held.fence}")
        held.lost.wait()
        tell(f"lost {held.is_lost}")


def tell(text: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Do as the command line says."""
    verb, kind, where, *rest = sys.argv[1:]
    if verb == "count":
        file, threads, times = rest
        count(locks(kind, where), Path(file), int(threads), int(times))
    else:
        hold(locks(kind, where), timedelta(seconds=float(rest[0])))


if __name__ == "__main__":
    main()

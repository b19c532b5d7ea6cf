"""The suite of locks, on every adapter, sync and async."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from socialflow_core.locks._core import file_name
from socialflow_core.locks.files import AsyncFileLocks, FileLocks
from socialflow_core.locks.memory import AsyncMemoryLocks, MemoryLocks
from socialflow_core.locks.redis import AsyncRedisLocks, RedisLocks
from socialflow_core.testing.locks import AsyncLocksContract, LocksContract

if TYPE_CHECKING:
    from pathlib import Path

    from socialflow_core.locks import AsyncLocks, Locks
    from socialflow_core.testing.servers.valkey import Valkey

# Each test locks under a prefix of its own.
prefixes = (f"test{number}" for number in itertools.count())


class TestMemory(LocksContract):
    """Within a process."""

    def locks(self) -> Locks:
        """On a table of its own."""
        self.memory = MemoryLocks()
        return self.memory

    def take_away(self, name: str) -> None:
        """Forget who holds it."""
        self.memory.take_away(name)


class TestAsyncMemory(AsyncLocksContract):
    """Within a process, awaited."""

    def async_locks(self) -> AsyncLocks:
        """On a table of its own."""
        self.memory = AsyncMemoryLocks()
        return self.memory

    def take_away(self, name: str) -> None:
        """Forget who holds it."""
        self.memory.take_away(name)


class _Files:
    folder: Path

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path) -> None:
        """Where the files of a test are."""
        self.folder = tmp_path / "locks"

    def take_away(self, name: str) -> None:
        """Remove the file."""
        (self.folder / file_name(name)).unlink()


class TestFiles(_Files, LocksContract):
    """On a machine."""

    def locks(self) -> Locks:
        """In a folder of its own."""
        return FileLocks(self.folder)


class TestAsyncFiles(_Files, AsyncLocksContract):
    """On a machine, awaited."""

    def async_locks(self) -> AsyncLocks:
        """In a folder of its own."""
        return AsyncFileLocks(self.folder)


class _Redis:
    server: Valkey
    prefix: str

    @pytest.fixture(autouse=True)
    def there(self, shared_valkey: Valkey) -> None:
        """Where the locks of a test are."""
        self.server, self.prefix = shared_valkey, next(prefixes)

    def take_away(self, name: str) -> None:
        """Delete its keys, as a flush does."""
        for kind in ("lock", "fence"):
            self.server.command("DEL", f"{{{self.prefix}:{name}}}{kind}")


class TestRedis(_Redis, LocksContract):
    """Everywhere."""

    def locks(self) -> Locks:
        """Under a prefix of its own."""
        return RedisLocks.from_url(self.server.url, prefix=self.prefix)


class TestAsyncRedis(_Redis, AsyncLocksContract):
    """Everywhere, awaited."""

    def async_locks(self) -> AsyncLocks:
        """Under a prefix of its own."""
        return AsyncRedisLocks.from_url(self.server.url, prefix=self.prefix)

"""Locks within this process: for one worker, and for tests."""

from .locks import AsyncMemoryLocks, MemoryLocks

__all__ = ["AsyncMemoryLocks", "MemoryLocks"]

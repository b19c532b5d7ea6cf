"""The suite of session stores, on every adapter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.auth.memory import AsyncMemorySessions, MemorySessions
from socialflow_core.auth.redis import AsyncRedisSessions, RedisSessions
from socialflow_core.testing.sessions import BlockingSessions, SessionStoreContract

if TYPE_CHECKING:
    from socialflow_core.auth._store import SessionStore
    from socialflow_core.testing.servers.valkey import Valkey

PATIENT = timedelta(seconds=10)


class TestMemory(SessionStoreContract):
    """In one process."""

    def store(self) -> SessionStore:
        """A fresh one."""
        return MemorySessions()


class TestAsyncMemory(SessionStoreContract):
    """The same, awaited."""

    def store(self) -> SessionStore:
        """A fresh one."""
        return BlockingSessions(AsyncMemorySessions())


class TestRedis(SessionStoreContract):
    """Shared by every process."""

    @pytest.fixture(autouse=True)
    def place(self, valkey: Valkey) -> None:
        """Where the test keeps its sessions."""
        self.url = valkey.url

    def store(self) -> SessionStore:
        """A fresh one."""
        return RedisSessions.from_url(self.url, deadline=PATIENT)


class TestAsyncRedis(TestRedis):
    """The same, awaited."""

    def store(self) -> SessionStore:
        """A fresh one."""
        return BlockingSessions(AsyncRedisSessions.from_url(self.url, deadline=PATIENT))

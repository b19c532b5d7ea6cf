"""The suite of revocations, on every adapter."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from socialflow_core.auth.memory import AsyncMemoryRevocations, MemoryRevocations
from socialflow_core.auth.redis import (
    AsyncRedisRevocations,
    AsyncReplicaRevocations,
    RedisRevocations,
    ReplicaRevocations,
)
from socialflow_core.testing.revocations import BlockingRevocations, RevocationsContract

if TYPE_CHECKING:
    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import Revocations
    from socialflow_core.testing.servers.valkey import Valkey

# What is revoked is the matter of this suite, not how long that takes.
PATIENT = timedelta(seconds=10)
# Each test has a prefix of its own.
prefixes = (f"{{test{number}}}" for number in itertools.count())


class TestMemory(RevocationsContract):
    """In one process."""

    def revocations(self, clock: Clock) -> Revocations:
        """A fresh one."""
        return MemoryRevocations(clock=clock)


class TestAsyncMemory(RevocationsContract):
    """The same, awaited."""

    def revocations(self, clock: Clock) -> Revocations:
        """A fresh one."""
        return BlockingRevocations(AsyncMemoryRevocations(MemoryRevocations(clock=clock)))


class TestRedis(RevocationsContract):
    """Asked for at each check; the clock is the server's."""

    @pytest.fixture(autouse=True)
    def place(self, valkey: Valkey) -> None:
        """Where the test keeps its revocations."""
        self.url, self.prefix = valkey.url, next(prefixes)

    def revocations(self, clock: Clock) -> Revocations:
        """A fresh one."""
        del clock
        return RedisRevocations.from_url(self.url, prefix=self.prefix, deadline=PATIENT)

    def another(self, first: Revocations, clock: Clock) -> Revocations:
        """Another process's."""
        del first
        return self.revocations(clock)


class TestAsyncRedis(TestRedis):
    """The same, awaited."""

    def revocations(self, clock: Clock) -> Revocations:
        """A fresh one."""
        del clock
        return BlockingRevocations(
            AsyncRedisRevocations.from_url(self.url, prefix=self.prefix, deadline=PATIENT)
        )


class TestReplica(TestRedis):
    """Held by every process."""

    def revocations(self, clock: Clock) -> Revocations:
        """A fresh one that listens."""
        del clock
        made = ReplicaRevocations.from_url(
            self.url, prefix=self.prefix, deadline=PATIENT, max_staleness=PATIENT
        )
        assert made.wait_until_fresh()
        return made


class TestAsyncReplica(TestRedis):
    """The same, awaited."""

    def revocations(self, clock: Clock) -> Revocations:
        """A fresh one; its checks ask until it has heard of the server."""
        del clock
        made = AsyncReplicaRevocations.from_url(
            self.url, prefix=self.prefix, deadline=PATIENT, max_staleness=PATIENT
        )
        blocking = BlockingRevocations(made)
        assert blocking._runner.run(made.wait_until_fresh())
        return blocking

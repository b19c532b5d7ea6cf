"""Revocations and sessions shared by every process, in Redis or Valkey. Extra `[redis]`."""

from .asking import AsyncRedisRevocations, RedisRevocations
from .replica import AsyncReplicaRevocations, ReplicaRevocations
from .sessions import AsyncRedisSessions, RedisSessions

__all__ = [
    "AsyncRedisRevocations",
    "AsyncRedisSessions",
    "AsyncReplicaRevocations",
    "RedisRevocations",
    "RedisSessions",
    "ReplicaRevocations",
]

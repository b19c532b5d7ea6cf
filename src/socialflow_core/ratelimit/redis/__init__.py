"""Limits shared by every process, kept in Redis or Valkey. Extra `[redis]`."""

from .leasing import AsyncLeasingRateLimiter, LeasingRateLimiter
from .limiter import AsyncRedisRateLimiter, RedisRateLimiter

__all__ = [
    "AsyncLeasingRateLimiter",
    "AsyncRedisRateLimiter",
    "LeasingRateLimiter",
    "RedisRateLimiter",
]

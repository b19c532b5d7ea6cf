"""Limits shared by every process, kept in Redis or Valkey. Extra `[redis]`."""

from .limiter import AsyncRedisRateLimiter, RedisRateLimiter

__all__ = ["AsyncRedisRateLimiter", "RedisRateLimiter"]

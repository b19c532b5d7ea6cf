"""Answers shared by every process, kept in Redis or Valkey. Extra `[redis]`.

One round trip for a hit, none where the local tier has it: the server pushes what was
invalidated. A missing value is computed by one process; the others wait for it. When Redis
does not answer in time, each process computes for itself, and no caller sees an error.
"""

from .cache import AsyncRedisCache, RedisCache, RedisCacheOptions, link_options
from .store import AsyncRedisStore, RedisStore

__all__ = [
    "AsyncRedisCache",
    "AsyncRedisStore",
    "RedisCache",
    "RedisCacheOptions",
    "RedisStore",
    "link_options",
]

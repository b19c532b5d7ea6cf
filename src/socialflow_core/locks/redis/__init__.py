"""Locks for every process that reaches one Redis or Valkey. Needs the extra `[redis]`.

Over redis-py's own `Lock`, whose scripts renew and release; taking is a script of ours, for
a lock and its fence are set in one step. A flush, or a failover that lost the lock, lets
somebody else have it: the holder learns of that at its next renewal, and the fence of the
next holder is higher all the same, since the server's clock is its floor. Only a server
whose clock is set back *and* that lost its data can give a number twice.
"""

from .aio import AsyncRedisLocks
from .sync import RedisLocks

__all__ = ["AsyncRedisLocks", "RedisLocks"]

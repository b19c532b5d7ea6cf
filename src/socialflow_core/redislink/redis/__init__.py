"""Links over redis-py: its connections, taken over, or its clients as they are. Extra `[redis]`."""

from .aio import AsyncRedisLink
from .endpoint import AsyncEndpoint, Endpoint
from .plain import AsyncPlainLink, PlainLink
from .sync import RedisLink

__all__ = [
    "AsyncEndpoint",
    "AsyncPlainLink",
    "AsyncRedisLink",
    "Endpoint",
    "PlainLink",
    "RedisLink",
]

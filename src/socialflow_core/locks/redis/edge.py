"""What the sync and the async locks say to redis-py alike."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from socialflow_core._kit.errors import UnavailableError, requires_extra, translating

with requires_extra("redis"):
    from redis.exceptions import LockError, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ANSWER_LIMIT", "PREFIX", "as_redis_url", "is_ours", "keys", "reached"]

ClientT = TypeVar("ClientT")

PREFIX = "lk1"  # the number is the version of what is stored
ANSWER_LIMIT = timedelta(seconds=1)
_SCHEMES = {"valkey": "redis", "valkeys": "rediss"}


def keys(prefix: str, name: str) -> tuple[str, str]:
    """The lock's key and its fence's; in a cluster they live together."""
    head = f"{{{prefix}:{name}}}"
    return f"{head}lock", f"{head}fence"


def reached() -> translating:
    """Turn redis-py's errors into ours."""
    return translating(
        (RedisError, OSError), lambda _: UnavailableError("the lock store", sent=None)
    )


@contextmanager
def is_ours() -> Iterator[list[bool]]:
    """A list that is not empty afterwards, unless redis-py found that the lock is not ours."""
    ours: list[bool] = []
    try:
        yield ours
    except UnavailableError as error:
        if not isinstance(error.__cause__, LockError):
            raise
    else:
        ours.append(True)


def as_redis_url(url: str, connect: Callable[[str], ClientT]) -> ClientT:
    """What *connect* makes of *url*, with the schemes of Valkey as those of Redis.

    Raises:
        ValueError: If it is no such URL; nothing of it is told.
    """
    scheme, colon, rest = url.partition(":")
    client: ClientT | None = None
    with suppress(ValueError):
        client = connect(_SCHEMES.get(scheme, scheme) + colon + rest)
    if client is None:
        # Outside of the handler: what urllib says of a bad port is a part of the password.
        raise ValueError(
            "not the URL of a Redis: redis://user:password@host:6379/0, percent-encoded"
        )
    return client

"""Caches in Redis for the tests of this folder."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.cache.redis import RedisCache
    from socialflow_core.testing.servers.valkey import Valkey
    from tests.cache.kit import Make

_PATIENT = timedelta(seconds=10)


@pytest.fixture
def make(valkey: Valkey) -> Iterator[Make]:
    """A maker of caches."""
    from socialflow_core.cache.redis import (  # noqa: PLC0415 -- memory is tried without redis
        RedisCache,
        RedisCacheOptions,
    )

    with ExitStack() as stack:

        def make(*, local: bool = False, **options: Any) -> RedisCache:
            cache = RedisCache.from_url(
                valkey.url, deadline=_PATIENT, local=local, options=RedisCacheOptions(**options)
            )
            stack.callback(cache.close)
            return cache

        yield make

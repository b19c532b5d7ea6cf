"""Who takes part in the comparison of caches, each as its documentation is fastest.

Everybody keeps the same 50 items. All of Redis speak to the same server over TCP, with
hiredis, and decode JSON with msgspec, but for cashews, which chooses for itself.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiocache  # type: ignore[import-untyped]  # -- it tells no types
import aiocache.serializers  # type: ignore[import-untyped]  # -- as above
import cashews
import msgspec
import redis
from dogpile.cache import make_region

from socialflow_core.cache.memory import AsyncMemoryCache, MemoryCache
from socialflow_core.cache.msgspec import json_codec
from socialflow_core.cache.redis import AsyncRedisCache, RedisCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks._run import Contender

__all__ = ["KEY", "contenders", "value"]

KEY = "profile:42"
_HOUR = timedelta(hours=1)
_LISTS: dict[str, Any] = {"ttl": _HOUR, "codec": json_codec(list[list[Any]])}
_FROZEN: dict[str, Any] = {"ttl": _HOUR, "codec": json_codec(tuple[tuple[str, int, float], ...])}


def value() -> list[list[Any]]:
    """What everybody keeps."""
    return [[f"name {number}", number, number / 7] for number in range(50)]


def frozen() -> tuple[tuple[Any, ...], ...]:
    """The same, unchangeable."""
    return tuple(map(tuple, value()))


def _again(once: Callable[[], object]) -> Contender:
    def run(count: int) -> None:
        for _ in range(count):
            once()

    return run


def _awaiting(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Contender:
    async def calls(count: int) -> None:
        for _ in range(count):
            await once()

    return lambda count: runner.run(calls(count))


async def _value() -> list[list[Any]]:
    return value()


async def _frozen() -> tuple[tuple[Any, ...], ...]:
    return frozen()


class _Serializer(aiocache.serializers.BaseSerializer):  # type: ignore[misc]  # -- as above
    """What makes aiocache fastest: its own JSON is the standard library's."""

    dumps = staticmethod(msgspec.json.encode)
    loads = staticmethod(lambda found: None if found is None else msgspec.json.decode(found))


@contextmanager
def contenders(url: str) -> Iterator[dict[str, Contender]]:
    """Everybody, with a value in place."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        yield {
            **stack.enter_context(_ours(url, runner)),
            **stack.enter_context(_awaited_peers(url, runner)),
            **stack.enter_context(_sync_peers(url)),
        }


@contextmanager
def _ours(url: str, runner: asyncio.Runner) -> Iterator[dict[str, Contender]]:
    memory, amemory = MemoryCache(), AsyncMemoryCache()
    shared = RedisCache.from_url(url, local=False)
    ashared = AsyncRedisCache.from_url(url, local=False)
    tiered = AsyncRedisCache.from_url(url)
    yield {
        "memory ours": _again(lambda: memory.get_or_compute("f", frozen, **_FROZEN)),
        "memory ours, lists": _again(lambda: memory.get_or_compute("l", value, **_LISTS)),
        "memory ours, awaited": _awaiting(
            runner, lambda: amemory.get_or_compute("f", _frozen, **_FROZEN)
        ),
        "local ours": _awaiting(runner, lambda: tiered.get_or_compute("f", _frozen, **_FROZEN)),
        "redis ours": _again(lambda: shared.get_or_compute("l", value, **_LISTS)),
        "redis ours, awaited": _awaiting(
            runner, lambda: ashared.get_or_compute("l", _value, **_LISTS)
        ),
    }
    shared.close()
    for each in (ashared, tiered):
        runner.run(each.aclose())


@contextmanager
def _awaited_peers(url: str, runner: asyncio.Runner) -> Iterator[dict[str, Contender]]:
    host, port = url.removeprefix("redis://").removesuffix("/0").split(":")
    near, far = cashews.Cache(), cashews.Cache()
    near.setup("mem://", size=10_000)
    far.setup(url, pickle_type="json", client_side=False)
    from_near = near.cache(ttl="1h", key="near")(_value)
    from_far = far.cache(ttl="1h", key="far")(_value)
    amem = aiocache.SimpleMemoryCache()
    ared = aiocache.RedisCache(endpoint=host, port=int(port), serializer=_Serializer())
    runner.run(amem.set(KEY, value()))
    runner.run(ared.set(KEY, value()))
    yield {
        "memory cashews": _awaiting(runner, from_near),
        "memory aiocache": _awaiting(runner, lambda: amem.get(KEY)),
        "redis cashews": _awaiting(runner, from_far),
        "redis aiocache": _awaiting(runner, lambda: ared.get(KEY)),
    }
    for each in (near, far, ared):
        runner.run(each.close())


@contextmanager
def _sync_peers(url: str) -> Iterator[dict[str, Contender]]:
    near = make_region().configure("dogpile.cache.memory", expiration_time=3600)
    far = make_region(serializer=msgspec.json.encode, deserializer=msgspec.json.decode)
    far.configure("dogpile.cache.redis", expiration_time=3600, arguments={"url": url})
    with redis.Redis.from_url(url) as client:
        client.set("bare", msgspec.json.encode(value()))
        yield {
            "memory dogpile": _again(lambda: near.get_or_create(KEY, value)),
            "redis dogpile": _again(lambda: far.get_or_create("dogpile", value)),
            "redis bare GET": _again(lambda: msgspec.json.decode(client.get("bare") or b"")),
        }

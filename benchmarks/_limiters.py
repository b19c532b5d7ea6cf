"""Who takes part in the comparison of rate limiters, each as its documentation is fastest.

All decide, and all learn the limit, what remains and when it resets; only redis-py's INCR
does less. All speak to the same server over TCP, with hiredis.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import hiredis
import limits
import limits.aio
import redis
import throttled
import throttled.asyncio as athrottled

from socialflow_core.ratelimit import Limit, Rate, Strategy, key_of
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from benchmarks._run import Contender

__all__ = ["DENIED", "KEY", "LIMITS", "async_contenders", "sync_contenders"]

# The least that a script call can be: what no limiter of one round trip can go below.
_NOTHING = b"*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n"

KEY = key_of("ip", "203.0.113.7/32")
AT_ONCE = 32
_KEYS = [key_of("ip", f"203.0.113.{n}/32") for n in range(AT_ONCE)]
_PER = timedelta(minutes=15)
_MANY = 1_000_000  # never reached
LIMITS = {strategy: Limit("api", Rate(_MANY, per=_PER), strategy=strategy) for strategy in Strategy}
DENIED = Limit("denied", Rate(1, per=_PER))


def _again(once: Callable[[], object]) -> Contender:
    def run(count: int) -> None:
        for _ in range(count):
            once()

    return run


@contextmanager
def sync_contenders(url: str) -> Iterator[dict[str, Contender]]:
    """One thread, one after the other."""
    with ExitStack() as stack:
        limiter = RedisRateLimiter.from_url(url)
        stack.callback(limiter.close)
        client = stack.enter_context(redis.Redis.from_url(url))
        store = throttled.RedisStore(server=url)
        peer = _throttled(store, _MANY)
        full = _throttled(store, 1)
        window = limits.strategies.FixedWindowRateLimiter(limits.storage.RedisStorage(url))
        item = limits.parse(f"{_MANY} per 15 minute")

        bare = stack.enter_context(socket.create_connection(_address(url)))
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = hiredis.Reader()

        def nothing() -> None:
            bare.sendall(_NOTHING)
            reader.feed(bare.recv(4096))
            reader.gets()

        def hit(limit: Limit) -> Contender:
            return _again(lambda: limiter.hit(KEY, limit))

        def hit_and_stats() -> None:
            window.hit(item, KEY)
            window.get_window_stats(item, KEY)

        for spent in (lambda: limiter.hit(KEY, DENIED), lambda: full.limit(KEY)):
            spent()
        yield {
            **{f"ours {strategy.value}": hit(limit) for strategy, limit in LIMITS.items()},
            "nothing": _again(nothing),
            "throttled": _again(lambda: peer.limit(KEY)),
            "incr": _again(lambda: client.incr("counter")),
            "limits": _again(hit_and_stats),
            "ours denied": hit(DENIED),
            "throttled denied": _again(lambda: full.limit(KEY)),
        }


def _address(url: str) -> tuple[str | None, int | None]:
    server = urlsplit(url)
    return server.hostname, server.port


def _throttled(store: throttled.RedisStore, most: int) -> throttled.Throttled:
    quota = throttled.rate_limiter.per_duration(_PER, most)
    return throttled.Throttled(using="fixed_window", quota=quota, store=store)


@contextmanager
def async_contenders(url: str) -> Iterator[dict[str, Contender]]:
    """On one event loop: one after the other, and 32 tasks at once."""
    with asyncio.Runner() as runner:
        limiter = AsyncRedisRateLimiter.from_url(url)
        store = athrottled.RedisStore(server=url)
        quota = throttled.rate_limiter.per_duration(_PER, _MANY)
        peer = athrottled.Throttled(using="fixed_window", quota=quota, store=store)
        # Its default, coredis, is slower, and does not start with coredis 6.
        storage = limits.aio.storage.RedisStorage(f"async+{url}", implementation="redispy")
        window = limits.aio.strategies.FixedWindowRateLimiter(storage)
        item = limits.parse(f"{_MANY} per 15 minute")
        limit = LIMITS[Strategy.FIXED_WINDOW]

        async def hit_and_stats(key: str) -> None:
            await window.hit(item, key)
            await window.get_window_stats(item, key)

        bare = runner.run(_Bare.connected(url))
        calls: dict[str, Callable[[str], Awaitable[Any]]] = {
            "nothing": lambda _: bare.ask(),
            "ours": lambda key: limiter.hit(key, limit),
            "throttled": peer.limit,
            "limits": hit_and_stats,
        }
        turns: dict[str, Callable[[int], Coroutine[Any, Any, None]]] = {}
        for name, call in calls.items():
            turns[f"async {name}"] = _one_by_one(call)
            turns[f"at once {name}"] = _at_once(call)
        try:
            yield {name: _on(runner, turn) for name, turn in turns.items()}
        finally:
            bare.transport.close()
            runner.run(limiter.aclose())
            runner.run(_closed(store._backend.get_client()))  # noqa: SLF001 -- offers no close
            bridge: Any = storage.bridge  # its type does not tell the client
            runner.run(_closed(bridge.storage))


class _Bare(asyncio.Protocol):
    """A round trip of an event loop, and nothing else."""

    transport: asyncio.Transport

    @classmethod
    async def connected(cls, url: str) -> _Bare:
        sock = socket.create_connection(_address(url))
        _, bare = await asyncio.get_running_loop().create_connection(cls, sock=sock)
        return bare

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._waiting: deque[asyncio.Future[None]] = deque()

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\n")):
            self._waiting.popleft().set_result(None)

    async def ask(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.transport.write(_NOTHING)
        await future


async def _closed(client: Any) -> None:
    await client.aclose()


def _one_by_one(
    call: Callable[[str], Awaitable[Any]],
) -> Callable[[int], Coroutine[Any, Any, None]]:
    async def turn(count: int) -> None:
        for _ in range(count):
            await call(KEY)

    return turn


def _at_once(call: Callable[[str], Awaitable[Any]]) -> Callable[[int], Coroutine[Any, Any, None]]:
    async def turn(count: int) -> None:
        for _ in range(count):
            await asyncio.gather(*[call(key) for key in _KEYS])

    return turn


def _on(runner: asyncio.Runner, turn: Callable[[int], Coroutine[Any, Any, None]]) -> Contender:
    return lambda count: runner.run(turn(count))

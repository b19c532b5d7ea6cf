"""What the tests of the ASGI cache share: an application that counts, and a client."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from examples.asgi.cache import CacheMiddleware
from examples.http_cache_rules import HttpCacheOptions
from socialflow_core.cache.memory import AsyncMemoryCache, MemoryCache
from socialflow_core.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from examples.asgi.rate_limit import App, Message, Scope

OPTIONS = HttpCacheOptions()


async def until(condition: Callable[[], bool]) -> None:
    """Let others go on until *condition* holds, and not for ever."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise TimeoutError


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Client:
    """Asks a cached application without a socket."""

    def __init__(self, app: App, options: HttpCacheOptions = OPTIONS) -> None:
        self.clock = ManualClock()
        self.scope: Scope = {}
        self.cache = AsyncMemoryCache(MemoryCache(clock=self.clock))
        self.app = CacheMiddleware(app, self.cache, options)

    @property
    def cache_is_quiet(self) -> bool:
        """Whether nothing is under way but the test."""
        return len(asyncio.all_tasks()) == 1

    async def __call__(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Ask once; `_` in names of headers stands for `-`."""
        answer = Answer()

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                told = [(name.decode(), value.decode()) for name, value in message["headers"]]
                assert len(dict(told)) == len(told)
                answer.headers = dict(told)
            else:
                answer.body += message.get("body", b"")

        named = [(k.replace("_", "-").lower().encode(), v.encode()) for k, v in headers.items()]
        scope: Scope = {"type": "http", "method": method, "path": path, "headers": named}
        scope["query_string"] = b""
        await self.app({**scope, **self.scope}, receive, send)
        return answer


@asynccontextmanager
async def asking(app: App, options: HttpCacheOptions = OPTIONS) -> AsyncIterator[Client]:
    """A client, and nothing left under way."""
    client = Client(app, options)
    yield client
    await client.cache.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Counting:
    """A Starlette application that counts its answers."""

    def __init__(self, **headers: str) -> None:
        self.calls = 0
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.held: asyncio.Event | None = None
        self.app: App = Starlette(
            routes=[Route("/{rest:path}", self.answer, methods=["GET", "POST"])]
        )

    async def answer(self, _: Request) -> Response:
        """Answer with a number."""
        self.calls += 1
        number = self.calls
        if self.held:
            await self.held.wait()
        return PlainTextResponse(f"{number}", headers=self.headers)

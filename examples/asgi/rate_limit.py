"""Rate limits as ASGI 3 middleware, for any framework or none.

```python
app = RateLimitMiddleware(app, AsyncMemoryRateLimiter(), RateLimitOptions(rules=(...,)))
```

Wrap the application as the outermost layer: limits then hold before authentication, and
what the framework itself answers (404, 500) carries the headers too. Only what the server
answers for an application that raised has none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from examples.rate_limit_rules import Outage, RateLimitOptions, merged
from socialflow_core.ratelimit import AsyncRateLimiter, Refusal, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["RateLimitMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class RateLimitMiddleware:
    """Limits HTTP requests to *app*; websockets and the lifespan pass through."""

    def __init__(self, app: App, limiter: AsyncRateLimiter, options: RateLimitOptions) -> None:
        self._app = app
        self._limiter = limiter
        self._options = options
        self._outage = Outage()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or let it answer."""
        answer = await self._judge(scope) if scope["type"] == "http" else []
        if isinstance(answer, Refusal):
            await _refuse(answer, scope["method"], send)
        else:
            await self._app(scope, receive, _adding(answer, send) if answer else send)

    async def _judge(self, scope: Scope) -> Refusal | list[tuple[str, str]]:
        limits = self._options.limits(scope["method"], _routed(scope))
        if not limits:
            return []
        peer = scope.get("client")
        key = self._options.identity.key(peer[0] if peer else None, _text(scope["headers"]))
        try:
            decision = await self._limiter.hit(key, *limits)
        except UnavailableError as error:
            self._outage.begins(error, self._options.on_unavailable)
            return self._options.answer_unavailable()
        self._outage.ends()
        return self._options.answer(decision)


def _routed(scope: Scope) -> str:
    """The path that the application routes: `root_path` is where it is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


def _text(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _bytes(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    # ASGI wants the names of headers in lower case.
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers]


def _adding(headers: list[tuple[str, str]], send: Send) -> Send:
    ours = _bytes(headers)

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            theirs = message.get("headers", ())
            message = {**message, "headers": merged(message["status"], theirs, ours)}
        await send(message)

    return adding


async def _refuse(answer: Refusal, method: str, send: Send) -> None:
    headers = _bytes(answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})

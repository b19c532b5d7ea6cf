"""Whole responses from a cache, as ASGI 3 middleware, for any framework or none.

```python
app = CacheMiddleware(app, AsyncMemoryCache(), HttpCacheOptions())
```

Wrap it inside of what knows who calls (rate limits, tokens), so that a refusal is not kept and a
hit is not free of it; whom Starlette's `AuthenticationMiddleware` or a client's certificate has
authenticated is known by the scope. Of many who ask the same at once, one reaches the
application; if its answer turns out to be for itself alone, the others are let through too. Only
HTTP is cached.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from examples.http_cache_rules import PASS, HttpCacheOptions, ServerError
from socialflow_core.cache import (
    RESPONSE,
    SAFE_METHODS,
    AsyncCache,
    CacheRequest,
    StoredResponse,
    http_key,
    http_tag,
    why_not_asked,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from examples.asgi.rate_limit import App, Message, Receive, Scope, Send
    from socialflow_core.cache import Cached, Headers

__all__ = ["CacheMiddleware"]

_FIRST_ERROR = 400


class CacheMiddleware:
    """Answers GET requests to *app* from *cache*; websockets and the lifespan pass through."""

    def __init__(self, app: App, cache: AsyncCache, options: HttpCacheOptions) -> None:
        self._app = app
        self._cache = cache
        self._options = options
        self._tasks: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or let it answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _request(scope)
        reason = why_not_asked(request, self._options.http)
        if not reason:
            await self._look(request, scope, receive, send)
            return
        fwd = "method" if reason == "method" else "bypass"
        telling = _telling(self._options.status(fwd=fwd, detail=reason), send)
        if request.method not in SAFE_METHODS:
            telling = self._dropping(request, telling)
        await self._app(scope, receive, telling)

    def _dropping(self, request: CacheRequest, send: Send) -> Send:
        """Forget what is kept of a target before its change is confirmed (RFC 9111, 4.4)."""

        async def dropping(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _FIRST_ERROR:
                await self._cache.invalidate_tags(http_tag(request))
            await send(message)

        return dropping

    async def _look(
        self, request: CacheRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        options, client, runs = self._options, _Client(receive, self._tasks), list[_Run]()

        async def compute() -> StoredResponse:
            runs.append(_Run(client, request, options))
            return await runs[-1].respond(self._app, scope)

        try:
            cached = await self._found(request, compute)
            telling = _telling(options.status(fwd="miss"), send)
            if cached and cached.value != PASS:
                await _send(options.answer(request, cached, is_mine=bool(runs)), send)
            elif mine := next((run for run in runs if run.is_private), None):
                await mine.go_on(telling)
            else:
                await self._app(scope, receive, telling)
        finally:
            client.is_gone = True
            for run in runs:
                await run.give_up()

    async def _found(
        self, request: CacheRequest, compute: Callable[[], Awaitable[StoredResponse]]
    ) -> Cached[StoredResponse] | None:
        options = self._options
        try:
            return await self._cache.lookup(
                http_key(request, options.http),
                compute,
                ttl=partial(options.lifetime, request),
                tags=options.all_tags(request),
                codec=RESPONSE,
                policy=options.policy,
            )
        except ServerError:  # and nothing older is at hand: it is answered as it is
            return None


class _Client:
    """Who asked; while it is there, an application may turn out to need it."""

    def __init__(self, receive: Receive, tasks: set[asyncio.Future[None]]) -> None:
        self.receive = receive
        self.tasks = tasks
        self.is_gone = False


class _Run:
    """One run of the application, apart from its client unless it turns out to need it."""

    def __init__(self, client: _Client, request: CacheRequest, options: HttpCacheOptions) -> None:
        self._client = client
        self._request = request
        self._options = options
        self._held_back: list[Message] = []
        self._size = 0
        self._whole: StoredResponse | None = None
        self._asked = False
        self._send: Send | None = None
        self._task: asyncio.Future[None] | None = None
        self.is_private = self._has_failed = self._is_over = False
        self._decided, self._goes_on = asyncio.Event(), asyncio.Event()

    async def respond(self, app: App, scope: Scope) -> StoredResponse:
        """The response for everybody, or `PASS` if it is not for everybody."""
        # No extensions: what is answered has to be plain messages.
        work = app({**scope, "extensions": {}}, self._hear, self._tell)
        self._task = task = asyncio.ensure_future(work)
        self._client.tasks.add(task)  # it may go on after its response, and a loop forgets it
        task.add_done_callback(self._ended)
        decided = asyncio.ensure_future(self._decided.wait())
        try:
            await asyncio.wait((task, decided), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            decided.cancel()
        if self.is_private:
            if self._client.is_gone:  # it was computed for whoever comes next
                await self.give_up()
            if self._has_failed:
                raise ServerError(str(self._held_back[0]["status"]))
            return PASS
        if not self._whole:
            task.result()  # raises what the application raised
            told = "ended in the midst of its" if self._held_back else "sent no"
            raise RuntimeError(f"the application {told} response")
        return self._whole

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._client.tasks.discard(task)
        error = None if task.cancelled() or not self._is_over else task.exception()
        if error:  # nobody waits for it any more
            told = {"message": "the application raised after its response", "exception": error}
            task.get_loop().call_exception_handler(told)

    async def go_on(self, send: Send) -> None:
        """Send what was held back, and let the application and its client talk."""
        for message in self._held_back:
            await send(message)
        self._send = send
        self._goes_on.set()
        if self._task:
            await self._task

    async def give_up(self) -> None:
        """End an application that waits for a client that has gone."""
        task = self._task
        if not task or not self.is_private or task.done():
            return
        if self._has_failed:  # it ends by itself, and its error is heard
            self._is_over = True
            self._goes_on.set()
            return
        task.cancel()
        await asyncio.wait((task,))

    async def _hear(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._goes_on.wait()
        if self._is_over:  # as servers say it after a response
            return {"type": "http.disconnect"}
        return await self._client.receive()

    async def _tell(self, message: Message) -> None:
        if self._send:
            await self._send(message)
        elif not self._is_over:
            self._held_back.append(message)
            self._size += len(message.get("body", b""))
            if not self._may_be_kept(message):
                self.is_private = True
                self._has_failed = self._options.is_error(self._held_back[0].get("status", 0))
                self._decided.set()
                await self._goes_on.wait()
            elif self._whole:
                self._is_over = True
                self._decided.set()
                self._goes_on.set()

    def _may_be_kept(self, message: Message) -> bool:
        options, request = self._options, self._request
        if self.is_private or self._size > options.http.max_body:
            return False
        if message["type"] == "http.response.start":
            return options.may_become(request, _response([message]))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            whole = options.finished(_response(self._held_back))
            self._whole = whole if options.is_for_all(request, whole) else None
            return self._whole is not None
        return True


def _request(scope: Scope) -> CacheRequest:
    headers = _text(scope["headers"])
    host = next((value for name, value in headers if name.lower() == "host"), "")
    query = scope.get("query_string", b"").decode("latin-1")
    target = scope.get("scheme", "http"), host, scope["path"], query
    return CacheRequest(
        scope["method"].upper(),
        target,
        headers,
        raw_path=(scope.get("raw_path") or b"").decode("latin-1"),
        is_authenticated=_is_authenticated(scope),
    )


def _is_authenticated(scope: Scope) -> bool:
    # Starlette's own, and what others put in the same place: a user who says that he is
    # nobody, and no scopes, are what an anonymous request has.
    user, auth = scope.get("user"), scope.get("auth")
    tls = (scope.get("extensions") or {}).get("tls") or {}
    return bool(
        (user is not None and getattr(user, "is_authenticated", True))
        or getattr(auth, "scopes", auth)
        or tls.get("client_cert_name")
        or tls.get("client_cert_chain")
    )


def _response(messages: list[Message]) -> StoredResponse:
    start, *rest = messages
    body = b"".join(message.get("body", b"") for message in rest)
    return StoredResponse(start["status"], _text(start.get("headers", ())), body)


async def _send(response: StoredResponse, send: Send) -> None:
    headers = _bytes(response.headers)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _telling(header: tuple[str, str], send: Send) -> Send:
    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_bytes([header])]}
        await send(message)

    return telling


def _text(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _bytes(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    # ASGI wants the names of headers in lower case.
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

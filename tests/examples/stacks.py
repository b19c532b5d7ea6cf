"""The same small application five times: bare and in each framework, ready to be limited.

`/api/open` answers 200, `/api/secret` 401, `/api/broken` fails, `/free` is not limited.
Each notes the paths that reached it in *calls*.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import fastapi
import flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from examples.asgi.rate_limit import App, Message, Receive, Scope, Send
from examples.asgi.rate_limit import RateLimitMiddleware as AsgiRateLimit
from examples.wsgi.rate_limit import RateLimitMiddleware as WsgiRateLimit
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter, MemoryRateLimiter
from tests.examples.loopback import Server, served, served_wsgi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from starlette.requests import Request

    from examples.rate_limit_rules import RateLimitOptions
    from socialflow_core.ratelimit import AsyncRateLimiter, RateLimiter

Calls: TypeAlias = list[str]
STATUSES = {"/api/open": 200, "/api/secret": 401, "/free": 200}


class Limiters(NamedTuple):
    """One set of counters, for both worlds."""

    sync: RateLimiter
    asynchronous: AsyncRateLimiter


def limiters() -> Limiters:
    """Fresh counters in memory."""
    memory = MemoryRateLimiter()
    return Limiters(memory, AsyncMemoryRateLimiter(memory))


def starlette(calls: Calls) -> App:
    """Starlette, whose own layer answers 500 for an endpoint that raises."""

    async def answer(request: Request) -> Response:
        calls.append(request.url.path)
        if request.url.path not in STATUSES:
            raise ZeroDivisionError
        return PlainTextResponse("", STATUSES[request.url.path])

    return Starlette(routes=[Route(path, answer) for path in (*STATUSES, "/api/broken")])


def fast_api(calls: Calls) -> App:
    """FastAPI, with exceptions of its own."""
    app = fastapi.FastAPI(openapi_url=None)

    @app.get("/api/open")
    @app.get("/free")
    async def answer(request: fastapi.Request) -> dict[str, bool]:
        calls.append(request.url.path)
        return {"ok": True}

    @app.get("/api/secret")
    async def secret() -> None:
        calls.append("/api/secret")
        raise fastapi.HTTPException(401)

    @app.get("/api/broken")
    async def broken() -> None:
        calls.append("/api/broken")
        raise ZeroDivisionError

    return app


def bare_asgi(calls: Calls) -> App:
    """No framework: a coroutine function."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            calls.append(scope["path"])
            status = STATUSES.get(scope["path"], 500)
            start: Message = {"type": "http.response.start", "status": status}
            await send({**start, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
        else:
            await receive()  # the server shuts this one down again: it has no lifespan

    return app


def flask_app(calls: Calls) -> WSGIApplication:
    """Flask, wrapped as its users do it."""
    app = flask.Flask(__name__)

    def answer() -> tuple[str, int]:
        calls.append(flask.request.path)
        if flask.request.path not in STATUSES:
            raise ZeroDivisionError
        return "", STATUSES[flask.request.path]

    for path in (*STATUSES, "/api/broken"):
        app.add_url_rule(path, path, answer)
    app.logger.disabled = True
    return app.wsgi_app


def bare_wsgi(calls: Calls) -> WSGIApplication:
    """No framework: a generator function, which starts only when it is read."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        calls.append(environ["PATH_INFO"])
        status = STATUSES.get(environ["PATH_INFO"], 500)
        start_response(f"{status} -", [("Content-Length", "0")])
        yield b""

    return app


Stack: TypeAlias = Callable[[Calls, Limiters, "RateLimitOptions"], AbstractContextManager[Server]]


def asgi_stack(build: Callable[[Calls], App]) -> Stack:
    """Limit and serve what *build* answers."""
    return lambda calls, limiters, options: served(
        AsgiRateLimit(build(calls), limiters.asynchronous, options)
    )


def wsgi_stack(build: Callable[[Calls], WSGIApplication]) -> Stack:
    """Limit and serve what *build* answers."""
    return lambda calls, limiters, options: served_wsgi(
        WsgiRateLimit(build(calls), limiters.sync, options)
    )


STACKS = {
    "starlette": asgi_stack(starlette),
    "fastapi": asgi_stack(fast_api),
    "bare ASGI": asgi_stack(bare_asgi),
    "flask": wsgi_stack(flask_app),
    "bare WSGI": wsgi_stack(bare_wsgi),
}

"""Whole requests through Starlette and Flask, in process: bare, with ours, with the peer.

The application answers two bytes, so that what a limiter adds is not lost in it.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import flask
import flask_limiter
import flask_limiter.util
import slowapi
import slowapi.middleware
import slowapi.util
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from examples.asgi.rate_limit import RateLimitMiddleware as AsgiMiddleware
from examples.rate_limit_rules import RateLimitOptions, Rule
from examples.wsgi.rate_limit import RateLimitMiddleware as WsgiMiddleware
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.redis import AsyncRedisRateLimiter, RedisRateLimiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from wsgiref.types import WSGIApplication

    from starlette.requests import Request

    from benchmarks._run import Contender

__all__ = ["flask_contenders", "starlette_contenders"]

_RATE = "1000000/15minute"
_OPTIONS = RateLimitOptions(rules=(Rule("/", (Limit("api", Rate.parse("1000000/15m")),)),))
_CALLER = "203.0.113.7"
_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/items",
    "raw_path": b"/items",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"example.com"), (b"accept", b"*/*"), (b"user-agent", b"curl/8")],
    "client": (_CALLER, 50_000),
    "server": ("127.0.0.1", 80),
}


def _starlette() -> Starlette:
    async def items(request: Request) -> PlainTextResponse:  # noqa: ARG001 -- every route gets it
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/items", items)])


@contextmanager
def starlette_contenders(url: str) -> Iterator[dict[str, Contender]]:
    """Bare, ours, and slowapi as the ASGI middleware that it says is the faster one."""
    with asyncio.Runner() as runner:
        limiter = AsyncRedisRateLimiter.from_url(url)
        theirs = _starlette()
        theirs.state.limiter = slowapi.Limiter(
            key_func=slowapi.util.get_remote_address,
            default_limits=[_RATE],
            headers_enabled=True,
            storage_uri=url,
        )
        theirs.add_middleware(slowapi.middleware.SlowAPIASGIMiddleware)
        apps: dict[str, Callable[..., Awaitable[None]]] = {
            "starlette": _starlette(),
            "starlette ours": AsgiMiddleware(_starlette(), limiter, _OPTIONS),
            "starlette slowapi": theirs,
        }
        try:
            yield {name: _asgi(runner, app, limited=" " in name) for name, app in apps.items()}
        finally:
            runner.run(limiter.aclose())


def _asgi(
    runner: asyncio.Runner, app: Callable[..., Awaitable[None]], *, limited: bool
) -> Contender:
    started: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started[:] = [message]

    async def turn(count: int) -> None:
        for _ in range(count):
            await app(dict(_SCOPE), receive, send)

    def run(count: int) -> None:
        runner.run(turn(count))
        names = {name for name, _ in started[0]["headers"]}
        _check(started[0]["status"], b"ratelimit-remaining" in b" ".join(names), limited)

    return run


def _check(status: int, told: bool, limited: bool) -> None:  # noqa: FBT001 -- two facts
    """Hold everybody to the same work: an answer, and headers if there is a limiter."""
    if status != 200 or told is not limited:  # noqa: PLR2004 -- OK
        raise RuntimeError(f"status {status}, headers {told}, limiter {limited}")


def _flask() -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/items")
    def items() -> str:
        return "ok"

    return app


@contextmanager
def flask_contenders(url: str) -> Iterator[dict[str, Contender]]:
    """Bare, ours, and flask-limiter."""
    limiter = RedisRateLimiter.from_url(url)
    theirs = _flask()
    flask_limiter.Limiter(
        flask_limiter.util.get_remote_address,
        app=theirs,
        default_limits=[_RATE],
        headers_enabled=True,
        storage_uri=url,
    )
    apps: dict[str, WSGIApplication] = {
        "flask": _flask().wsgi_app,
        "flask ours": WsgiMiddleware(_flask().wsgi_app, limiter, _OPTIONS),
        "flask flask-limiter": theirs.wsgi_app,
    }
    try:
        yield {name: _wsgi(app, limited=" " in name) for name, app in apps.items()}
    finally:
        limiter.close()


def _wsgi(app: WSGIApplication, *, limited: bool) -> Contender:
    environ: dict[str, Any] = {"PATH_INFO": "/items", "REMOTE_ADDR": _CALLER}
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start(status: str, headers: Any, exc_info: Any = None, /) -> Callable[[bytes], object]:
        started[:] = [status, headers, exc_info]
        return started.append

    def run(count: int) -> None:
        for _ in range(count):
            answer = app(dict(environ), start)
            b"".join(answer)
            getattr(answer, "close", int)()
        names = " ".join(name.lower() for name, _ in started[1])
        _check(int(started[0][:3]), "ratelimit-remaining" in names, limited)

    return run

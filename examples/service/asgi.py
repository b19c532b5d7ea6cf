"""The service as an ASGI application (Starlette), and its server (uvicorn)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route as StarletteRoute

from examples.asgi.rate_limit import RateLimitMiddleware
from examples.service.counters import Counters
from examples.service.endpoints import MOST_BODY, Endpoints, Summary
from examples.service.limits import rate_limits
from examples.service.signing_in import Doors
from examples.service.steps import Request, Response, Route, acarried_out
from socialflow_core.wiring import Core

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from starlette.datastructures import Headers
    from starlette.requests import Request as StarletteRequest

    from examples.asgi.rate_limit import App
    from examples.service.accounts import Accounts
    from socialflow_core.cache import Cached
    from socialflow_core.config.settings import Settings

__all__ = ["application", "joined", "serve"]


def application(core: Core, accounts: Accounts) -> App:
    """The whole application, its limits outermost."""
    counters = Counters()

    async def remember(key: str, work: Callable[[], Summary], ttl: timedelta) -> Cached[Summary]:
        return await core.async_cache.lookup(key, lambda: asyncio.to_thread(work), ttl=ttl)

    endpoints = Endpoints(
        accounts=accounts,
        doors=Doors(core.async_sessions, core.async_token_verifier),
        remember=remember,
        report=core.report,
        counters=counters,
        secure=core.settings.service.app_env == "production",
    )

    async def failed(_: StarletteRequest, error: Exception) -> StarletteResponse:
        if not isinstance(error, HTTPException):
            error = HTTPException(500)
        return _sent(endpoints.error(error.status_code, tuple((error.headers or {}).items())))

    starlette = Starlette(
        routes=[_route(endpoints, route) for route in endpoints.routes],
        exception_handlers={HTTPException: failed, Exception: failed},
    )
    # A path is what it is: /health/ is not /health, under Flask either.
    starlette.router.redirect_slashes = False
    return RateLimitMiddleware(
        starlette, core.async_rate_limiter, rate_limits(core, counters.decided)
    )


def serve(settings: Settings, accounts: Accounts, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(settings, accounts, host, port))


async def _serve(settings: Settings, accounts: Accounts, host: str, port: int) -> None:
    core = Core(settings)
    config = uvicorn.Config(
        application(core, accounts),
        host=host,
        port=port,
        log_level="warning",
        # Who a caller is, is for `client_identity` to say.
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    try:
        # It raises the signal that stopped it again, so what follows stands in `finally`.
        await uvicorn.Server(config).serve()
    finally:
        await core.aclose()


def _route(endpoints: Endpoints, route: Route) -> StarletteRoute:
    async def answer(request: StarletteRequest) -> StarletteResponse:
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BODY:
                    raise HTTPException(413)
        except ClientDisconnect:
            # Nobody hears it, but it is counted, and it is no fault of the service.
            raise HTTPException(400) from None
        asked = Request(joined(request.headers), body)
        return _sent(await acarried_out(endpoints.answer(route, asked)))

    return StarletteRoute(route.path, answer, methods=[route.method])


def joined(headers: Headers) -> dict[str, str]:
    """Lines of one name as one, as WSGI servers give them; of cookies by RFC 9113, 8.2.3."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        between = "; " if name == "cookie" else ","
        joined[name] = f"{joined[name]}{between}{value}" if name in joined else value
    return joined


def _sent(response: Response) -> StarletteResponse:
    answer = StarletteResponse(response.body, response.status)
    for name, value in response.headers:
        answer.headers.append(name, value)
    return answer

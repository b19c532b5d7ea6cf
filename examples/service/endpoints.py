"""What the service answers, whichever server and framework it runs under.

An endpoint is a flow, see `steps`; `Endpoints.routes` is the table that both frameworks are
given. Nothing here does I/O.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

from examples.service.signing_in import Doors, SigningIn, answered
from examples.service.steps import Call, Request, Response, Route, Steps, failure, in_json
from socialflow_core import __version__
from socialflow_core.cache import TTLS, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from examples.service.accounts import Accounts
    from examples.service.counters import Counters
    from socialflow_core.auth import Claims
    from socialflow_core.cache import Cached
    from socialflow_core.wiring import Capability

__all__ = ["MOST_BODY", "Endpoints", "Remember", "Summary"]

Summary: TypeAlias = dict[str, int]
Remember: TypeAlias = "Callable[[str, Callable[[], Summary], timedelta], Cached[Summary] | Awaitable[Cached[Summary]]]"
"""A key, how to work the value out, and how long to keep it."""

MOST_BODY = 1_048_576
"""Bytes of a request's body that are read before it is refused."""


class Endpoints:
    """The service's answers.

    Args:
        accounts: Who may log in.
        doors: What makes and knows tokens.
        remember: Answers what was worked out before, or works it out: key, how, how long.
        report: Tells what the service can do at the moment.
        counters: What `/metrics` shows.
        secure: Whether cookies travel by HTTPS alone.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        doors: Doors,
        remember: Remember,
        report: Callable[[], tuple[Capability, ...]],
        counters: Counters,
        secure: bool,
    ) -> None:
        self._remember = remember
        self._report = report
        self._counters = counters
        signing_in = SigningIn(accounts, doors, secure=secure)
        self.routes = (
            Route("GET", "/", self._index),
            Route("GET", "/health", self._health),
            Route("GET", "/live", self._live),
            Route("GET", "/ready", self._live),
            Route("GET", "/metrics", self._metrics),
            Route("GET", "/api/health", self._health),
            *signing_in.routes,
            Route("GET", "/api/analytics/summary", signing_in.guarded(self._summary)),
            *(
                Route("POST", path, signing_in.guarded(_without(message)))
                for path, message in (
                    ("/api/ai/analyze-image", "No AI provider configured"),
                    ("/api/translation", "No translation provider available"),
                    ("/api/tts", "No TTS provider configured"),
                )
            ),
        )

    def answer(self, route: Route, request: Request) -> Steps:
        """Answer a request that has been routed."""
        if route.method != "GET" and not request.is_json:
            response = failure(415, "The body must be application/json.")
        else:
            response = yield from answered(route.endpoint(request))
        return self._counted(route.path, response)

    def error(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """Answer for a framework that found no route, or refused the request itself."""
        return self._counted("none", failure(status, headers=headers))

    def _counted(self, path: str, response: Response) -> Response:
        self._counters.add("http_requests_total", route=path, status=str(response.status))
        return response

    def _index(self, _: Request) -> Steps:
        yield from ()
        endpoints = [f"{route.method} {route.path}" for route in self.routes]
        return in_json({"service": "reference", "version": __version__, "endpoints": endpoints})

    def _live(self, _: Request) -> Steps:
        yield from ()
        return in_json({"status": "ok"})

    def _health(self, _: Request) -> Steps:
        yield from ()
        report = [asdict(capability) for capability in self._report()]
        lost = any(capability["state"] == "degraded" for capability in report)
        return in_json({"status": "degraded" if lost else "ok", "capabilities": report})

    def _metrics(self, _: Request) -> Steps:
        yield from ()
        text = self._counters.text().encode()
        return Response(200, text, (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),))

    def _summary(self, _: Request, claims: Claims) -> Steps:
        """Something that takes long to work out, kept for each user for a minute."""
        key = key_of("summary", claims.subject)
        found: Cached[Summary] = yield Call(
            lambda: self._remember(key, _worked_out, TTLS["analytics"])
        )
        told = {**found.value, "source": found.source, "age": found.age.total_seconds()}
        return in_json({"success": True, "degraded": found.degraded, "summary": told})


def _worked_out() -> Summary:
    return {"workedOutAt": int(time.time())}


def _without(message: str) -> Callable[[Request, Claims], Steps]:
    """An endpoint whose provider is not there."""

    def endpoint(_: Request, claims: Claims) -> Steps:
        del claims
        yield from ()
        return failure(503, message)

    return endpoint

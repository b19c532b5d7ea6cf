"""What the service answers, whichever server and framework it runs under.

An endpoint is a function of a `Request`; `Endpoints.routes` is the table that both
frameworks are given. Nothing here does I/O.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from socialflow_core import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from examples.service.accounts import Accounts
    from examples.service.counters import Counters
    from socialflow_core.wiring import Capability

__all__ = ["MOST_BODY", "Endpoints", "Request", "Response", "Route"]

MOST_BODY = 1_048_576
"""Bytes of a request's body that are read before it is refused."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as far as the endpoints care; names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        """The bearer token, empty if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


class Response(NamedTuple):
    """An answer to send."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


class Route(NamedTuple):
    """Where an endpoint is found."""

    method: str
    path: str
    endpoint: Callable[[Request], Response]


class Endpoints:
    """The service's answers.

    Args:
        accounts: Who may log in.
        report: Tells what the service can do at the moment.
        counters: What `/metrics` shows.
    """

    def __init__(
        self,
        accounts: Accounts,
        report: Callable[[], tuple[Capability, ...]],
        counters: Counters,
    ) -> None:
        self._accounts = accounts
        self._report = report
        self._counters = counters
        self.routes = (
            Route("GET", "/", self._index),
            Route("GET", "/health", self._health),
            Route("GET", "/live", self._live),
            Route("GET", "/ready", self._live),
            Route("GET", "/metrics", self._metrics),
            Route("GET", "/api/health", self._health),
            Route("POST", "/api/auth/login", self._login),
            Route("GET", "/api/auth/me", self._me),
            Route("POST", "/api/ai/analyze-image", self._without("No AI provider configured")),
            Route("POST", "/api/translation", self._without("No translation provider available")),
            Route("POST", "/api/tts", self._without("No TTS provider configured")),
        )

    def answer(self, route: Route, request: Request) -> Response:
        """Answer a request that has been routed."""
        return self._counted(route.path, route.endpoint(request))

    def error(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """Answer for a framework that found no route, or refused the request itself."""
        return self._counted("none", _failure(status, headers=headers))

    def _counted(self, path: str, response: Response) -> Response:
        self._counters.add("http_requests_total", route=path, status=str(response.status))
        return response

    def _index(self, _: Request) -> Response:
        endpoints = [f"{route.method} {route.path}" for route in self.routes]
        return _json({"service": "reference", "version": __version__, "endpoints": endpoints})

    def _live(self, _: Request) -> Response:
        return _json({"status": "ok"})

    def _health(self, _: Request) -> Response:
        report = [asdict(capability) for capability in self._report()]
        lost = any(capability["state"] == "degraded" for capability in report)
        return _json({"status": "degraded" if lost else "ok", "capabilities": report})

    def _metrics(self, _: Request) -> Response:
        text = self._counters.text().encode()
        return Response(200, text, (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),))

    def _login(self, request: Request) -> Response:
        told = _object(request.body)
        email, password = told.get("email"), told.get("password")
        if not (isinstance(email, str) and isinstance(password, str)):
            return _failure(400, "The body must be JSON with email and password.")
        token = self._accounts.login(email, password)
        if token is None:
            return _failure(401, "Wrong email or password.")
        return _json({"success": True, "token": token})

    def _me(self, request: Request) -> Response:
        user = self._accounts.user(request.token)
        return _json({"success": True, "email": user}) if user else _failure(401)

    def _without(self, message: str) -> Callable[[Request], Response]:
        """An endpoint behind the token whose provider is not there."""

        def endpoint(request: Request) -> Response:
            known = self._accounts.user(request.token)
            return _failure(503, message) if known else _failure(401)

        return endpoint


def _object(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _json(told: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    body = json.dumps(told, separators=(",", ":")).encode()
    return Response(status, body, (("Content-Type", "application/json"), *headers))


def _failure(status: int, message: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Response:
    known = HTTPStatus(status)
    told = {"success": False, "code": known.name, "message": message or f"{known.phrase}."}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, ("WWW-Authenticate", "Bearer"))
    return _json(told, status, headers)

"""The service as a WSGI application (Flask), and its server (gunicorn)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # -- it ships no types
from werkzeug.exceptions import HTTPException

from examples.service.counters import Counters
from examples.service.endpoints import MOST_BODY, Endpoints, Summary
from examples.service.limits import rate_limits
from examples.service.signing_in import Doors
from examples.service.steps import Request, Response, Route, carried_out
from examples.wsgi.rate_limit import RateLimitMiddleware
from socialflow_core.wiring import Core

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from wsgiref.types import WSGIApplication

    from examples.service.accounts import Accounts
    from socialflow_core.cache import Cached
    from socialflow_core.config.settings import Settings

__all__ = ["application", "serve"]


def application(core: Core, accounts: Accounts) -> WSGIApplication:
    """The whole application, its limits outermost."""
    counters = Counters()

    def remember(key: str, work: Callable[[], Summary], ttl: timedelta) -> Cached[Summary]:
        return core.cache.lookup(key, work, ttl=ttl)

    endpoints = Endpoints(
        accounts=accounts,
        doors=Doors(core.sessions, core.token_verifier),
        remember=remember,
        report=core.report,
        counters=counters,
        secure=core.settings.service.app_env == "production",
    )
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    # A path is what it is: //health is not /health, under Starlette either.
    app.url_map.merge_slashes = False
    for route in endpoints.routes:
        view = _view(endpoints, route)
        app.add_url_rule(
            *(route.path, route.path, view),
            methods=[route.method],
            provide_automatic_options=False,
        )

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> flask.Response:
        allow = tuple(pair for pair in error.get_headers() if pair[0] == "Allow")
        return _sent(endpoints.error(error.code or 500, allow))

    return RateLimitMiddleware(app.wsgi_app, core.rate_limiter, rate_limits(core, counters.decided))


def serve(settings: Settings, accounts: Accounts, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    _Server(settings, accounts, f"[{host}]:{port}" if ":" in host else f"{host}:{port}").run()


class _Server(BaseApplication):  # type: ignore[misc]  # -- as above
    """Gunicorn with one worker process: counts in memory are a process's own."""

    def __init__(self, settings: Settings, accounts: Accounts, bind: str) -> None:
        self._settings = settings
        self._accounts = accounts
        self._resources = ExitStack()
        self._options = {
            "bind": bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": 8,
            "loglevel": "warning",
            "graceful_timeout": 10,
            # It would open a file in the user's home.
            "control_socket_disable": True,
            "worker_exit": self._close,
        }
        super().__init__()

    def load_config(self) -> None:
        """Take the options; older releases know fewer."""
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Build the blocks in the worker: threads and sockets do not survive a fork."""
        core = self._resources.enter_context(Core(self._settings))
        return application(core, self._accounts)

    def _close(self, _arbiter: object, _worker: object) -> None:
        self._resources.close()


def _view(endpoints: Endpoints, route: Route) -> Callable[[], flask.Response]:
    def answer() -> flask.Response:
        headers = {name.lower(): value for name, value in flask.request.headers.items()}
        request = Request(headers, flask.request.get_data())
        return _sent(carried_out(endpoints.answer(route, request)))

    return answer


def _sent(response: Response) -> flask.Response:
    return flask.Response(response.body, response.status, list(response.headers))

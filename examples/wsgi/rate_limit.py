"""Rate limits as WSGI (PEP 3333) middleware, for any framework or none.

```python
app = RateLimitMiddleware(app, MemoryRateLimiter(), RateLimitOptions(rules=(...,)))
```

Wrap the application as the outermost layer (Flask: `app.wsgi_app = RateLimitMiddleware(app.wsgi_app,
...)`): limits then hold before authentication, and what the framework itself answers (404,
500) carries the headers too. Only what the server answers for an application that raised
has none.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from examples.rate_limit_rules import Outage, RateLimitOptions, merged
from socialflow_core.ratelimit import RateLimiter, Refusal, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["RateLimitMiddleware"]


class RateLimitMiddleware:
    """Limits requests to *app*, whose iterable and `write` reach the server untouched."""

    def __init__(
        self, app: WSGIApplication, limiter: RateLimiter, options: RateLimitOptions
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._options = options
        self._outage = Outage()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer for the application, or let it answer."""
        answer = self._judge(environ)
        if isinstance(answer, Refusal):
            status = HTTPStatus(answer.status)
            start_response(f"{status.value} {status.phrase}", list(answer.headers))
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]
        return self._app(environ, _adding(answer, start_response) if answer else start_response)

    def _judge(self, environ: WSGIEnvironment) -> Refusal | list[tuple[str, str]]:
        limits = self._options.limits(environ["REQUEST_METHOD"], _routed(environ))
        if not limits:
            return []
        # Lines of one name have been joined by the server.
        told = [
            (name, environ[variable])
            for name, variable in (
                ("X-Forwarded-For", "HTTP_X_FORWARDED_FOR"),
                ("Forwarded", "HTTP_FORWARDED"),
            )
            if variable in environ
        ]
        key = self._options.identity.key(environ.get("REMOTE_ADDR"), told)
        try:
            decision = self._limiter.hit(key, *limits)
        except UnavailableError as error:
            self._outage.begins(error, self._options.on_unavailable)
            return self._options.answer_unavailable()
        self._outage.ends()
        return self._options.answer(decision)


def _routed(environ: WSGIEnvironment) -> str:
    # WSGI hands over the path's bytes as if they were Latin-1.
    path: str = environ.get("PATH_INFO", "")
    return path.encode("latin-1").decode("utf-8", "replace")


def _adding(ours: list[tuple[str, str]], start_response: StartResponse) -> StartResponse:
    # May be called again with exc_info, as the application may; every call is passed on.
    def adding(
        status: str, theirs: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        return start_response(status, merged(int(status[:3]), theirs, ours), exc_info)

    return adding

"""Bearer tokens (RFC 6750) as WSGI (PEP 3333) middleware, for any framework or none.

```python
app = BearerMiddleware(app, verifier, BearerOptions(is_open=lambda path: path == "/login"))
```

What the token says is in `environ["socialflow.claims"]` (Flask: `request.environ`); None where
none was brought. Wrap it outside of a cache and inside of rate limits; and inside of CORS, for a
browser asks without a token whether it may send one (OPTIONS).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from examples.bearer_rules import BearerOptions, Refused
from socialflow_core.auth import Claims, TokenError, UnavailableError, Verifier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CLAIMS", "BearerMiddleware"]

CLAIMS = "socialflow.claims"
"""Where the application finds the claims."""


class BearerMiddleware:
    """Lets requests through to *app* that bring a token it believes."""

    def __init__(self, app: WSGIApplication, verifier: Verifier, options: BearerOptions) -> None:
        self._app = app
        self._verifier = verifier
        self._options = options

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer for the application, or let it answer."""
        answer = self._judge(environ)
        if not isinstance(answer, Refused):
            return self._app({**environ, CLAIMS: answer}, start_response)
        status = HTTPStatus(answer.status)
        start_response(f"{status.value} {status.phrase}", list(answer.headers))
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    def _judge(self, environ: WSGIEnvironment) -> Claims | Refused | None:
        options = self._options
        # WSGI hands over the path's bytes as if they were Latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        # Lines of one name have been joined by the server: two are no token then.
        told = [
            (name, environ[variable])
            for name, variable in (
                ("Authorization", "HTTP_AUTHORIZATION"),
                ("Cookie", "HTTP_COOKIE"),
            )
            if variable in environ
        ]
        token = options.token(told)
        if token is None:
            return None if options.is_open(path) else options.needs_token()
        if not token:
            return options.refuses(None)
        try:
            return self._verifier.verify(token, failure=options.policy(path))
        except TokenError as error:
            return options.refuses(error)
        except UnavailableError:
            return options.uncertain()

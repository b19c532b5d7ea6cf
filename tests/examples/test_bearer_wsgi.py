"""Bearer tokens before WSGI applications, checked by the standard library's own checker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from examples.bearer_rules import BearerOptions
from examples.wsgi.bearer import CLAIMS, BearerMiddleware
from tests.examples.tokens import mint

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def test_the_checker_finds_nothing() -> None:
    """A refused and an allowed request keep every rule of PEP 3333 that it knows."""
    tokens = mint()
    seen: list[WSGIEnvironment] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ[CLAIMS].subject.encode()]

    guarded = validator(BearerMiddleware(validator(app), tokens.verifier, BearerOptions()))
    statuses: list[str] = []
    bodies: list[bytes] = []

    def start(status: str, _headers: Any, _exc_info: Any = None, /) -> Any:
        statuses.append(status)

    for headers in ({}, {"HTTP_AUTHORIZATION": f"Bearer {tokens.token()}"}):
        environ: WSGIEnvironment = {
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            **headers,
        }
        setup_testing_defaults(environ)
        iterable: Any = guarded(environ, start)
        bodies.append(b"".join(iterable))
        iterable.close()
        assert CLAIMS not in environ  # it is the server's
    assert statuses == ["401 Unauthorized", "200 OK"]
    assert bodies[1] == b"alice"
    assert len(seen) == 1

"""The fine print of WSGI: what passes through untouched, by the standard library's own checker."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from examples.rate_limit_rules import RateLimitOptions, Rule
from examples.wsgi.rate_limit import RateLimitMiddleware
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.memory import MemoryRateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

OPTIONS = RateLimitOptions(rules=(Rule("/api/ä", (Limit("api", Rate.parse("1/hour")),)),))
NAMES = [
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("RateLimit-Policy", "RateLimit"),
]


class Server:
    """A strict server: the checker stands on both sides of the middleware."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = validator(RateLimitMiddleware(validator(app), MemoryRateLimiter(), OPTIONS))
        self.starts: list[tuple[str, list[str], bool]] = []
        self.written: list[bytes] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        """Note how an answer starts."""
        self.starts.append((status, [name for name, _ in headers], exc_info is not None))
        return self.written.append

    def get(self, method: str = "GET") -> list[bytes]:
        """Ask for a limited path, and read the answer to its end."""
        environ: WSGIEnvironment = {"REQUEST_METHOD": method, "QUERY_STRING": "", "SCRIPT_NAME": ""}
        # The bytes of /api/ä, as WSGI writes them.
        environ["PATH_INFO"] = "/api/\xc3\xa4"
        setup_testing_defaults(environ)
        iterable = self.app(environ, self.start)
        try:
            return list(iterable)
        finally:
            iterable.close()  # type: ignore[attr-defined]  # -- the checker's iterable has one


TEXT = ("Content-Type", "text/plain")


def test_the_checker_finds_nothing() -> None:
    """An allowed and a refused request keep every rule of PEP 3333 that it knows."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [TEXT])
        return [b"a", b"b"]

    server = Server(app)
    assert server.get() == [b"a", b"b"]
    assert server.starts == [("200 OK", ["Content-Type", *NAMES], False)]
    (body,) = server.get()
    assert body.startswith(b'{"success":false')
    assert server.starts[1][0] == "429 Too Many Requests"


def test_write_reaches_the_server() -> None:
    """The callable that start_response answers is the server's own."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [TEXT])
        write(b"written")
        return [b"returned"]

    server = Server(app)
    assert server.get() == [b"returned"]
    assert server.written == [b"written"]


def test_an_application_may_start_again_with_its_error() -> None:
    """Both starts are passed on, each with the headers, the second with exc_info."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [TEXT])
        try:
            int("no number")
        except ValueError:
            start_response("500 Oops", [TEXT], sys.exc_info())
        return [b"sorry"]

    server = Server(app)
    assert server.get() == [b"sorry"]
    assert server.starts == [
        ("200 OK", ["Content-Type", *NAMES], False),
        ("500 Oops", ["Content-Type", *NAMES], True),
    ]


def test_a_generator_starts_when_it_is_read_and_is_closed() -> None:
    """Nothing is read ahead, and the server's close() is the application's."""
    steps: list[str] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        try:
            start_response("200 OK", [TEXT])
            steps.append("started")
            yield b"a"
            steps.append("read on")
            yield b"b"
        finally:
            steps.append("closed")

    assert Server(app).get() == [b"a", b"b"]
    assert steps == ["started", "read on", "closed"]


def test_the_iterable_is_the_applications_own() -> None:
    """A server that knows wsgi.file_wrapper recognises what it made."""
    wrapped: list[bytes] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return wrapped

    limited = RateLimitMiddleware(app, MemoryRateLimiter(), OPTIONS)
    environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/\xc3\xa4"}
    assert limited(environ, Server(app).start) is wrapped


def test_an_exception_of_the_application_is_the_servers() -> None:
    """What the application raises goes on to the server."""

    def app(_: WSGIEnvironment, _start: StartResponse) -> list[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Server(app).get()


def test_paths_are_what_the_application_routes() -> None:
    """SCRIPT_NAME, where the application is mounted, is no part of a rule's path."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return []

    server = Server(app)
    limited = RateLimitMiddleware(app, MemoryRateLimiter(), OPTIONS)
    for name, path in (("/api", "/\xc3\xa4"), ("/v1", "/api/\xc3\xa4"), ("/v1", "/api/\xc3\xa4")):
        limited({"REQUEST_METHOD": "GET", "SCRIPT_NAME": name, "PATH_INFO": path}, server.start)
    assert [status for status, _, _ in server.starts] == [
        "200 OK",
        "200 OK",
        "429 Too Many Requests",
    ]

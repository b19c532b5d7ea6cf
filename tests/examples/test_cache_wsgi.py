"""A cache before WSGI applications, checked by the standard library's own checker."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import flask
import pytest

from examples.http_cache_rules import HttpCacheOptions
from examples.wsgi.cache import CacheMiddleware
from socialflow_core.cache import HttpPolicy, Policy
from socialflow_core.cache.memory import MemoryCache
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.poll import wait_until
from tests.examples.loopback import served_wsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

OPTIONS = HttpCacheOptions()
FRESH = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]


class Answer:
    """What came back."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_exc_info = False


class Client:
    """Asks a cached application; the checker stands on both sides."""

    def __init__(self, app: WSGIApplication, options: HttpCacheOptions = OPTIONS) -> None:
        self.clock = ManualClock()
        self.cache = MemoryCache(clock=self.clock)
        self.app = validator(CacheMiddleware(validator(app), self.cache, options))

    def __call__(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Ask once; `_` in names of headers stands for `-`."""
        answer = Answer()

        def start(
            status: str, told: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            answer.status, answer.headers = status, {name.lower(): value for name, value in told}
            answer.has_exc_info = exc_info is not None

            def write(part: bytes) -> None:
                answer.body += part

            return write

        environ: WSGIEnvironment = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": ""}
        environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
        environ["QUERY_STRING"] = ""
        setup_testing_defaults(environ)
        iterable = self.app(environ, start)
        try:
            for part in iterable:
                answer.body += part
        finally:
            iterable.close()  # type: ignore[attr-defined]  # -- the checker's iterable has one
        return answer


class Counting:
    """Answers with a number, and notes whether all that it answered was closed."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.calls = self.closed = 0
        self.headers = [*FRESH, *headers]
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, _: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer in two parts."""
        self.calls += 1
        return self._parts(self.calls, start_response)

    def _parts(self, number: int, start_response: StartResponse) -> Iterator[bytes]:
        try:
            assert self.may_go_on.wait(10)
            start_response("200 OK", [*self.headers])
            yield b"n"
            yield b"%d" % number
        finally:
            self.closed += 1


def test_it_answers_once_for_all() -> None:
    """The second gets what the first got, its age, and how it came by it."""
    app = Counting()
    client = Client(app)
    first = client()
    client.clock.advance(timedelta(seconds=7))
    second = client()
    assert (first.body, second.body) == (b"n1", b"n1")
    assert first.headers["cache-status"] == "socialflow; fwd=miss; ttl=60; stored"
    assert second.headers["cache-status"] == "socialflow; hit; ttl=53"
    assert (second.headers["age"], second.headers["content-length"]) == ("7", "2")
    brief = client(if_none_match=first.headers["etag"])
    assert (brief.status, brief.body) == ("304 Not Modified", b"")
    assert (app.calls, app.closed) == (1, 1)


@pytest.mark.parametrize("private", [False, True])
def test_many_at_once(private: bool) -> None:  # noqa: FBT001 -- pytest gives it by name
    """One reaches the application for all; unless its answer is for itself alone."""
    app = Counting(*([("Set-Cookie", "a=b")] if private else []))
    client = Client(app)
    app.may_go_on.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client) for _ in range(8)]
        wait_until(lambda: app.calls > 0, "the first has arrived")
        app.may_go_on.set()
        bodies = {each.result(10).body for each in asked}
    assert len(bodies) == (8 if private else 1)
    assert app.closed == app.calls


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"authorization": "Bearer x"}, "fwd=bypass; detail=authorization"),
        ("GET", {"cookie": "a=b"}, "fwd=bypass; detail=cookie"),
    ],
)
def test_what_passes_by(method: str, headers: dict[str, str], status: str) -> None:
    """It neither gets what is kept, nor is kept."""
    app = Counting()
    client = Client(app)
    client()
    passing = client(method=method, **headers)
    assert passing.headers["cache-status"] == f"socialflow; {status}"
    assert (app.calls, client().body) == (2, b"n1")


def test_a_change_drops_what_it_changed() -> None:
    """After a POST that was not refused the next GET asks the application (RFC 9111, 4.4)."""
    app = Counting()
    client = Client(app)
    assert [client("/a").body, client("/b").body] == [b"n1", b"n2"]
    client("/a", "POST")
    assert [client("/a").body, client("/b").body] == [b"n4", b"n2"]


def test_a_stream_is_not_held_back() -> None:
    """What is not kept is passed on part by part, and closed when its client goes."""
    produced: list[int] = []
    closed = threading.Event()

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for number in range(10**9):
                produced.append(number)
                yield b"x"
        finally:
            closed.set()

    cached = CacheMiddleware(app, MemoryCache(), OPTIONS)
    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    iterable: Any = cached(environ, lambda *_: lambda _: None)
    parts = iter(iterable)
    assert [next(parts) for _ in range(3)] == [b"x"] * 3
    assert len(produced) == 3
    iterable.close()
    assert closed.is_set()


def test_what_grows_too_large_is_passed_on() -> None:
    """What was held back comes first, and nothing is kept."""
    app = Counting()
    client = Client(app, HttpCacheOptions(http=HttpPolicy(max_body=1)))
    assert [client().body for _ in range(2)] == [b"n1", b"n2"]
    assert app.closed == 2


def test_write_is_held_back_too() -> None:
    """The old way to answer: kept if it may be, else passed on in its order."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fresh = FRESH if environ["PATH_INFO"] == "/kept" else FRESH[:1]
        write = start_response("200 OK", [*fresh])
        write(b"a")
        write(b"b")
        return [b"c", b"d"]

    client = Client(app)
    assert [client("/kept").body for _ in range(2)] == [b"abcd"] * 2
    assert client("/kept").headers["cache-status"].startswith("socialflow; hit")
    assert client("/other").body == b"abcd"


def test_an_error_is_not_kept() -> None:
    """What the application raises reaches the server, and is asked for again."""
    calls = 0

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        start_response("200 OK", [*FRESH])
        return [b"ok"]

    cached = CacheMiddleware(app, MemoryCache(), OPTIONS)
    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    with pytest.raises(ZeroDivisionError):
        cached({**environ}, lambda *_: lambda _: None)
    assert list(cached({**environ}, lambda *_: lambda _: None)) == [b"ok"]


def test_an_answer_that_is_replaced_in_time() -> None:
    """`start_response` with exc_info replaces what was held back; later it raises."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", FRESH[:1])
        if environ["PATH_INFO"] == "/late":
            yield b"begun"
        try:
            environ.pop("it is not there")
        except KeyError:
            start_response("500 -", FRESH[:1], sys.exc_info())
        yield b"failed"

    client = Client(app)
    soon = client("/soon")
    assert (soon.status, soon.body) == ("500 -", b"failed")
    with pytest.raises(KeyError):
        client("/late")


def test_what_is_stale_is_handed_out_and_computed_anew() -> None:
    """In the background, for whoever comes next; what turns out private is closed."""
    app = Counting()
    policy = Policy(early=0, stale_while_revalidate=timedelta(minutes=5))
    client = Client(app, HttpCacheOptions(http=HttpPolicy(serves_stale=True), policy=policy))
    client()
    client.clock.advance(timedelta(seconds=61))
    assert client().headers["cache-status"] == "socialflow; hit; ttl=-1"
    wait_until(lambda: client().body == b"n2", "it was computed anew")
    app.headers.append(("Set-Cookie", "a=b"))
    client.clock.advance(timedelta(seconds=61))
    assert client().body == b"n2"
    wait_until(lambda: app.calls == app.closed > 2, "what is private was closed")


def test_it_works_behind_a_server() -> None:
    """Over a socket, with Flask."""
    app = flask.Flask(__name__)
    calls: list[str] = []

    @app.get("/<path:path>")
    def answer(path: str) -> flask.Response:
        calls.append(path)
        response = flask.Response(f"{len(calls)}")
        response.cache_control.max_age = 60
        return response

    with served_wsgi(CacheMiddleware(app.wsgi_app, MemoryCache(), OPTIONS)) as server:
        first, second = server("/x"), server("/x")
        assert first.body == second.body == b"1"
        assert second.all("Cache-Status")[0].startswith("socialflow; hit")
        assert server("/x", If_None_Match=first.all("ETag")[0]).status == 304
    assert calls == ["x"]

"""A cache before WSGI applications: broken messages, failures, and who is known otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest

from examples.http_cache_rules import HttpCacheOptions
from examples.wsgi.cache import CacheMiddleware
from socialflow_core.cache import HttpPolicy, Policy, http_date
from socialflow_core.cache.memory import MemoryCache
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.poll import wait_until
from tests.examples.loopback import served_wsgi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

FRESH = ("Cache-Control", "max-age=60")
NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


class Telling:
    """An application that answers so, behind a cache; it counts how often it is asked."""

    def __init__(self, *headers: tuple[str, str], body: Iterable[bytes] = (b"ok",)) -> None:
        self.calls = self.closed = 0
        self.status = "200 OK"
        self.headers = [*headers]
        self.body = body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer; whoever is known is greeted."""
        self.calls += 1
        start_response(self.status, [*self.headers])
        try:
            yield from self.body
            yield str(environ.get("REMOTE_USER", "")).encode()
        finally:
            self.closed += 1


class Client:
    """Asks a cached application without a socket."""

    def __init__(self, app: Telling, options: HttpCacheOptions | None = None) -> None:
        self.clock = ManualClock()
        cache = MemoryCache(clock=self.clock)
        self.app = CacheMiddleware(app, cache, options or HttpCacheOptions())

    def __call__(self, **variables: str) -> tuple[str, dict[str, str], bytes]:
        """Ask with these variables: status, fields, content."""
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            told[:] = status, {name.lower(): value for name, value in headers}

        environ: WSGIEnvironment = {**variables}
        setup_testing_defaults(environ)
        iterable: Any = self.app(environ, start)
        body = b"".join(iterable)
        getattr(iterable, "close", lambda: None)()
        return told[0], told[1], body


def test_a_wrong_length_is_the_first_ones_alone() -> None:
    """Its client sees that the message is broken, each time, and nobody gets it as whole."""
    telling = Telling(FRESH, ("Content-Length", "100"))
    client = Client(telling)
    for _ in range(2):
        _, headers, body = client()
        assert (headers["content-length"], body) == ("100", b"ok")
        assert headers["cache-status"] == "socialflow; fwd=miss"
    assert telling.calls == telling.closed == 2
    with served_wsgi(client.app) as server, pytest.raises(Exception, match="IncompleteRead"):
        server("/")


def test_what_is_for_one_connection_is_not_sent_again() -> None:
    """A hit has a length, and no coding of a connection that is gone."""
    client = Client(Telling(FRESH, ("Connection", "x-one"), ("X-One", "1"), ("Keep-Alive", "5")))
    for _ in range(2):
        _, headers, body = client()
        assert not {"connection", "x-one", "keep-alive"} & set(headers)
        assert (body, headers["content-length"]) == (b"ok", "2")


@pytest.mark.parametrize(("old", "calls"), [(20, 1), (3600, 2)])
def test_what_was_sent_long_ago_is_not_fresh(old: int, calls: int) -> None:
    """As its `Date` says it."""
    telling = Telling(FRESH, ("Date", http_date(NOW - timedelta(seconds=old))))
    client = Client(telling, HttpCacheOptions(now=lambda: NOW))
    assert client()[2] == client()[2] == b"ok"
    assert telling.calls == telling.closed == calls


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_an_escaped_path_is_another_one(name: str) -> None:
    """Where the server says what was sent; its query counts once."""
    telling = Telling(FRESH)
    client = Client(telling)
    for sent in ("/a%2Fb", "/a/b?x", "/a%2Fb?"):
        client(PATH_INFO="/a/b", **{name: sent})
    assert telling.calls == 2


@pytest.mark.parametrize(
    "known",
    [
        {"REMOTE_USER": "alice"},
        {"AUTH_TYPE": "Basic"},
        {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN": "CN=alice"},
    ],
)
def test_who_is_known_otherwise_passes_by(known: dict[str, str]) -> None:
    """As one with `Authorization` does (RFC 9111, 3.5), who servers like to hide."""
    telling = Telling(FRESH)
    client = Client(telling)
    client()
    assert client(**known)[1]["cache-status"] == "socialflow; fwd=bypass; detail=authorization"
    for unknown in ({"SSL_CLIENT_VERIFY": "NONE"}, {"REMOTE_USER": "", "AUTH_TYPE": ""}):
        assert client(**unknown)[1]["cache-status"].startswith("socialflow; hit")
    assert telling.calls == 2


def test_nobody_is_greeted_by_the_name_of_another() -> None:
    """Unless the application says that its answer is for all."""
    client = Client(Telling(FRESH))
    assert [client(REMOTE_USER=name)[2] for name in ("alice", "bob")] == [b"okalice", b"okbob"]
    client = Client(
        Telling(("Cache-Control", "public, max-age=60")),
        HttpCacheOptions(http=HttpPolicy(keep_authorized=True)),
    )
    assert [client(REMOTE_USER=name)[2] for name in ("alice", "bob")] == [b"okalice"] * 2


FAILING = HttpPolicy(serves_stale=True)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_is_answered_with_what_is_stale(status: int) -> None:
    """RFC 5861, 4: whether the application raises, or says itself that it has failed."""
    telling = Telling(FRESH)
    policy = Policy(early=0, stale_if_error=timedelta(hours=1))
    client = Client(telling, HttpCacheOptions(http=FAILING, policy=policy))
    client()
    telling.status, telling.headers = f"{status} -", []
    client.clock.advance(timedelta(seconds=61))
    answer = client()
    assert (answer[0], answer[2]) == ("200 OK", b"ok")
    assert answer[1]["cache-status"] == "socialflow; hit; ttl=-1"
    client.clock.advance(timedelta(hours=2))
    assert client()[0] == f"{status} -"
    assert telling.calls == telling.closed == 3


def test_a_failure_is_told_where_nothing_else_is_at_hand() -> None:
    """By the very run that failed; those who waited for it ask for themselves."""
    telling = Telling(FRESH)
    telling.status = "503 -"
    policy = Policy(early=0, stale_if_error=timedelta(hours=1))
    client = Client(telling, HttpCacheOptions(http=FAILING, policy=policy))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client(), range(4)))
    assert {each[0] for each in answers} == {"503 -"}
    assert telling.calls == telling.closed == 4


def test_a_failure_in_the_background_is_closed() -> None:
    """What is stale goes on being handed out."""
    telling = Telling(FRESH)
    policy = Policy(early=0, stale_if_error=timedelta(1), stale_while_revalidate=timedelta(1))
    client = Client(telling, HttpCacheOptions(http=FAILING, policy=policy))
    client()
    telling.status = "500 -"
    client.clock.advance(timedelta(seconds=61))
    for _ in range(2):
        assert client()[2] == b"ok"
        wait_until(lambda: telling.calls == telling.closed > 1, "it failed, and was closed")


def test_headers_are_judged_once() -> None:
    """However many parts a response has."""
    looks = 0

    def now() -> datetime:
        nonlocal looks
        looks += 1
        return NOW

    client = Client(Telling(FRESH, body=[b"x"] * 1000), HttpCacheOptions(now=now))
    assert client()[2] == b"x" * 1000
    assert looks < 5

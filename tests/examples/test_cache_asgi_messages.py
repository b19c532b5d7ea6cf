"""A cache before ASGI applications: broken messages, and who is known otherwise."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.middleware.authentication import AuthenticationMiddleware

from examples.http_cache_rules import HttpCacheOptions
from socialflow_core.cache import http_date
from tests.examples.cached import Client, Counting, asking

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from examples.asgi.rate_limit import App, Message, Receive, Scope, Send

FRESH = (b"cache-control", b"max-age=60")
NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    """The first message of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes, *, more_body: bool = False) -> Message:
    """One of the others."""
    return {"type": "http.response.body", "body": body, "more_body": more_body}


class Telling:
    """An application that sends these messages, and counts how often."""

    def __init__(self, *messages: Message) -> None:
        self.messages = messages
        self.calls = 0
        self.app: App = self._answer

    async def _answer(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.calls += 1
        for message in self.messages:
            await send(message)


@pytest.mark.parametrize("rest", [[], [part(b"the first half", more_body=True)]])
def test_what_ends_in_its_midst_is_not_taken_for_whole(rest: list[Message]) -> None:
    """Its client learns of it, nothing is kept, and the next one asks again."""
    telling = Telling(start(FRESH), *rest)

    async def main() -> None:
        async with asking(telling.app) as client:
            for _ in range(2):
                with pytest.raises(RuntimeError, match="midst"):
                    await client()
            assert telling.calls == 2

    asyncio.run(main())


@pytest.mark.parametrize("length", [b"100", b"3", b"x"])
def test_a_wrong_length_is_the_first_ones_alone(length: bytes) -> None:
    """It goes out as it came, for the server to see, and is not kept."""
    telling = Telling(start(FRESH, (b"content-length", length)), part(b"only this"))

    async def main() -> None:
        async with asking(telling.app) as client:
            for _ in range(2):
                answer = await client()
                assert answer.headers["content-length"] == length.decode()
                assert answer.headers["cache-status"] == "socialflow; fwd=miss"
            assert telling.calls == 2

    asyncio.run(main())


def test_what_is_for_one_connection_is_not_sent_again() -> None:
    """A hit has a length, and no coding of a connection that is gone."""
    hops = (b"transfer-encoding", b"chunked"), (b"connection", b"x-one"), (b"x-one", b"1")
    telling = Telling(start(FRESH, *hops), part(b"a", more_body=True), part(b"b"))

    async def main() -> None:
        async with asking(telling.app) as client:
            for _ in range(2):
                answer = await client()
                assert not {"transfer-encoding", "connection", "x-one"} & set(answer.headers)
                assert (answer.body, answer.headers["content-length"]) == (b"ab", "2")
            assert telling.calls == 1

    asyncio.run(main())


@pytest.mark.parametrize(("old", "calls"), [(20, 1), (60, 2), (3600, 2)])
def test_what_was_sent_long_ago_is_not_fresh(old: int, calls: int) -> None:
    """As its `Date` says it."""
    date = http_date(NOW - timedelta(seconds=old)).encode()
    telling = Telling(start(FRESH, (b"date", date)), part(b""))

    async def main() -> None:
        async with asking(telling.app, HttpCacheOptions(now=lambda: NOW)) as client:
            answers = [await client() for _ in range(2)]
            assert telling.calls == calls
            if calls == 1:
                assert [each.headers["age"] for each in answers] == [str(old)] * 2

    asyncio.run(main())


def test_an_escaped_path_is_another_one() -> None:
    """An application may route by what was sent."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        async with asking(counting.app) as client:
            bodies = []
            for path in (b"/a%2Fb", b"/a/b", b"/a%2Fb"):
                client.scope = {"raw_path": path}
                bodies.append((await client("/a/b")).body)
            assert bodies == [b"1", b"2", b"1"]
            await client("/a/b", "POST")
            assert (await client("/a/b")).body == b"4"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("scope", "is_known"),
    [
        ({"user": SimpleUser("alice")}, True),
        ({"user": "alice"}, True),
        ({"auth": AuthCredentials(["authenticated"])}, True),
        ({"auth": {"sub": "alice"}}, True),
        ({"extensions": {"tls": {"client_cert_name": "CN=alice"}}}, True),
        ({"extensions": {"tls": {"client_cert_chain": ["..."]}}}, True),
        ({"user": UnauthenticatedUser(), "auth": AuthCredentials()}, False),
        ({"extensions": {"tls": {"client_cert_name": None, "client_cert_chain": []}}}, False),
        ({"extensions": None, "user": None, "auth": None, "raw_path": None}, False),
    ],
)
def test_who_is_known_otherwise_passes_by(scope: dict[str, Any], is_known: bool) -> None:  # noqa: FBT001 -- pytest gives it by name
    """As one with `Authorization` does (RFC 9111, 3.5)."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        async with asking(counting.app) as client:
            await client()
            client.scope = scope
            status = (await client()).headers["cache-status"]
            assert ("fwd=bypass; detail=authorization" in status) == is_known
            assert counting.calls == 1 + is_known

    asyncio.run(main())


def test_nobody_is_greeted_by_the_name_of_another() -> None:
    """Starlette's own authentication, by a field of its own, stands outside of the cache."""

    class Named(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            name = conn.headers.get("x-user")
            return name and (AuthCredentials(["authenticated"]), SimpleUser(name))

    async def greet(scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(FRESH))
        await send(part(scope["user"].display_name.encode()))

    async def main() -> None:
        async with asking(greet) as client:
            outside: Any = AuthenticationMiddleware(client.app, Named())
            client.app = outside
            assert (await client(x_user="alice")).body == b"alice"
            assert (await client(x_user="bob")).body == b"bob"
            assert [(await client()).body for _ in range(2)] == [b""] * 2

    asyncio.run(main())


def test_headers_are_judged_once() -> None:
    """However many parts a response has."""
    looks = 0

    def now() -> datetime:
        nonlocal looks
        looks += 1
        return NOW

    parts = [part(b"x", more_body=True)] * 1000
    telling = Telling(start(FRESH), *parts, part(b""))

    async def main() -> None:
        client = Client(telling.app, HttpCacheOptions(now=now))
        assert (await client()).body == b"x" * 1000
        assert looks < 5

    asyncio.run(main())

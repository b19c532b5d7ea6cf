"""The fine print of ASGI: what passes through untouched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from examples.asgi.rate_limit import RateLimitMiddleware
from examples.rate_limit_rules import RateLimitOptions, Rule
from socialflow_core.ratelimit import Limit, Rate
from socialflow_core.ratelimit.memory import AsyncMemoryRateLimiter

if TYPE_CHECKING:
    from examples.asgi.rate_limit import App, Message, Receive, Scope, Send

OPTIONS = RateLimitOptions(rules=(Rule("/api", (Limit("api", Rate.parse("1/hour")),)),))


def request(**changes: Any) -> Scope:
    """An HTTP request to a limited path."""
    scope: Scope = {"type": "http", "method": "GET", "path": "/api", "headers": [], "client": None}
    return {**scope, **changes}


def drive(app: App, *scopes: Scope) -> list[list[Message]]:
    """What one middleware around *app* sends for each scope."""

    async def main() -> list[list[Message]]:
        limited = RateLimitMiddleware(app, AsyncMemoryRateLimiter(), OPTIONS)
        sent: list[list[Message]] = []
        for scope in scopes:
            messages: list[Message] = []

            async def send(message: Message, messages: list[Message] = messages) -> None:
                await asyncio.sleep(0)
                messages.append(message)

            await limited(scope, receive, send)
            sent.append(messages)
        return sent

    return asyncio.run(main())


async def receive() -> Message:
    """Nothing is ever received here."""
    raise AssertionError


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "something new"])
def test_only_http_is_limited(kind: str) -> None:
    """Every other protocol reaches the application with the server's own callables."""
    seen: list[tuple[Scope, Receive]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive))
        await send({"type": f"{kind}.start", "headers": []})

    scope: Scope = {"type": kind, "path": "/api"}
    assert drive(app, scope, scope) == [[{"type": f"{kind}.start", "headers": []}]] * 2
    assert seen == [(scope, receive)] * 2


def test_only_the_start_of_the_answer_is_changed() -> None:
    """Trailers, early hints and bodies pass as they are, and so do other keys of the start."""
    start: Message = {"type": "http.response.start", "status": 200, "trailers": True}
    others: list[Message] = [
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b"},
        {"type": "http.response.trailers", "headers": [(b"ratelimit", b"x")]},
    ]

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in (start, *others):
            await send(message)

    (sent,) = drive(app, request())
    assert sent[1:] == others
    assert {**sent[0], "headers": None} == {**start, "headers": None}
    assert sent[0]["headers"][0] == (b"ratelimit-limit", b"1")
    assert "headers" not in start


def test_an_exception_of_the_application_is_the_servers() -> None:
    """What the application raises goes on to the server, and the request has counted."""

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drive(app, request())


@pytest.mark.parametrize(
    ("root", "path", "limited"),
    [
        ("", "/api", True),
        ("/v1", "/v1/api", True),
        ("/v1", "/api", True),  # a server that takes the prefix off itself
        ("/v1", "/v1", False),
        ("/ap", "/api", True),  # no prefix: half a segment
        ("/api", "/api/users", False),
    ],
)
def test_paths_are_what_the_application_routes(root: str, path: str, *, limited: bool) -> None:
    """`root_path` is where the application is mounted; rules do not know of it."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    scope = request(root_path=root, path=path)
    first, second = drive(app, scope, scope)
    assert [message[0]["status"] for message in (first, second)] == [200, 429 if limited else 200]


def test_callers_are_known_by_the_address_of_their_connection() -> None:
    """Two addresses have two counts, whatever their ports; no address is one caller."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    clients = [("203.0.113.7", 1), ("203.0.113.7", 2), ("203.0.113.8", 1), None, None]
    sent = drive(app, *(request(client=client) for client in clients))
    assert [messages[0]["status"] for messages in sent] == [200, 429, 200, 200, 429]

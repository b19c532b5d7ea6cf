"""Bearer tokens before ASGI applications: what is not HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from examples.asgi.bearer import BearerMiddleware
from examples.bearer_rules import BearerOptions
from tests.examples.tokens import mint

if TYPE_CHECKING:
    from examples.asgi.rate_limit import Message, Receive, Scope, Send


def drive(scope: Scope, *heard: Message) -> tuple[list[Message], list[Any]]:
    """What is sent for *scope*, and the states that reach the application."""
    states: list[Any] = []
    sent: list[Message] = []
    messages = iter(heard)

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(0)
        states.append(scope.get("state"))

    async def receive() -> Message:
        await asyncio.sleep(0)
        return next(messages)

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    asyncio.run(BearerMiddleware(app, TOKENS.averifier, BearerOptions())(scope, receive, send))
    return sent, states


TOKENS = mint()


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_claims_are_in_a_state_of_their_own(kind: str) -> None:
    """Beside what the lifespan put there, which other requests share and do not see."""
    headers = [(b"authorization", f"Bearer {TOKENS.token()}".encode())]
    shared = {"pool": 1}
    scope: Scope = {"type": kind, "method": "GET", "path": "/", "headers": headers}
    sent, states = drive({**scope, "state": shared})
    assert (sent, shared) == ([], {"pool": 1})
    assert states[0]["pool"] == 1
    assert states[0]["claims"].subject == "alice"


def test_a_websocket_without_a_token_is_closed() -> None:
    """Before it is accepted, which a server makes a 403."""
    scope: Scope = {"type": "websocket", "path": "/", "headers": []}
    sent, states = drive(scope, {"type": "websocket.connect"})
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert states == []


def test_a_websocket_is_told_why_where_the_server_can() -> None:
    """By the extension for that: the whole refusal, as for a request."""
    scope: Scope = {"type": "websocket", "path": "/", "headers": []}
    scope["extensions"] = {"websocket.http.response": {}}
    (start, body), states = drive(scope, {"type": "websocket.connect"})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert dict(start["headers"])[b"www-authenticate"] == b'Bearer realm="api"'
    assert body["type"] == "websocket.http.response.body"
    assert json.loads(body["body"])["code"] == "UNAUTHORIZED"
    assert states == []


def test_the_lifespan_passes_through() -> None:
    """Nobody brings a token there."""
    assert drive({"type": "lifespan"}) == ([], [None])

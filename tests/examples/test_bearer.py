"""Bearer tokens before Starlette and Flask: one suite for both (RFC 6750)."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import flask
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from examples.asgi.bearer import BearerMiddleware as AsgiBearer
from examples.bearer_rules import BearerOptions
from examples.wsgi.bearer import CLAIMS
from examples.wsgi.bearer import BearerMiddleware as WsgiBearer
from socialflow_core.auth import TokenKind
from tests.examples.loopback import served, served_wsgi
from tests.examples.tokens import mint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from starlette.requests import Request
    from starlette.responses import Response

    from examples.asgi.rate_limit import App
    from tests.examples.loopback import Answer, Server
    from tests.examples.tokens import Mint

OPTIONS = BearerOptions(
    realm="socialflow",
    is_open=lambda path: path == "/open",
    cookie="token",
    failure_of=lambda path: "closed" if path == "/money" else None,
)
PATHS = ("/me", "/open", "/money")


def starlette() -> App:
    """Tells who asks."""

    async def who(request: Request) -> Response:
        claims = request.state.claims
        return JSONResponse({"who": claims.subject if claims else None})

    return Starlette(routes=[Route(path, who) for path in PATHS])


def flask_app() -> flask.Flask:
    """The same."""
    app = flask.Flask(__name__)

    def who() -> dict[str, str | None]:
        claims = flask.request.environ[CLAIMS]
        return {"who": claims.subject if claims else None}

    for path in PATHS:
        app.add_url_rule(path, path, who)
    return app


STACKS: dict[str, Callable[[Mint], AbstractContextManager[Server]]] = {
    "starlette": lambda mint: served(AsgiBearer(starlette(), mint.averifier, OPTIONS)),
    "flask": lambda mint: served_wsgi(WsgiBearer(flask_app().wsgi_app, mint.verifier, OPTIONS)),
}


@pytest.fixture
def tokens() -> Mint:
    """Real ones."""
    return mint()


@pytest.fixture(params=STACKS)
def ask(request: pytest.FixtureRequest, tokens: Mint) -> Iterator[Server]:
    """A served application that needs them."""
    with STACKS[request.param](tokens) as server:
        yield server


def challenge(answer: Answer) -> str:
    """Why it was refused; body and headers are those of a refusal."""
    assert answer.status == 401
    assert answer.all("Content-Type") == ["application/json"]
    assert answer.all("Cache-Control") == ["no-store"]
    told = json.loads(answer.body)
    assert told["success"] is False
    assert {"code", "message"} <= set(told)
    (value,) = answer.all("WWW-Authenticate")
    return value


def test_who_brings_a_token_is_known(ask: Server, tokens: Mint) -> None:
    """In a header, whose scheme is written as one likes, or in the cookie."""
    token = tokens.token()
    for value in (f"Bearer {token}", f"bEARER  {token} "):
        assert ask("/me", Authorization=value).body.replace(b" ", b"").strip() == b'{"who":"alice"}'
    answer = ask("/open", Cookie=f"a=b; token={token}")
    assert json.loads(answer.body) == {"who": "alice"}


def test_without_a_token_no_error_is_named(ask: Server) -> None:
    """RFC 6750, 3.1: whoever brought none has made no mistake; open paths are open."""
    assert challenge(ask("/me")) == 'Bearer realm="socialflow"'
    assert challenge(ask("/me", Cookie="other=x")) == 'Bearer realm="socialflow"'
    assert json.loads(ask("/open").body) == {"who": None}


def test_another_scheme_is_no_token(ask: Server, tokens: Mint) -> None:
    """RFC 6750, 3.1: no mistake, so no error is named; nor does the cookie count beside it."""
    for other in ("Basic YTpi", "Bearerish x", 'Digest username="a"'):
        ours = f"token={tokens.token()}"
        refused = ask("/me", Authorization=other, Cookie=ours)
        assert challenge(refused) == 'Bearer realm="socialflow"'
        allowed = ask("/open", Authorization=other, Cookie=ours)
        assert json.loads(allowed.body) == {"who": None}


def test_a_refused_token_says_why(ask: Server, tokens: Mint) -> None:
    """As far as a caller may know; on open paths too, and the header wins over the cookie."""
    head = 'Bearer realm="socialflow", error="invalid_token", error_description='
    good, revoked = tokens.token(), tokens.token()
    tokens.revoke(revoked)
    assert challenge(ask("/me", Authorization=f"Bearer {revoked}")) == (
        f'{head}"The access token was revoked"'
    )
    for wrong in (
        tokens.token(TokenKind.REFRESH),
        good[:-2],
        f"{good}.{good}",
        "x",
        "",
        f"{good} {good}",
    ):
        for path in ("/me", "/open"):
            answer = ask(path, Authorization=f"Bearer {wrong}", Cookie=f"token={good}")
            assert challenge(answer) == (
                f'{head}"The access token is malformed or not for this service"'
            )
    tokens.clock.advance(timedelta(minutes=16))
    assert (
        challenge(ask("/me", Authorization=f"Bearer {good}")) == f'{head}"The access token expired"'
    )


def test_what_is_uncertain_is_answered_by_its_policy(ask: Server, tokens: Mint) -> None:
    """Open by default; where it is closed, 503 and when to come back."""
    token = f"Bearer {tokens.token()}"
    tokens.revocations.is_away = True
    assert ask("/me", Authorization=token).status == 200
    answer = ask("/money", Authorization=token)
    assert (answer.status, answer.all("Retry-After")) == (503, ["1"])
    assert answer.all("WWW-Authenticate") == []
    assert json.loads(answer.body)["code"] == "SERVICE_UNAVAILABLE"
    tokens.revocations.is_away = False
    assert ask("/money", Authorization=token).status == 200


def test_a_head_gets_no_content(ask: Server) -> None:
    """The headers of a refusal, and nothing else."""
    answer = ask("/me", "HEAD")
    assert (answer.status, answer.body) == (401, b"")


def test_no_token_is_told(ask: Server, tokens: Mint, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in an answer nor in a log."""
    token = tokens.token()[:-3]
    with caplog.at_level(logging.DEBUG):
        answer = ask("/me", Authorization=f"Bearer {token}")
    assert token not in str(answer)
    assert token not in caplog.text


@given(st.text(st.characters(codec="latin-1"), max_size=60), st.booleans())
def test_reading_a_request_never_fails(text: str, both: bool) -> None:  # noqa: FBT001 -- drawn
    """Whatever is sent is a token, none, or something else."""
    lines = [("authorization", text), ("cookie", text)] if both else [("cookie", text)]
    token = OPTIONS.token(lines)
    assert token is None or isinstance(token, str)
    assert OPTIONS.token([("Authorization", "Bearer a"), ("authorization", text)]) == ""


@given(
    st.lists(st.text(st.characters(codec="latin-1", exclude_characters=";"), max_size=20)),
    st.lists(st.text(st.characters(codec="latin-1", exclude_characters=";"), max_size=20)),
    st.booleans(),
)
def test_odd_cookies_of_others_hide_nothing(
    before: list[str],
    after: list[str],
    quoted: bool,  # noqa: FBT001 -- drawn
) -> None:
    """Whatever stands beside it in the line, and whatever comes after it under its name."""
    others = [each for each in before if each.partition("=")[0].strip(" \t") != "token"]
    mine = 'token="T"' if quoted else "token=T"
    line = ";".join([*others, mine, *after, "token=EVIL"])
    assert OPTIONS.token([("Cookie", line)]) == "T"


@given(st.text(st.characters(codec="latin-1", exclude_characters=" \t;="), min_size=1))
@example("\xa0")
@example("\x85")
def test_no_other_name_passes_for_ours(text: str) -> None:
    """Not with a space before or behind that only Unicode knows: other hosts can set such a name.

    A prefix like `__Host-` keeps them from ours alone.
    """
    for name in (f"{text}token", f"token{text}"):
        assert OPTIONS.token([("Cookie", f"{name}=EVIL; token=T")]) == "T"
        assert OPTIONS.token([("Cookie", f"{name}=EVIL")]) is None


def test_a_realm_is_a_quoted_text() -> None:
    """What would end the quotes is refused when the options are built."""
    for realm in ('a"b', "a\\b", "a\r\nb", "", "é"):
        with pytest.raises(ValueError, match="realm"):
            BearerOptions(realm=realm)

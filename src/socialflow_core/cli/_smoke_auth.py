"""What `smoke auth` asks, and what the answers mean; it sends nothing itself.

An account of its own goes through a whole life: registered, logged in, refreshed, logged
out. Each step says what is wrong if it fails; no step ever says a token or a password.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from ._smoke import Effects, Request
from ._smoke_contract import Response, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from socialflow_core._kit.flow import Flow

__all__ = ["STEPS", "Step", "life"]

# RFC 6750, section 2.1.
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_CHALLENGE = re.compile(r"(?:^|,)[ \t]*bearer(?:[ \t,]|$)", re.IGNORECASE)
_OK = 200
_CREATED = 201
_UNAUTHORIZED = 401
_LIMITED = 429


class Step(NamedTuple):
    """One step, and what came of it.

    Attributes:
        what: What was to be seen.
        status: What it was answered with; 0 if the server was not reached.
        faults: What is wrong; empty if it passed.
    """

    what: str
    status: int
    faults: tuple[str, ...]


class _Client(NamedTuple):
    """What somebody who logs in has to remember."""

    email: str
    password: str
    access: str = ""
    refresh: str = ""

    def post(self, what: str, **told: str) -> Request:
        return Request("POST", f"/api/auth/{what}", json.dumps(told).encode())

    def opens(self, token: str) -> Request:
        return Request("GET", "/api/auth/me", token=token)


class _Plan(NamedTuple):
    """A step to take: what to send, what must come, and whether tokens come with it."""

    what: str
    request: Callable[[_Client], Request]
    expected: int = _OK
    tokens: bool = False


STEPS = (
    _Plan(
        "an account is registered",
        lambda me: me.post("register", email=me.email, password=me.password),
        _CREATED,
    ),
    _Plan(
        "it logs in, and is given two tokens",
        lambda me: me.post("login", email=me.email, password=me.password),
        tokens=True,
    ),
    _Plan("the access token opens", lambda me: me.opens(me.access)),
    _Plan(
        "the refresh token is exchanged for new ones",
        lambda me: me.post("refresh", refreshToken=me.refresh),
        tokens=True,
    ),
    _Plan("the new access token opens", lambda me: me.opens(me.access)),
    _Plan(
        "the refresh token does not pass as an access token",
        lambda me: me.opens(me.refresh),
        _UNAUTHORIZED,
    ),
    _Plan("it logs out", lambda me: Request("POST", "/api/auth/logout", token=me.access)),
    _Plan(
        "after logout the same token is refused",
        lambda me: me.opens(me.access),
        _UNAUTHORIZED,
    ),
    _Plan(
        "after logout nothing is refreshed",
        lambda me: me.post("refresh", refreshToken=me.refresh),
        _UNAUTHORIZED,
    ),
)


def life(email: str, password: str, *, register: bool) -> Flow[Effects, list[Step]]:
    """Take the steps until one fails, for the later ones stand on it.

    Without *register* the account is there, and the first step is left out.
    """
    me = _Client(email, password)
    done: list[Step] = []
    for plan in STEPS if register else STEPS[1:]:
        response: Response = yield plan.request(me)
        if plan.tokens:
            me = me._replace(**_tokens(response))
        done.append(Step(plan.what, response.status, tuple(_faults(plan, response))))
        if done[-1].faults:
            break
    return done


def _tokens(response: Response) -> dict[str, str]:
    told = as_json(response.body)
    named = {"access": "token", "refresh": "refreshToken"}
    found = {mine: told.get(name) for mine, name in named.items()} if isinstance(told, dict) else {}
    # Of another form it would not travel in a header, and be told in the error about that.
    return {
        name: token if isinstance(token, str) and _B64TOKEN.fullmatch(token) else ""
        for name, token in found.items()
    }


def _faults(plan: _Plan, response: Response) -> Iterator[str]:
    if response.status == 0:
        yield f"000: the server was not reached ({response.failure})"
    elif response.status == _LIMITED:
        wait = response.header("Retry-After") or "?"
        yield f"429: the limit of /api/auth is reached; run it again in {wait} s"
    elif response.status != plan.expected:
        yield f"got {response.status}, not {plan.expected}"
    elif plan.tokens and not all(_tokens(response).values() or [""]):
        yield "the answer has no token and refreshToken"
    elif plan.expected == _UNAUTHORIZED and not _is_challenged(response):
        yield "WWW-Authenticate does not say Bearer"


def _is_challenged(response: Response) -> bool:
    # RFC 6750, section 3; of several, and without case (RFC 9110, section 11.6.1).
    return bool(_CHALLENGE.search(response.header("WWW-Authenticate")))

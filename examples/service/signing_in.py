"""The endpoints of accounts: register, log in, refresh, log out, and who one is.

Tokens are answered in the body, for clients that send headers; with `"cookies": true` instead as
cookies that scripts cannot read and that other sites cannot send. Where they travel by HTTPS
alone, the prefixes of their names keep other hosts of the domain from setting them (RFC 6265bis,
4.1.3). Bodies have to say that they are JSON: so no form of another site logs anybody in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from examples.service.steps import Call, Endpoint, Request, Response, Route, Steps, Work
from examples.service.steps import failure as failed
from examples.service.steps import in_json as told
from socialflow_core.auth import Claims, TokenError, UnavailableError

if TYPE_CHECKING:
    from examples.service.accounts import Accounts
    from socialflow_core.auth import AsyncVerifier, TokenPair, Verifier
    from socialflow_core.auth.sessions import AsyncSessions, Sessions

__all__ = ["Doors", "Guarded", "SigningIn", "answered"]

_SECOND_US = 1_000_000

Guarded: TypeAlias = Callable[[Request, Claims], Steps]
"""An endpoint that knows who asks."""


class _Place(NamedTuple):
    """Where a cookie is kept."""

    name: str
    path: str


class Doors(NamedTuple):
    """What lets people in, for either kind of server."""

    sessions: Sessions | AsyncSessions
    verifier: Verifier | AsyncVerifier


def answered(steps: Steps) -> Steps:
    """The steps of an endpoint, with an answer to what tokens and stores may raise."""
    try:
        return (yield from steps)
    except TokenError as error:
        return _refused(error.reason)
    except UnavailableError:
        # For certain, nobody can say who that is: the caller may try again.
        return failed(503, "Please try again.", (("Retry-After", "1"),))


class SigningIn:
    """See the module.

    Args:
        accounts: Who may log in.
        doors: What makes and knows tokens.
        secure: Whether cookies travel by HTTPS alone.
    """

    def __init__(self, accounts: Accounts, doors: Doors, *, secure: bool) -> None:
        self._accounts = accounts
        self._doors = doors
        self._cookie = "; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        self._access = _Place("__Host-access_token" if secure else "access_token", "/")
        self._again = _Place("__Secure-refresh_token" if secure else "refresh_token", "/api/auth")
        self.routes = (
            Route("POST", "/api/auth/register", _of_json(self._register)),
            Route("POST", "/api/auth/login", _of_json(self._login)),
            Route("POST", "/api/auth/refresh", _of_json(self._refresh)),
            Route("POST", "/api/auth/logout", _of_json(self._logout)),
            Route("GET", "/api/auth/me", self.guarded(self._me)),
            Route("GET", "/api/auth/sessions", self.guarded(self._sessions)),
        )

    def guarded(self, endpoint: Guarded) -> Endpoint:
        """*endpoint*, for those who show a token that is good."""

        def steps(request: Request) -> Steps:
            token = self._shown(request)
            if not token:
                return failed(401, headers=(("WWW-Authenticate", "Bearer"),))
            claims: Claims = yield Call(lambda: self._doors.verifier.verify(token))
            return (yield from endpoint(request, claims))

        return steps

    def _shown(self, request: Request) -> str:
        return request.bearer or request.cookie(self._access.name)

    def _register(self, request: Request) -> Steps:
        given = _credentials(request)
        if given is None:
            return failed(400, "The body must be JSON with email and password.")
        wrong: str = yield Work(lambda: self._accounts.register(*given))
        return failed(400, wrong) if wrong else told({"success": True}, 201)

    def _login(self, request: Request) -> Steps:
        given = _credentials(request)
        if given is None:
            return failed(400, "The body must be JSON with email and password.")
        right: bool = yield Work(lambda: self._accounts.is_right(*given))
        if not right:
            return failed(401, "Wrong email or password.", (("WWW-Authenticate", "Bearer"),))
        device = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))[:200]
        pair: TokenPair = yield Call(lambda: self._doors.sessions.login(given[0], name=device))
        return self._signed_in(pair, cookies=request.told.get("cookies") is True)

    def _refresh(self, request: Request) -> Steps:
        given = request.told.get("refreshToken")
        cookie = request.cookie(self._again.name)
        token = given if isinstance(given, str) else cookie
        pair: TokenPair = yield Call(lambda: self._doors.sessions.refresh(token))
        return self._signed_in(pair, cookies=not isinstance(given, str))

    def _logout(self, request: Request) -> Steps:
        # All that is shown: the access token may be of another session, or long gone. One that
        # is not good is as good as logged out (RFC 7009, 2.2).
        given = request.told.get("refreshToken")
        shown = (given, request.cookie(self._again.name), self._shown(request))
        away: UnavailableError | None = None
        for token in dict.fromkeys(each for each in shown if isinstance(each, str) and each):
            try:
                yield Call(partial(self._doors.sessions.logout, token))
            except UnavailableError as error:
                away = error
        if away is not None:
            raise away
        return told({"success": True}, headers=self._set(("", 0), ("", 0)))

    def _me(self, _: Request, claims: Claims) -> Steps:
        yield from ()
        return told({"success": True, "email": claims.subject, "session": claims.session})

    def _sessions(self, _: Request, claims: Claims) -> Steps:
        sessions = yield Call(lambda: self._doors.sessions.sessions(claims.subject))
        listed = [
            {"id": each.id, "name": each.name, "current": each.id == claims.session}
            for each in sessions
        ]
        return told({"success": True, "sessions": listed})

    def _signed_in(self, pair: TokenPair, *, cookies: bool) -> Response:
        access, refresh = pair.access.reveal(), pair.refresh.reveal()
        body = {
            "success": True,
            "token": access,
            "refreshToken": refresh,
            "expiresAt": pair.access_expires_us // _SECOND_US,
        }
        if not cookies:
            return told(body, headers=(("Cache-Control", "no-store"),))
        # Each as long as its token.
        now = int(time.time())
        headers = self._set(
            (access, pair.access_expires_us // _SECOND_US - now),
            (refresh, pair.refresh_expires_us // _SECOND_US - now),
        )
        return told({"success": True}, headers=(("Cache-Control", "no-store"), *headers))

    def _set(self, *values: tuple[str, int]) -> tuple[tuple[str, str], ...]:
        return tuple(
            ("Set-Cookie", f"{name}={value}; Path={path}; Max-Age={seconds}{self._cookie}")
            for (name, path), (value, seconds) in zip(
                (self._access, self._again), values, strict=True
            )
        )


def _of_json(endpoint: Endpoint) -> Endpoint:
    def steps(request: Request) -> Steps:
        if not request.is_json:
            return failed(415, "The body must be application/json.")
        return (yield from endpoint(request))

    return steps


def _credentials(request: Request) -> tuple[str, str] | None:
    email, password = request.told.get("email"), request.told.get("password")
    if isinstance(email, str) and isinstance(password, str):
        return email, password
    return None


def _refused(reason: str) -> Response:
    # RFC 6750, 3.1: what was wrong with the token, for programs.
    challenge = f'Bearer error="invalid_token", error_description="{reason}"'
    return failed(401, "The token is not good (any more).", (("WWW-Authenticate", challenge),))

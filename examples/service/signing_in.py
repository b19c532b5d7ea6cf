"""The endpoints of accounts: register, log in, refresh, log out, and who one is.

Tokens are answered in the body, for clients that send headers; with `"cookies": true` instead as
cookies that scripts cannot read and that other sites cannot send. Where they travel by HTTPS
alone, the prefix of their names keeps other hosts of the domain from setting them (RFC 6265bis,
4.1.3.2); it wants the path of both to be `/`. No form of another site logs anybody in or out:
see `Request.is_json`.
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
        return _uncertain()


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
        self._flags = "; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
        prefix = "__Host-" if secure else ""
        self._names = f"{prefix}access_token", f"{prefix}refresh_token"
        self.routes = (
            Route("POST", "/api/auth/register", self._register),
            Route("POST", "/api/auth/login", self._login),
            Route("POST", "/api/auth/refresh", self._refresh),
            Route("POST", "/api/auth/logout", self._logout),
            Route("GET", "/api/auth/me", self.guarded(self._me)),
            Route("GET", "/api/auth/sessions", self.guarded(self._sessions)),
        )

    def guarded(self, endpoint: Guarded) -> Endpoint:
        """*endpoint*, for those who show a token that is good."""

        def steps(request: Request) -> Steps:
            token = request.bearer or self._cookies(request)[0]
            if not token:
                return failed(401, headers=(("WWW-Authenticate", "Bearer"),))
            claims: Claims = yield Call(lambda: self._doors.verifier.verify(token))
            return (yield from endpoint(request, claims))

        return steps

    def _cookies(self, request: Request) -> tuple[str, str]:
        """The access token and the refresh token of the cookies, empty where there is none."""
        access, refresh = self._names
        return request.cookie(access), request.cookie(refresh)

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
        token = given if isinstance(given, str) else self._cookies(request)[1]
        if not token:
            return failed(401, headers=(("WWW-Authenticate", "Bearer"),))
        pair: TokenPair = yield Call(lambda: self._doors.sessions.refresh(token))
        return self._signed_in(pair, cookies=not isinstance(given, str))

    def _logout(self, request: Request) -> Steps:
        # All that is shown: the access token may be of another session, or long gone. One that
        # is not good is as good as logged out (RFC 7009, 2.2).
        access, refresh = self._cookies(request)
        shown = (request.told.get("refreshToken"), refresh, request.bearer, access)
        # The browser forgets them in any case: somebody else may sit down before it.
        headers = self._set(("", 0), ("", 0))
        is_away = False
        for token in dict.fromkeys(each for each in shown if isinstance(each, str) and each):
            try:
                yield Call(partial(self._doors.sessions.logout, token))
            except UnavailableError:
                is_away = True
        return _uncertain(headers) if is_away else told({"success": True}, headers=headers)

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
            ("Set-Cookie", f"{name}={value}; Path=/; Max-Age={seconds}{self._flags}")
            for name, (value, seconds) in zip(self._names, values, strict=True)
        )


def _credentials(request: Request) -> tuple[str, str] | None:
    email, password = request.told.get("email"), request.told.get("password")
    if isinstance(email, str) and isinstance(password, str):
        return email, password
    return None


def _uncertain(headers: tuple[tuple[str, str], ...] = ()) -> Response:
    # A store is away: for certain, nobody can say who that is, or that all was revoked.
    return failed(503, "Please try again.", (("Retry-After", "1"), *headers))


def _refused(reason: str) -> Response:
    # RFC 6750, 3.1: what was wrong with the token, for programs.
    challenge = f'Bearer error="invalid_token", error_description="{reason}"'
    return failed(401, "The token is not good (any more).", (("WWW-Authenticate", challenge),))

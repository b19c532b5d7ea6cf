"""What the ASGI and the WSGI bearer-token middleware decide alike.

To take a middleware along, copy its file and this one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from socialflow_core.auth import RevocationFailure, TokenError

__all__ = ["BearerOptions", "Refused", "cookie_of"]

# RFC 6750, 2.1: b64token; the scheme is compared without case (RFC 9110, 11.1).
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE)
_SCHEME = re.compile(r"bearer(?![^ ,])", re.IGNORECASE)
_REALM = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
_SECOND = timedelta(seconds=1)
# What a caller may know; RFC 6750, 3, allows no quotes in it.
_WORDS = {
    "expired": "The access token expired",
    "not_yet_valid": "The access token is not valid yet",
    "revoked": "The access token was revoked",
}
_MALFORMED = "The access token is malformed or not for this service"


def cookie_of(line: str, name: str) -> str | None:
    """The value of a cookie in a `Cookie` header; None if it is not there.

    Of two, the first: browsers send that of the longer path first. Whatever else stands in
    the line matters to nobody (RFC 6265, 5.4): other people's cookies are odd at times. Only
    spaces and tabs around a name are none of it: `str.strip` would take more away, and so let
    the cookie of another host pass for one whose prefix keeps other hosts from setting it.

    >>> cookie_of('a={"b":1}; token="abc"; token=x', "token")
    'abc'
    """
    for pair in line.split(";"):
        key, equals, value = pair.partition("=")
        if equals and key.strip(" \t") == name:
            value = value.strip(" \t")
            is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
            return value[1:-1] if is_quoted else value
    return None


class Refused(NamedTuple):
    """The whole answer to a request that is refused."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerOptions:
    """Who has to bring a token, and where it is looked for.

    Attributes:
        realm: Names what is protected, in `WWW-Authenticate`.
        is_open: Whether a path may be asked without a token; one that is brought is judged
            all the same. By default none may.
        cookie: A cookie that may hold the token where there is no `Authorization`; empty: none.
            Guard against forged requests then (SameSite), which a header needs not.
        failure: What to do when revocation is uncertain, instead of the verifier's policy.
        failure_of: The same for single paths; None leaves it at *failure*.
        retry_after: When to come back after a 503.

    Raises:
        ValueError: If *realm* cannot be quoted.
    """

    realm: str = "api"
    is_open: Callable[[str], bool] = field(default=lambda _: False)
    cookie: str = ""
    failure: RevocationFailure | None = None
    failure_of: Callable[[str], RevocationFailure | None] = field(default=lambda _: None)
    retry_after: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        if not _REALM.fullmatch(self.realm):
            raise ValueError("realm must be printable ASCII without quotes and backslashes")

    def token(self, headers: Iterable[tuple[str, str]]) -> str | None:
        """The token of a request, None if it brings none; empty if it brings something else.

        Another scheme is none: it is for somebody else to judge, and no mistake (RFC 6750, 3.1).
        Two `Authorization` fields, one of them with this scheme, are something else.
        """
        lines = list(headers)
        told = [value for name, value in lines if name.lower() == "authorization"]
        if told:
            if not any(map(_SCHEME.match, told)):
                return None
            found = _BEARER.fullmatch(told[0]) if len(told) == 1 else None
            return found[1] if found else ""
        if not self.cookie:
            return None
        line = "; ".join(value for name, value in lines if name.lower() == "cookie")
        return cookie_of(line, self.cookie)

    def policy(self, path: str) -> RevocationFailure | None:
        """What `verify` is asked with on this path."""
        return self.failure_of(path) or self.failure

    def needs_token(self) -> Refused:
        """The answer to a request without a token: no error code (RFC 6750, 3.1)."""
        return _refused(
            401,
            "UNAUTHORIZED",
            "An access token is needed.",
            ("WWW-Authenticate", f'Bearer realm="{self.realm}"'),
        )

    def refuses(self, error: TokenError | None) -> Refused:
        """The answer to a token that is refused; it says why, as far as a caller may know."""
        why = _WORDS.get(error.reason, _MALFORMED) if error else _MALFORMED
        challenge = f'Bearer realm="{self.realm}", error="invalid_token", error_description="{why}"'
        return _refused(401, "INVALID_TOKEN", f"{why}.", ("WWW-Authenticate", challenge))

    def uncertain(self) -> Refused:
        """The answer when nobody can say whether the token was revoked."""
        seconds = max(1, -(-self.retry_after // _SECOND))
        return _refused(
            503,
            "SERVICE_UNAVAILABLE",
            "The token cannot be checked at the moment. Please try again later.",
            ("Retry-After", str(seconds)),
        )


def _refused(status: int, code: str, message: str, header: tuple[str, str]) -> Refused:
    told = {"success": False, "code": code, "message": message}
    body = json.dumps(told, separators=(",", ":")).encode()
    about = ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
    return Refused(status, (*about, ("Cache-Control", "no-store"), header), body)

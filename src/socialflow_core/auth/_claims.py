"""Claims as the payload of a token, and back: what may stand there (RFC 7519, 4.1).

Moments are written to the microsecond, as a number with a fraction where it has one; that
is a NumericDate too (RFC 7519, 2). So of two tokens of one second it is known which was
issued first, and a revocation of all "issued before" is exact. A double holds such a moment
exactly until the year 2106.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from ._interface import Claims, SpentError, TokenError
from ._json import Frozen, freeze

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._interface import Json, TokenKind
    from ._rules import TokenRules

__all__ = [
    "ISSUED_LEEWAY_US",
    "REGISTERED",
    "ClaimRules",
    "Window",
    "own_claims",
    "payload_of",
    "window_of",
]

REGISTERED = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid"})
"""The names that an application's own claims may not have."""

ISSUED_LEEWAY_US = 10_000_000
"""How far a token's issuer may be ahead in any case: its `iat` is told to the microsecond, and
no two clocks agree so far. It gains nobody anything, for when a token ends is not touched."""

_SECOND_US = 1_000_000
_LAST_S = 253_402_300_799  # the end of the year 9999
_LONGEST = 255
_MOST_AUDIENCES = 32
_NONE: Mapping[str, Json] = Frozen({})
# Always: without them a token has no owner, no end, and no place before or after a revocation.
_ALWAYS = ("sub", "iat", "exp")


class Window(NamedTuple):
    """When a token is believed: from a moment on, until just before another."""

    from_us: int
    until_us: int


def window_of(claims: Claims, leeway_us: int) -> Window:
    """When a token with these claims is believed by clocks that may differ by *leeway_us*."""
    issued = claims.issued_us - max(leeway_us, ISSUED_LEEWAY_US)
    return Window(max(issued, claims.starts_us - leeway_us), claims.expires_us + leeway_us)


def own_claims(own: Mapping[str, Any]) -> Mapping[str, Json]:
    """The application's own claims, checked and frozen.

    Raises:
        ValueError: If one has the name of a registered claim, or is no JSON within bounds.
    """
    taken = REGISTERED.intersection(own)
    if taken:
        raise ValueError(f"not an own claim: {', '.join(sorted(taken))}")
    return freeze(own) or _NONE


def payload_of(claims: Claims) -> dict[str, Any]:
    """What the token says, as JSON objects are written.

    Raises:
        ValueError: If it cannot be said, or would not be read as it was meant.
    """
    payload: dict[str, Any] = {}
    if claims.issuer:
        payload["iss"] = _told("iss", claims.issuer)
    payload["sub"] = _told("sub", claims.subject)
    if claims.audience:
        if len(claims.audience) > _MOST_AUDIENCES:
            raise ValueError(f"aud is more than {_MOST_AUDIENCES}")
        names = [_told("aud", name) for name in claims.audience]
        payload["aud"] = names[0] if len(names) == 1 else names
    payload["iat"] = _date("iat", claims.issued_us)
    payload["exp"] = _date("exp", claims.expires_us)
    if claims.starts_us:
        payload["nbf"] = _date("nbf", claims.starts_us)
    if claims.token_id:
        payload["jti"] = _told("jti", claims.token_id)
    if claims.session:
        payload["sid"] = _told("sid", claims.session)
    payload.update(own_claims(claims.own))
    return payload


def _told(name: str, text: object) -> str:
    if not _is_name(text):
        raise ValueError(f"{name} must be a text of 1 to {_LONGEST} printable characters")
    return text


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _date(name: str, moment_us: int) -> float:
    seconds, rest = divmod(moment_us, _SECOND_US)
    date = moment_us / _SECOND_US if rest else seconds
    if not 0 <= seconds <= _LAST_S or round(date * _SECOND_US) != moment_us:
        raise ValueError(f"{name} cannot be told to the microsecond")
    return date


class ClaimRules:
    """Writes and reads the payloads of one kind of token.

    Args:
        rules: The issuer's, or the verifier's.
        kind: Which tokens.
    """

    __slots__ = ("_audience", "_issuer", "_kind", "_leeway_us", "_required")

    def __init__(self, rules: TokenRules, kind: TokenKind) -> None:
        named = [name for name, asked in (("iss", rules.issuer), ("aud", rules.audience)) if asked]
        self._required = dict.fromkeys((*_ALWAYS, *named, *rules.of(kind).required)).keys()
        self._kind = kind
        self._issuer = rules.issuer
        self._audience = frozenset(rules.audience)
        self._leeway_us = rules.leeway_us

    def write(self, claims: Claims) -> dict[str, Any]:
        """What a token says that `read` would answer with the same claims, in its time.

        Raises:
            ValueError: If there is none.
        """
        payload = payload_of(claims)
        missing = [name for name in self._required if name not in payload]
        if missing:
            raise ValueError(f"required claims are missing: {', '.join(missing)}")
        if self._issuer and claims.issuer != self._issuer:
            raise ValueError("iss is not the issuer of the rules")
        if not self._is_meant(claims):
            raise ValueError("aud is not the audience of the rules")
        return payload

    def read(self, payload: dict[str, Any], now_us: int) -> Claims:
        """What a token says whose signature is good.

        Raises:
            TokenError: If it is malformed or lacks a claim, is somebody else's, or its time
                has not come.
            SpentError: If its time is over.
        """
        claims = self._claims(payload)
        if self._issuer and claims.issuer != self._issuer:
            raise TokenError("wrong_issuer", claim="iss")
        if not self._is_meant(claims):
            raise TokenError("wrong_audience", claim="aud")
        latest = now_us + self._leeway_us
        if claims.starts_us > latest:
            raise TokenError("not_yet_valid", claim="nbf")
        if claims.issued_us > now_us + max(self._leeway_us, ISSUED_LEEWAY_US):
            raise TokenError("not_yet_valid", claim="iat")
        if claims.expires_us + self._leeway_us <= now_us:
            raise SpentError("expired", claims)
        return claims

    def _is_meant(self, claims: Claims) -> bool:
        if not claims.audience:
            return not self._audience
        return not self._audience.isdisjoint(claims.audience)

    def _claims(self, payload: dict[str, Any]) -> Claims:
        if not self._required <= payload.keys():
            missing = next(name for name in self._required if name not in payload)
            raise TokenError("missing_claim", claim=missing)
        audience = payload.get("aud", ())
        own = {name: value for name, value in payload.items() if name not in REGISTERED}
        return Claims(
            kind=self._kind,
            subject=_read_name("sub", payload["sub"]),
            issued_us=_moment("iat", payload["iat"]),
            expires_us=_moment("exp", payload["exp"]),
            starts_us=_moment("nbf", payload["nbf"]) if "nbf" in payload else 0,
            token_id=_read_name("jti", payload["jti"]) if "jti" in payload else "",
            session=_read_name("sid", payload["sid"]) if "sid" in payload else "",
            issuer=_read_name("iss", payload["iss"]) if "iss" in payload else "",
            audience=_read_audience(audience) if "aud" in payload else (),
            own=_read_own(own) if own else _NONE,
        )


def _read_name(name: str, value: object) -> str:
    if not _is_name(value):
        raise TokenError("malformed", claim=name)
    return value


def _read_audience(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        if 0 < len(value) <= _MOST_AUDIENCES:
            return tuple([_read_name("aud", each) for each in value])
        raise TokenError("malformed", claim="aud")
    return (_read_name("aud", value),)


def _moment(name: str, value: object) -> int:
    # `True` is an int to Python; NaN is below nothing, and so falls through.
    if type(value) is int and 0 <= value <= _LAST_S:
        return value * _SECOND_US
    if type(value) is float and 0 <= value <= _LAST_S:
        return round(value * _SECOND_US)
    raise TokenError("malformed", claim=name)


def _read_own(own: dict[str, Any]) -> Mapping[str, Json]:
    frozen: Frozen | None = None
    with suppress(ValueError):
        frozen = freeze(own)
    if frozen is None:  # raised out here, so that no other error is its context
        raise TokenError("malformed")
    return frozen

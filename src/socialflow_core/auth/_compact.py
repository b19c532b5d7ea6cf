"""The compact form of a token (RFC 7515, 7.1), and its header: what is used, what refused.

Each part has one spelling: base64url that decodes to the same bytes as another text is
refused, so that nobody makes a second token of one.

The header is read before the signature is verified, so nothing of it is believed: `alg` and `kid`
only choose among the verifier's own keys, `typ` only refuses. What would bring a key along
(`jku`, `jwk`, `x5u`, `x5c`) is never looked at.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ._interface import TokenError
from ._json import parse, write
from ._rules import media_type

if TYPE_CHECKING:
    from typing import Any

__all__ = ["Header", "Parts", "decode64", "encode64", "header_of", "parts_of", "read_header"]

_LONGEST = 255


class Parts(NamedTuple):
    """A token, cut apart.

    Attributes:
        signed: What the signature is over: the header, a dot, the payload.
        header: As it stands there.
        payload: As it stands there.
        signature: As it stands there.
    """

    signed: str
    header: str
    payload: str
    signature: str


def parts_of(token: str) -> Parts:
    """Cut a token apart.

    Raises:
        TokenError: If it has not three parts.
    """
    signed, _, signature = token.rpartition(".")
    header, dot, payload = signed.partition(".")
    if not dot or "." in payload:
        raise TokenError("malformed")
    return Parts(signed, header, payload, signature)


def encode64(data: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode64(text: str) -> bytes:
    """The bytes that `encode64` would write as *text*.

    Raises:
        TokenError: If there are none.
    """
    data: bytes | None = None
    with suppress(ValueError):
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # Other characters are skipped by the decoder, as are bits beyond the last byte.
    if data is None or encode64(data) != text:
        raise TokenError("malformed")
    return data


class Header(NamedTuple):
    """What a header says.

    Attributes:
        alg: By which algorithm it is signed; whether that is allowed, the key tells.
        kid: Which key signed it; None if it does not say.
        typ: Of which type it is, as `media_type` tells it; empty if it does not say.
    """

    alg: str
    kid: str | None
    typ: str


def header_of(alg: str, kid: str, typ: str) -> bytes:
    """The header of a token that is issued."""
    members = {"alg": alg, "kid": kid, "typ": typ}
    return write({name: value for name, value in members.items() if value})


def read_header(text: bytes) -> Header:
    """What the header says.

    Raises:
        TokenError: If it is malformed, or declares that it is understood only by those who
            know its extensions (`crit`: we know none; `b64`: RFC 7797).
    """
    members = parse(text)
    if members is None:
        raise TokenError("malformed")
    for name in ("crit", "b64"):
        if name in members:
            raise TokenError("malformed", claim=name)
    kid = _text(members, "kid") if "kid" in members else None
    typ = _text(members, "typ") if "typ" in members else ""
    return Header(_text(members, "alg"), kid, media_type(typ))


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise TokenError("malformed", claim=name)
    return value

"""A small world of keys and tokens, and a hand that forges them."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest

from socialflow_core.auth import TokenError, TokenKind, TokenRules
from socialflow_core.auth._compact import encode64
from socialflow_core.auth.jwt import (
    KeyRing,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from socialflow_core.testing.clock import ManualClock
from tests.auth.keys import key_of, material

RULES = TokenRules(issuer="me", audience=("api",))
ACCESS, REFRESH = TokenKind.ACCESS, TokenKind.REFRESH
CLOCK = ManualClock()
SECRET: bytes = material("HS256", "access")
RING = KeyRing(TokenKey("HS256", SECRET, kid="a"))
OTHER = KeyRing(key_of("HS256", "refresh", kid="r"))
ISSUER = TokenIssuer(RULES, access=RING, refresh=OTHER, clock=CLOCK)
VERIFIER = TokenVerifier(RULES, access=RING, refresh=OTHER, clock=CLOCK)
CLAIMS = ISSUER.claims(ACCESS, "ann")
TOKEN = ISSUER.sign(CLAIMS)
HEADER = {"alg": "HS256", "kid": "a", "typ": "at+jwt"}
PAYLOAD: dict[str, Any] = {
    "iss": "me",
    "sub": "ann",
    "aud": "api",
    "iat": CLOCK() // 10**6,
    "exp": CLOCK() // 10**6 + 60,
    "jti": "1",
}


def text(value: object) -> bytes:
    """What stands in a token: JSON, or bytes that are taken as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def forged(header: object = HEADER, payload: object = PAYLOAD, secret: bytes = SECRET) -> str:
    """A token with any header and payload, signed with HS256."""
    signed = f"{encode64(text(header))}.{encode64(text(payload))}"
    return f"{signed}.{encode64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def refused(token: Any, kind: TokenKind = ACCESS, verifier: TokenVerifier = VERIFIER) -> str:
    """Why; and nobody learns of it what the token was."""
    with pytest.raises(TokenError) as caught:
        verifier.verify(token, kind)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.reason

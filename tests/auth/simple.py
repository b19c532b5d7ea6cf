"""The simplest signer and verifier there can be, for tests that are about something else.

A token is its claims as JSON, and an HMAC with the key of its kind.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.clock import unix_us
from socialflow_core.auth._interface import Claims, SpentError, TokenError, TokenKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import (
        AsyncRevocations,
        Json,
        RevocationFailure,
        Revocations,
    )

SECOND_US = 1_000_000
LIFETIMES_US = {TokenKind.ACCESS: 900 * SECOND_US, TokenKind.REFRESH: 7 * 86_400 * SECOND_US}


class SimpleSigner:
    """See `Signer`; times are whole seconds, as in most tokens."""

    def __init__(self, clock: Clock = unix_us) -> None:
        self._clock = clock

    def claims(
        self,
        kind: TokenKind,
        subject: str,
        *,
        session: str = "",
        own: Mapping[str, Json] | None = None,
    ) -> Claims:
        """See `Signer.claims`."""
        issued, expires = self.lasts(kind)
        return Claims(
            kind=kind,
            subject=subject,
            issued_us=issued,
            expires_us=expires,
            token_id=uuid.uuid4().hex,
            session=session,
            own=own or {},
        )

    def lasts(self, kind: TokenKind) -> tuple[int, int]:
        """See `Signer.lasts`."""
        issued = self._clock() // SECOND_US * SECOND_US
        return issued, issued + LIFETIMES_US[kind]

    def sign(self, claims: Claims) -> str:
        """See `Signer.sign`."""
        body = json.dumps(asdict(replace(claims, kind=TokenKind.ACCESS)) | {"kind": ""})
        return f"{_mac(claims.kind, body)}.{body}"


def _mac(kind: TokenKind, body: str) -> str:
    return hmac.new(kind.value.encode(), body.encode(), hashlib.sha256).hexdigest()


def read(token: str, kind: TokenKind, now_us: int) -> Claims:
    """What a token says, if it is one."""
    mac, _, body = token.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(kind, body).encode()):
        raise TokenError("bad_signature")
    told: dict[str, Any] = json.loads(body) | {"kind": kind}
    claims = Claims(**told | {"audience": tuple(told["audience"])})
    if claims.expires_us <= now_us:
        raise SpentError("expired", claims)
    return claims


class SimpleVerifier:
    """See `Verifier`."""

    def __init__(self, revocations: Revocations, clock: Clock = unix_us) -> None:
        self._revocations = revocations
        self._clock = clock

    def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """See `Verifier.verify`."""
        claims = read(token, kind, self._clock())
        if self._revocations.standing(claims, failure=failure or "open").revoked:
            raise SpentError("revoked", claims)
        return claims


class AsyncSimpleVerifier:
    """See `AsyncVerifier`."""

    def __init__(self, revocations: AsyncRevocations, clock: Clock = unix_us) -> None:
        self._revocations = revocations
        self._clock = clock

    async def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """See `AsyncVerifier.verify`."""
        claims = read(token, kind, self._clock())
        standing = await self._revocations.standing(claims, failure=failure or "open")
        if standing.revoked:
            raise SpentError("revoked", claims)
        return claims

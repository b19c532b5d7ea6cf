"""Makes tokens."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us
from socialflow_core.auth._claims import ClaimRules, own_claims
from socialflow_core.auth._compact import encode64, header_of
from socialflow_core.auth._interface import Claims, TokenKind
from socialflow_core.auth._json import write

from .ring import rings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import Json
    from socialflow_core.auth._rules import TokenRules

    from .ring import KeyRing

__all__ = ["TokenIssuer"]


def _token_id() -> str:
    return secrets.token_hex(16)  # 128 bits: nobody guesses one, and no two are the same


class TokenIssuer:
    """See `Signer`. Thread-safe.

    Args:
        rules: What tokens say.
        access: Keys of access tokens.
        refresh: Keys of refresh tokens; None if it makes none.
        clock: Microseconds since 1970-01-01 UTC.
        new_id: Answers another id every time.

    Raises:
        ValueError: If a ring has no key that signs now, or the rings have one in common.
    """

    def __init__(
        self,
        rules: TokenRules,
        *,
        access: KeyRing,
        refresh: KeyRing | None = None,
        clock: Clock = unix_us,
        new_id: Callable[[], str] = _token_id,
    ) -> None:
        rings(access, refresh)
        self._rules = rules
        self._rings = {TokenKind.ACCESS: access, TokenKind.REFRESH: refresh}
        self._written = {kind: ClaimRules(rules, kind) for kind in TokenKind}
        self._clock = clock
        self._new_id = new_id
        for ring in (access, refresh):
            if ring is not None:
                ring.signing()

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
        claims = Claims(
            kind=kind,
            subject=subject,
            issued_us=issued,
            expires_us=expires,
            token_id=self._new_id(),
            session=session,
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            own=own_claims(own or {}),
        )
        self._written[kind].write(claims)  # what cannot be said is refused here already
        return claims

    def lasts(self, kind: TokenKind) -> tuple[int, int]:
        """See `Signer.lasts`."""
        now = self._clock()
        return now, now + self._rules.of(kind).lifetime_us

    def sign(self, claims: Claims) -> str:
        """See `Signer.sign`.

        Raises:
            ValueError: Also if the token is longer than the rules allow, or no key signs now.
        """
        ring = self._rings[claims.kind]
        if ring is None:
            raise ValueError(f"no keys of {claims.kind.value} tokens")
        key = ring.signing()
        payload = write(self._written[claims.kind].write(claims))
        header = header_of(key.algorithm, key.kid, self._rules.of(claims.kind).types[0])
        signed = f"{encode64(header)}.{encode64(payload)}"
        token = f"{signed}.{encode64(key.sign(signed.encode('ascii')))}"
        if len(token) > self._rules.max_bytes:
            raise ValueError(f"the token has {len(token)} bytes, more than its rules allow")
        return token

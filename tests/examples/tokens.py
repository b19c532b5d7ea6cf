"""Real tokens for the tests of the bearer middleware, and revocations that can be uncertain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from socialflow_core.auth import Claims, Standing, TokenKind, TokenRules, UnavailableError, of_token
from socialflow_core.auth.jwt import (
    AsyncTokenVerifier,
    KeyRing,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from socialflow_core.auth.memory import MemoryRevocations
from socialflow_core.testing.clock import ManualClock

if TYPE_CHECKING:
    from socialflow_core.auth import Revocation, RevocationFailure

RULES = TokenRules(issuer="https://example.org", audience=("api",))


class Doubtful:
    """Revocations whose store can be taken away."""

    def __init__(self, inner: MemoryRevocations) -> None:
        self.inner = inner
        self.is_away = False

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """What is known; nothing certain while the store is away."""
        standing = self.inner.standing(claims)
        if self.is_away and failure != "open" and not standing.revoked:
            raise UnavailableError("the store of revocations")
        return standing

    def revoke(self, /, *revocations: Revocation) -> None:
        """Refuse these."""
        self.inner.revoke(*revocations)


class AsyncDoubtful:
    """The same, awaited."""

    def __init__(self, inner: Doubtful) -> None:
        self._inner = inner

    async def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Doubtful.standing`."""
        return self._inner.standing(claims, failure=failure)

    async def revoke(self, /, *revocations: Revocation) -> None:
        """See `Doubtful.revoke`."""
        self._inner.revoke(*revocations)


class Mint(NamedTuple):
    """Makes tokens, and judges them in both worlds."""

    clock: ManualClock
    issuer: TokenIssuer
    revocations: Doubtful
    verifier: TokenVerifier
    averifier: AsyncTokenVerifier

    def token(self, kind: TokenKind = TokenKind.ACCESS) -> str:
        """A token of alice's."""
        return self.issuer.sign(self.issuer.claims(kind, "alice", session="s1"))

    def revoke(self, token: str) -> None:
        """Refuse it from now on."""
        self.revocations.revoke(of_token(self.verifier.verify(token)))


def mint() -> Mint:
    """Fresh keys, and nothing revoked."""
    clock = ManualClock()
    access, refresh = (
        KeyRing(TokenKey("HS256", bytes([number]) * 32), clock=clock) for number in (1, 2)
    )
    revocations = Doubtful(MemoryRevocations(clock=clock))
    return Mint(
        clock,
        TokenIssuer(RULES, access=access, refresh=refresh, clock=clock),
        revocations,
        TokenVerifier(RULES, access=access, refresh=refresh, revocations=revocations, clock=clock),
        AsyncTokenVerifier(
            RULES,
            access=access,
            refresh=refresh,
            revocations=AsyncDoubtful(revocations),
            clock=clock,
        ),
    )

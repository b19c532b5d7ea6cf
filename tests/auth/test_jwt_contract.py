"""The suites of signers and verifiers, on ours: for every algorithm, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from socialflow_core.auth import TokenKind, TokenRules
from socialflow_core.auth.jwt import (
    ALGORITHMS,
    AsyncTokenVerifier,
    KeyRing,
    TokenIssuer,
    TokenVerifier,
)
from socialflow_core.auth.memory import AsyncMemoryRevocations, MemoryRevocations
from socialflow_core.testing.auth import AsyncVerifierContract, SignerContract, VerifierContract
from socialflow_core.testing.clock import ManualClock
from tests.auth.keys import key_of

if TYPE_CHECKING:
    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth import AsyncVerifier, Signer, Verifier

RULES = TokenRules(issuer="https://a.example", audience=("api", "web"))
ACCESS = KeyRing(key_of("HS256", "access"))
REFRESH = KeyRing(key_of("HS256", "refresh"))


class TestIssuer(SignerContract):
    """Ours."""

    def signer(self, clock: Clock) -> Signer:
        """A fresh one."""
        return TokenIssuer(RULES, access=ACCESS, refresh=REFRESH, clock=clock)


class TestVerifier(TestIssuer, VerifierContract):
    """Ours, with a memory of what it has seen, and revocations."""

    def verifier(self, clock: Clock) -> Verifier:
        """A fresh one."""
        return TokenVerifier(
            RULES,
            access=ACCESS,
            refresh=REFRESH,
            clock=clock,
            revocations=MemoryRevocations(clock=clock),
        )


class TestForgetful(TestIssuer, VerifierContract):
    """The same without a memory, and without revocations."""

    def verifier(self, clock: Clock) -> Verifier:
        """A fresh one."""
        return TokenVerifier(RULES, access=ACCESS, refresh=REFRESH, clock=clock, max_seen=0)


class TestSmallMemory(TestIssuer, VerifierContract):
    """The same with a memory that is full all the time."""

    def verifier(self, clock: Clock) -> Verifier:
        """A fresh one."""
        return TokenVerifier(RULES, access=ACCESS, refresh=REFRESH, clock=clock, max_seen=2)


class TestAsyncVerifier(TestIssuer, AsyncVerifierContract):
    """Ours, awaited."""

    def async_verifier(self, clock: Clock) -> AsyncVerifier:
        """A fresh one."""
        return AsyncTokenVerifier(
            RULES,
            access=ACCESS,
            refresh=REFRESH,
            clock=clock,
            revocations=AsyncMemoryRevocations(MemoryRevocations(clock=clock)),
        )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_signs_and_verifies(algorithm: str) -> None:
    """Whichever the key is of, the verifier reads what the issuer wrote."""
    clock = ManualClock()
    ring = KeyRing(key_of(algorithm))
    issuer = TokenIssuer(RULES, access=ring, clock=clock)
    claims = issuer.claims(TokenKind.ACCESS, "ann", own={"scope": "read"})
    verifier = TokenVerifier(RULES, access=ring, clock=clock)
    assert verifier.verify(issuer.sign(claims)) == claims

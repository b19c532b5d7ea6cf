"""What a verifier looks at each time, and what it remembers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest

from socialflow_core._kit.observe import subscribe
from socialflow_core.auth import Claims, KindRules, TokenError
from socialflow_core.auth._revocation import of_token
from socialflow_core.auth.jwt import (
    AsyncTokenVerifier,
    KeyRing,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
)
from socialflow_core.auth.memory import AsyncMemoryRevocations, MemoryRevocations
from socialflow_core.testing.clock import ManualClock
from tests.auth.ear import Ear
from tests.auth.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socialflow_core.auth import RevocationFailure, Standing

from tests.auth.forging import (
    ACCESS,
    CLAIMS,
    CLOCK,
    HEADER,
    ISSUER,
    PAYLOAD,
    REFRESH,
    RING,
    RULES,
    SECRET,
    TOKEN,
    VERIFIER,
    forged,
    refused,
)


def test_what_would_be_refused_is_not_issued() -> None:
    """An issuer makes no token that is too long for its verifier."""
    claims = ISSUER.claims(ACCESS, "ann", own={"much": "a" * 8192})
    with pytest.raises(ValueError, match="more than its rules allow") as caught:
        ISSUER.sign(claims)
    assert "aaa" not in str(caught.value)


def test_one_key_is_not_for_both_kinds() -> None:
    """Not under two names either; outside of production it is warned of."""
    again = KeyRing(TokenKey("HS256", SECRET, kid="other"))
    for build in (TokenVerifier, TokenIssuer):
        with pytest.raises(ValueError, match="in common"):
            build(RULES, access=RING, refresh=again)
    weak = [KeyRing(TokenKey("HS256", SECRET, strict=False)) for _ in range(2)]
    with pytest.warns(UserWarning, match="in common"):
        TokenVerifier(RULES, access=weak[0], refresh=weak[1])


def test_the_kinds_differ_even_with_one_key() -> None:
    """A type is of one kind, so that a token passes as one only."""
    ring = KeyRing(TokenKey("HS256", SECRET, strict=False))
    with pytest.warns(UserWarning, match="in common"):
        issuer = TokenIssuer(RULES, access=ring, refresh=ring, clock=CLOCK)
    with pytest.warns(UserWarning, match="in common"):
        verifier = TokenVerifier(RULES, access=ring, refresh=ring, clock=CLOCK)
    for kind, other in ((ACCESS, REFRESH), (REFRESH, ACCESS)):
        token = issuer.sign(issuer.claims(kind, "ann"))
        assert refused(token, other, verifier) == "wrong_kind"


def test_without_keys_of_a_kind_there_are_none() -> None:
    """A verifier of access tokens believes no refresh token, and its issuer makes none."""
    verifier = TokenVerifier(RULES, access=RING, clock=CLOCK)
    refresh = ISSUER.sign(ISSUER.claims(REFRESH, "ann"))
    assert refused(refresh, REFRESH, verifier) == "unknown_key"
    issuer = TokenIssuer(RULES, access=RING, clock=CLOCK)
    with pytest.raises(ValueError, match="no keys of refresh"):
        issuer.sign(issuer.claims(REFRESH, "ann"))


def test_a_seen_token_is_still_judged() -> None:
    """Time, keys and revocations are looked at each time, as at first sight."""
    clock, revocations = ManualClock(), MemoryRevocations()
    ring = KeyRing(TokenKey("HS256", SECRET, kid="a"))
    issuer = TokenIssuer(RULES, access=ring, clock=clock)
    verifier = TokenVerifier(RULES, access=ring, clock=clock, revocations=revocations)
    claims = issuer.claims(ACCESS, "ann")
    token = issuer.sign(claims)
    assert verifier.verify(token) is verifier.verify(token)
    ring.replace(key_of("HS256", "another", kid="b"))
    assert refused(token, ACCESS, verifier) == "unknown_key"
    ring.replace(key_of("HS256", "another", kid="a"))
    assert refused(token, ACCESS, verifier) == "bad_signature"
    ring.replace(TokenKey("HS256", SECRET, kid="a"))
    assert verifier.verify(token) == claims
    revocations.revoke(of_token(claims))
    assert refused(token, ACCESS, verifier) == "revoked"


def test_revocations_are_asked_asynchronously() -> None:
    """So does the awaited verifier, and by the policy of the call."""
    memory = MemoryRevocations(clock=CLOCK)
    asked = list[str]()

    class Asked(AsyncMemoryRevocations):
        async def standing(
            self, claims: Claims, /, *, failure: RevocationFailure = "open"
        ) -> Standing:
            asked.append(failure)
            return await super().standing(claims, failure=failure)

    verifier = AsyncTokenVerifier(
        RULES, access=RING, clock=CLOCK, revocations=Asked(memory), failure="ask"
    )
    assert asyncio.run(verifier.verify(TOKEN)) == CLAIMS
    memory.revoke(of_token(CLAIMS))
    for failure in (None, "closed"):
        with pytest.raises(TokenError) as caught:
            asyncio.run(verifier.verify(TOKEN, failure=failure))
        assert caught.value.reason == "revoked"
    assert asked == ["ask", "ask", "closed"]


def test_refusals_are_counted() -> None:
    """By their reason, and with nothing else."""

    class Counts(Ear):
        heard: ClassVar[list[tuple[str, int, dict[str, object]]]] = []

        def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
            self.heard.append((name, by, dict(attributes)))

    unsubscribe = subscribe(Counts())
    refused(f"{TOKEN.rpartition('.')[0]}.AAAA")
    refused("x")
    unsubscribe()
    refused("x")
    assert Counts.heard == [
        ("auth.refused", 1, {"reason": "bad_signature"}),
        ("auth.refused", 1, {"reason": "malformed"}),
    ]


def test_a_key_that_retires_takes_its_tokens_along() -> None:
    """Also those that were seen, at that very moment."""
    clock = ManualClock()
    retire = clock() + 1_000_000
    ring = KeyRing(TokenKey("HS256", SECRET, kid="a", retire_us=retire), clock=clock)
    issuer = TokenIssuer(RULES, access=ring, clock=clock)
    verifier = TokenVerifier(RULES, access=ring, clock=clock)
    token = issuer.sign(issuer.claims(ACCESS, "ann"))
    clock.now_us = retire - 1
    verifier.verify(token)
    clock.now_us = retire
    assert refused(token, ACCESS, verifier) == "unknown_key"
    with pytest.raises(ValueError, match="no key"):
        issuer.sign(issuer.claims(ACCESS, "ann"))


def test_a_clock_that_goes_back_is_believed() -> None:
    """A token of the future is refused although it was seen when that was the present."""
    clock = ManualClock()
    issuer = TokenIssuer(RULES, access=RING, clock=clock)
    verifier = TokenVerifier(RULES, access=RING, clock=clock)
    token = issuer.sign(issuer.claims(ACCESS, "ann"))
    verifier.verify(token)
    clock.advance(-timedelta(minutes=10))
    assert refused(token, ACCESS, verifier) == "not_yet_valid"


@pytest.mark.parametrize("skew", [-300, -11, -10, -0.003, 1, 300])
def test_leeway_is_for_clocks_that_differ(skew: float) -> None:
    """Within it a token of another clock is believed, beyond it not; ten seconds in any case."""
    clock = ManualClock()
    issuer = TokenIssuer(RULES, access=RING, clock=clock)
    token = issuer.sign(issuer.claims(ACCESS, "ann"))
    clock.advance(timedelta(seconds=skew))
    patient = replace(RULES, leeway=timedelta(seconds=300))
    TokenVerifier(patient, access=RING, clock=clock).verify(token)
    strict = TokenVerifier(RULES, access=RING, clock=clock)
    if skew < -10:
        assert refused(token, ACCESS, strict) == "not_yet_valid"
    else:
        strict.verify(token)


def test_the_memory_is_bounded() -> None:
    """Of tokens and of headers; what comes again stays."""
    rules = replace(RULES, access=KindRules(lifetime=timedelta(minutes=1), types=("at+jwt",)))
    verifier = TokenVerifier(rules, access=RING, clock=CLOCK, max_seen=20)
    favourite = verifier.verify(TOKEN)
    for number in range(600):
        verifier.verify(forged({**HEADER, "n": number}, {**PAYLOAD, "jti": str(number)}))
        assert verifier.verify(TOKEN) is favourite
    seen = verifier._access
    assert len(seen.young) + len(seen.old) <= 20
    assert len(seen.headers) <= 256
    with pytest.raises(ValueError, match="max_seen"):
        TokenVerifier(rules, access=RING, max_seen=-1)


def test_claims_of_a_seen_token_cannot_be_changed() -> None:
    """They are shared by all who bring the token, so nobody can write into them."""
    claims = ISSUER.claims(ACCESS, "ann", own={"roles": ("user",), "more": {"a": 1}})
    token = ISSUER.sign(claims)
    read: Claims = VERIFIER.verify(token)
    with pytest.raises(TypeError):
        read.own["roles"] = ("admin",)  # type: ignore[index]  # -- that is the point
    with pytest.raises(AttributeError):
        read.own["roles"].append("admin")  # type: ignore[union-attr]  # -- that is the point
    with pytest.raises(AttributeError):
        read.subject = "root"  # type: ignore[misc]  # -- that is the point
    assert VERIFIER.verify(token) == claims

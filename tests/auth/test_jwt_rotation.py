"""Rings: they check themselves, and their keys change while they are used."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from socialflow_core.auth import TokenError, TokenKind, TokenRules
from socialflow_core.auth.jwt import KeyRing, TokenIssuer, TokenVerifier
from socialflow_core.testing.clock import ManualClock
from tests.auth.keys import key_of, material

RULES = TokenRules()


def jwks(*keys: dict[str, Any]) -> str:
    """A JWK Set."""
    return json.dumps({"keys": keys})


def private_jwk(algorithm: str, **more: Any) -> dict[str, Any]:
    """A private JWK as another library would write it."""
    from jwt.api_jws import PyJWS  # noqa: PLC0415 -- only here

    vendor = PyJWS().get_algorithm_by_name(
        "EdDSA" if algorithm[0] == "E" and "d" in algorithm else algorithm
    )
    return {**json.loads(vendor.to_jwk(material(algorithm))), **more}


def test_a_ring_checks_itself() -> None:
    """No key, too many, two of one name, another algorithm: refused, and nothing changes."""
    one = key_of("HS256", kid="a")
    for keys, text in [
        ((), "1 to 64"),
        ([key_of("HS256", kid=str(number)) for number in range(65)], "1 to 64"),
        ((one, key_of("HS256", "b", kid="a")), "one kid"),
    ]:
        with pytest.raises(ValueError, match=text):
            KeyRing(*keys)
    ring = KeyRing(one)
    with pytest.raises(ValueError, match="HS512 is not allowed"):
        ring.replace(key_of("HS512"))
    with pytest.raises(ValueError, match="JWK Set"):
        ring.reload("{}")
    assert ring.state.all == (one,)
    with pytest.raises(ValueError, match="algorithms"):
        KeyRing(one, algorithms=["none"])


def test_rotation_has_no_gap() -> None:
    """A new key is known before it signs, an old one after it has signed: every token passes."""
    clock = ManualClock()
    start, minute = clock(), 60_000_000
    lifetime = RULES.access.lifetime_us
    document = jwks(
        private_jwk("ES256", kid="old", exp=(start + 5 * minute + lifetime) // 10**6),
        private_jwk("ES256", kid="new", nbf=(start + 5 * minute) // 10**6)
        | {k: v for k, v in _second_ec().items() if k in {"x", "y", "d"}},
    )
    ring = KeyRing.from_jwks(document, algorithms=["ES256"], clock=clock)
    issuer = TokenIssuer(RULES, access=ring, clock=clock)
    others = KeyRing.from_jwks(ring.jwks(), algorithms=["ES256"], clock=clock)
    verifier = TokenVerifier(RULES, access=others, clock=clock)
    issued: list[tuple[int, str]] = []
    signed_by = []
    for _ in range(40):
        claims = issuer.claims(TokenKind.ACCESS, "ann")
        issued.append((claims.expires_us, issuer.sign(claims)))
        signed_by.append(ring.signing().kid)
        for ends, token in issued:
            if clock() < ends:
                verifier.verify(token)
        clock.now_us += minute
    assert signed_by == ["old"] * 5 + ["new"] * 35
    assert [jwk["kid"] for jwk in ring.jwks()["keys"]] == ["new"]


def _second_ec() -> dict[str, Any]:
    from jwt.algorithms import ECAlgorithm  # noqa: PLC0415 -- only here

    told: dict[str, Any] = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
    return told


def test_a_ring_is_replaced_under_load() -> None:
    """Whoever signs and verifies meanwhile meets all of the old keys or all of the new."""
    keys = [key_of("HS256", str(number), kid=str(number)) for number in range(4)]
    ring = KeyRing(*keys[:2])
    issuer = TokenIssuer(RULES, access=ring)
    verifier = TokenVerifier(RULES, access=ring, max_seen=64)
    done, failures = threading.Event(), list[BaseException]()
    verified = [0, 0, 0]

    def work(number: int) -> None:
        while not done.is_set():
            claims = issuer.claims(TokenKind.ACCESS, "ann")
            token = issuer.sign(claims)
            try:
                for _ in range(3):
                    assert verifier.verify(token) == claims
                verified[number] += 1
            except TokenError as error:
                if error.reason != "unknown_key":  # its key was replaced meanwhile
                    failures.append(error)
            except AssertionError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(2000):
        # An overlap of one, so that most tokens outlive a turn.
        ring.replace(keys[turn % 4], keys[(turn + 1) % 4])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(verified)

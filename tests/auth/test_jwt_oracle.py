"""Other libraries as witnesses: they read what we write, and we read what they write."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
from joserfc import jwk as their_jwk
from joserfc import jwt as their_jwt
from joserfc.jwk import KeySet

from socialflow_core.auth import KindRules, TokenKind, TokenRules
from socialflow_core.auth.jwt import ALGORITHMS, KeyRing, TokenIssuer, TokenVerifier
from socialflow_core.testing.clock import ManualClock
from tests.auth.keys import key_of, material

RULES = TokenRules(issuer="https://a.example", audience=("api",))
# Between two seconds, so that the moments have fractions. The libraries read a clock of their
# own: what we sign is issued long ago, and lasts.
CLOCK = ManualClock(1_700_000_000_123_457)
LONG = KindRules(lifetime=timedelta(days=36_500), types=("at+jwt",))
LASTING = TokenRules(issuer=RULES.issuer, audience=RULES.audience, access=LONG)
OWN: dict[str, Any] = {"scope": "read", "roles": ("a", "b"), "n": {"x": 1.5, "ü": None}}
PLAIN = {"scope": "read", "roles": ["a", "b"], "n": {"x": 1.5, "ü": None}}
# PyJWT does not know the names of RFC 9864.
PYJWT = [name for name in ALGORITHMS if name not in {"Ed25519", "Ed448"}]


def issued(algorithm: str) -> tuple[KeyRing, str]:
    """A ring, and a token of it."""
    ring = KeyRing(key_of(algorithm, kid="k1"), clock=CLOCK)
    issuer = TokenIssuer(LASTING, access=ring, clock=CLOCK)
    claims = issuer.claims(TokenKind.ACCESS, "ann", session="s1", own=OWN)
    return ring, issuer.sign(claims)


def public(algorithm: str) -> Any:
    """What verifies."""
    key = material(algorithm)
    return key if algorithm.startswith("HS") else key.public_key()


@pytest.mark.parametrize("algorithm", PYJWT)
def test_pyjwt_reads_ours(algorithm: str) -> None:
    """With all of its checks."""
    _, token = issued(algorithm)
    said = jwt.decode(
        token,
        public(algorithm),
        algorithms=[algorithm],
        audience="api",
        issuer=RULES.issuer,
        options={"require": ["exp", "iat", "sub", "jti", "iss", "aud"]},
    )
    assert said.items() >= {"sub": "ann", "sid": "s1", **PLAIN}.items()
    assert said["iat"] == 1_700_000_000.123457
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": "k1", "typ": "at+jwt"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:.*EdDSA")  # joserfc holds with RFC 9864
def test_joserfc_reads_ours(algorithm: str) -> None:
    """By the key that it finds in what we publish."""
    ring, token = issued(algorithm)
    if algorithm.startswith("HS"):
        keys: Any = their_jwk.OctKey.import_key(material(algorithm))
    else:
        keys = KeySet.import_key_set(ring.jwks())  # type: ignore[arg-type]  # -- it is one
    read = their_jwt.decode(token, keys, algorithms=[algorithm])
    assert read.claims.items() >= {"sub": "ann", "sid": "s1", **PLAIN}.items()
    their_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": RULES.issuer},
        aud={"essential": True, "value": "api"},
        exp={"essential": True},
    ).validate(read.claims)


SAID: dict[str, Any] = {
    "iss": RULES.issuer,
    "sub": "ann",
    "aud": ["api", "other"],
    "iat": 1_700_000_000,
    "nbf": 1_700_000_000.0,
    "exp": 1_700_000_060,
    "jti": "1",
    **PLAIN,
}


def check(token: str, ring: KeyRing) -> None:
    """We believe it, and read all of it."""
    claims = TokenVerifier(RULES, access=ring, clock=CLOCK).verify(token)
    assert (claims.subject, claims.audience, claims.token_id) == ("ann", ("api", "other"), "1")
    assert (claims.issued_us, claims.expires_us) == (1_700_000_000 * 10**6, 1_700_000_060 * 10**6)
    assert claims.starts_us == claims.issued_us
    assert claims.own == OWN


@pytest.mark.parametrize("algorithm", PYJWT)
def test_we_read_theirs_of_pyjwt(algorithm: str) -> None:
    """A token made by PyJWT, with a kid and without."""
    key = material(algorithm)
    ring = KeyRing(key_of(algorithm, kid="k1"), clock=CLOCK)
    for header in ({"typ": "at+jwt", "kid": "k1"}, {"typ": "at+jwt"}):
        check(jwt.encode(SAID, key, algorithm, headers=header), ring)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:.*EdDSA")
def test_we_read_theirs_of_joserfc(algorithm: str) -> None:
    """A token made by joserfc, verified by the keys that joserfc publishes."""
    kty, size = {
        "HS": ("oct", 512),
        "RS": ("RSA", 2048),
        "PS": ("RSA", 2048),
        "ES": ("EC", {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}.get(algorithm)),
        "Ed": ("OKP", "Ed448" if algorithm == "Ed448" else "Ed25519"),
    }[algorithm[:2]]
    key: Any = their_jwk.JWKRegistry.generate_key(kty, size, {"kid": "k1"})
    token = their_jwt.encode(
        {"alg": algorithm, "typ": "at+jwt", "kid": "k1"}, SAID, key, algorithms=[algorithm]
    )
    told = key.as_dict(private=kty == "oct")
    check(token, KeyRing.from_jwks({"keys": [told]}, algorithms=[algorithm], clock=CLOCK))


def test_we_read_untyped_tokens_where_we_are_told_to() -> None:
    """Issuers that write no `typ`, or only "JWT", are believed by rules that say so."""
    others = KindRules(lifetime=timedelta(hours=1), types=("at+jwt", "jwt", ""), required=())
    rules = TokenRules(issuer=RULES.issuer, audience=("api",), access=others)
    verifier = TokenVerifier(rules, access=KeyRing(key_of("HS256")), clock=CLOCK)
    for header in ({"typ": "JWT"}, {"typ": None}):
        token = jwt.encode(SAID, material("HS256"), "HS256", headers=header)
        assert verifier.verify(token).subject == "ann"

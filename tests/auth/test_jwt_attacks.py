"""Tokens that somebody made or changed: each is refused, for its reason, and shows nothing."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import der_to_raw_signature, raw_to_der_signature

from socialflow_core.auth._compact import decode64, encode64
from socialflow_core.auth._revocation import of_token
from socialflow_core.auth.jwt import (
    ALGORITHMS,
    KeyRing,
    TokenIssuer,
    TokenVerifier,
)
from socialflow_core.auth.memory import MemoryRevocations
from tests.auth.forging import (
    ACCESS,
    CLOCK,
    HEADER,
    PAYLOAD,
    RULES,
    SECRET,
    TOKEN,
    VERIFIER,
    forged,
    refused,
    text,
)
from tests.auth.keys import CURVES, key_of, public_pem


def test_what_is_forged_here_would_pass() -> None:
    """The tokens below are refused for what is wrong with them, and for nothing else."""
    assert VERIFIER.verify(forged()).subject == "ann"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS1", "hs256"])
@pytest.mark.parametrize("signature", ["", "AAAA", encode64(hashlib.sha256(b"x").digest())])
def test_no_algorithm_is_none(alg: str, signature: str) -> None:
    """However it is spelled (RFC 8725, 3.2)."""
    for header in ({**HEADER, "alg": alg}, {"alg": alg, "typ": "at+jwt"}):
        token = f"{encode64(text(header))}.{encode64(text(PAYLOAD))}.{signature}"
        assert refused(token) in {"bad_signature", "unknown_key", "malformed"}


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if not name.startswith("HS")])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret(algorithm: str, alg: str) -> None:
    """Algorithm confusion: a token signed by HMAC with the text of the public key."""
    ring = KeyRing(key_of(algorithm, kid="a"))
    verifier = TokenVerifier(RULES, access=ring, clock=CLOCK)
    pem = public_pem(algorithm)
    jwk = json.dumps(ring.jwks()["keys"][0])
    for secret in (pem, pem.strip(), pem.replace("\n", ""), jwk):
        assert refused(
            forged({**HEADER, "alg": alg}, secret=secret.encode()), ACCESS, verifier
        ) == ("bad_signature")
        nameless = forged({"alg": alg, "typ": "at+jwt"}, secret=secret.encode())
        assert refused(nameless, ACCESS, verifier) == "unknown_key"


def test_a_key_has_one_algorithm() -> None:
    """The same secret with another hash is refused (RFC 8725, 3.1)."""
    signed = f"{encode64(text({**HEADER, 'alg': 'HS512'}))}.{encode64(text(PAYLOAD))}"
    token = f"{signed}.{encode64(hmac.digest(SECRET, signed.encode(), 'sha512'))}"
    assert refused(token) == "bad_signature"


@pytest.mark.parametrize("cut", range(1, 44))
def test_a_truncated_signature_is_none(cut: int) -> None:
    """Not even one bit shorter."""
    assert refused(TOKEN[:-cut]) in {"bad_signature", "malformed"}


def test_a_signature_has_one_spelling() -> None:
    """Bits beyond the last byte, padding, blanks: the same bytes, and refused all the same."""
    others = {TOKEN + "=", TOKEN + "==", TOKEN + "\n", " " + TOKEN, TOKEN + " "}
    for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        others.add(TOKEN[:-1] + character)
    others.discard(TOKEN)
    assert {refused(other) for other in others} <= {"malformed", "bad_signature"}
    head, rest = TOKEN.split(".", 1)
    assert refused(f"{head}=.{rest}") == "malformed"


@pytest.mark.parametrize("algorithm", CURVES)
def test_the_twin_of_a_signature_is_no_second_token(algorithm: str) -> None:
    """ECDSA has two signatures of one text; what is revoked is revoked under both."""
    ring, revocations = KeyRing(key_of(algorithm)), MemoryRevocations(clock=CLOCK)
    issuer = TokenIssuer(RULES, access=ring, clock=CLOCK)
    verifier = TokenVerifier(RULES, access=ring, clock=CLOCK, revocations=revocations)
    claims = issuer.claims(ACCESS, "ann")
    token = issuer.sign(claims)
    signed, _, signature = token.rpartition(".")
    curve = CURVES[algorithm]
    r, s = decode_dss_signature(raw_to_der_signature(decode64(signature), curve))
    twin = encode64(der_to_raw_signature(encode_dss_signature(r, _ORDERS[algorithm] - s), curve))
    assert verifier.verify(f"{signed}.{twin}") == verifier.verify(token) == claims
    revocations.revoke(of_token(claims))
    assert refused(f"{signed}.{twin}", ACCESS, verifier) == "revoked"
    assert refused(token, ACCESS, verifier) == "revoked"


# How many points the curves have (FIPS 186-5; SP 800-186, 3.2.1).
_ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    "ES512": int(
        "1" + 65 * "F" + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16
    ),
}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"me","sub":"ann","sub":"bob","aud":"api","iat":1,"exp":9999999999,"jti":"1"}',
        b'{"exp":1,"iss":"me","sub":"ann","aud":"api","iat":1,"exp":9999999999,"jti":"1"}',
        b"[" * 3000,
        b'{"a":' * 1000,
        text(PAYLOAD)[:-1] + b',"a":' + b"[" * 500 + b"]" * 500 + b"}",
        text(PAYLOAD).replace(b'"exp"', b'"exp": 1e999, "was"'),
        b'{"exp":NaN}',
        b'{"exp":' + b"9" * 4500 + b"}",
        b"null",
        b"\x00\xff",
        b"",
    ],
)
def test_a_bomb_does_not_explode(payload: bytes) -> None:
    """Not even one that is signed with a good key: duplicates, depth, numbers."""
    assert refused(forged(payload=payload)) == "malformed"


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 3000,
        b'{"alg":"HS256","alg":"HS256","kid":"a","typ":"at+jwt"}',
        {**HEADER, "crit": ["exp"]},
        {**HEADER, "crit": []},
        {**HEADER, "b64": False, "crit": ["b64"]},
        {**HEADER, "b64": True},
        {**HEADER, "kid": 1},
        {**HEADER, "kid": None},
        {**HEADER, "typ": ["at+jwt"]},
        {"kid": "a", "typ": "at+jwt"},
    ],
)
def test_a_header_that_is_not_understood_is_malformed(header: object) -> None:
    """Also with a good signature (RFC 7515, 4.1.11)."""
    assert refused(forged(header)) == "malformed"


@pytest.mark.parametrize(
    "kid",
    [
        "b",
        "A",
        "a ",
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "a' OR '1'='1",
        "a\x00",
        "https://evil.example/key",
        "__class__",
        "\ud800",
    ],
)
def test_a_kid_only_chooses_among_our_keys(kid: str) -> None:
    """An unknown one is unknown, whatever it looks like; an empty secret is not tried."""
    assert refused(forged({**HEADER, "kid": kid}, secret=b"")) == "unknown_key"
    assert refused(forged({**HEADER, "kid": kid})) == "unknown_key"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_no_token_brings_its_key(name: str) -> None:
    """What would bring one is not looked at (RFC 8725, 3.10)."""
    mine = b"mine" * 8
    brought: dict[str, Any] = {
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/cert.pem",
        "jwk": {"kty": "oct", "k": encode64(mine), "alg": "HS256", "kid": "a"},
        "x5c": ["MIIB"],
    }
    header = {**HEADER, name: brought[name]}
    assert refused(forged(header, secret=mine)) == "bad_signature"
    assert VERIFIER.verify(forged(header)).subject == "ann"


@pytest.mark.parametrize("size", [8193, 100_000, 10_000_000])
def test_a_huge_token_is_not_read(size: int) -> None:
    """It is refused for its length, before anything of it is looked at."""
    assert refused("a" * size) == "malformed"
    assert refused(forged(payload={**PAYLOAD, "own": "a" * size})) == "malformed"


@pytest.mark.parametrize(
    "token",
    [None, 7, b"a.b.c", TOKEN.encode(), "\ud800.a.b", "é.a.b", TOKEN + "\u0430", "", "..", "..."],
    ids=itertools.count(),  # a token is another one in every process
)
def test_what_is_no_text_is_malformed(token: object) -> None:
    """Bytes, nothing, other alphabets."""
    assert refused(token) == "malformed"


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "refresh+jwt", "application/refresh+jwt", "logout+jwt"]
)
def test_a_kind_is_its_type(typ: str) -> None:
    """Another `typ`, or none, is another kind, also with the right key (RFC 8725, 3.11)."""
    assert refused(forged({**HEADER, "typ": typ})) == "wrong_kind"
    assert refused(forged({"alg": "HS256", "kid": "a"})) == "wrong_kind"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_a_type_is_a_media_type(typ: str) -> None:
    """Its case and its prefix do not matter (RFC 7515, 4.1.9)."""
    assert VERIFIER.verify(forged({**HEADER, "typ": typ})).kind is ACCESS


@given(st.binary(max_size=200))
def test_any_signature_is_refused(signature: bytes) -> None:
    """Of any length, for every algorithm, and no error of a vendor comes out."""
    for algorithm in ALGORITHMS:
        verifier = _VERIFIERS[algorithm]
        header = {"alg": algorithm, "typ": "at+jwt"}
        token = f"{encode64(text(header))}.{encode64(text(PAYLOAD))}.{encode64(signature)}"
        assert refused(token, ACCESS, verifier) == "bad_signature"


_VERIFIERS = {
    name: TokenVerifier(RULES, access=KeyRing(key_of(name)), clock=CLOCK) for name in ALGORITHMS
}


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `hmac.compare_digest`, and the whole of them: time tells nothing of a secret."""
    compared = list[tuple[int, int]]()
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    signed = TOKEN.rpartition(".")[0]
    assert refused(f"{signed}.{encode64(bytes(32))}") == "bad_signature"
    assert compared == [(32, 32)]

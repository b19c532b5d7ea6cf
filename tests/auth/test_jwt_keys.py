"""Keys and rings: what is accepted, what is shown, how they are exchanged."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from socialflow_core._kit.secrets import Secret
from socialflow_core.auth import TokenKind, TokenRules
from socialflow_core.auth.jwt import ALGORITHMS, KeyRing, TokenIssuer, TokenKey, TokenVerifier
from tests.auth.keys import key_of, material, private_pem, public_pem

RULES = TokenRules()
ASYMMETRIC = [name for name in ALGORITHMS if not name.startswith("HS")]
LENGTHS = {"HS256": 32, "HS384": 48, "HS512": 64}


def test_none_is_no_algorithm() -> None:
    """Nothing but what is listed is one."""
    assert not {"none", "", "HS1"} & set(ALGORITHMS)
    for name in ("none", "", "hs256", None, 7):
        with pytest.raises(ValueError, match="algorithm must be one of"):
            TokenKey(name, b"x" * 64)  # type: ignore[arg-type]  # -- that is the point


@pytest.mark.parametrize(("algorithm", "least"), LENGTHS.items())
def test_a_secret_is_as_long_as_the_hash(algorithm: str, least: int) -> None:
    """Shorter is refused where it is strict, and warned of where it is not (RFC 7518, 3.2)."""
    TokenKey(algorithm, b"x" * least)
    with pytest.raises(ValueError, match=f"has {least - 1} bytes"):
        TokenKey(algorithm, b"x" * (least - 1))
    with pytest.warns(UserWarning, match="production refuses it") as warned:
        TokenKey(algorithm, b"x" * (least - 1), strict=False)
    assert Path(warned[0].filename).name == "test_jwt_keys.py"
    for strict in (True, False):
        with pytest.raises(ValueError, match="not a key"):
            TokenKey(algorithm, b"", strict=strict)


def test_an_rsa_key_has_2048_bits() -> None:
    """Less is refused or warned of (RFC 7518, 3.3)."""
    short = rsa.generate_private_key(65537, 1024)
    with pytest.raises(ValueError, match="has 1024 bits"):
        TokenKey("RS256", short)
    with pytest.warns(UserWarning, match="1024 bits"):
        TokenKey("PS256", short, strict=False)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_another_kind_is_refused(algorithm: str) -> None:
    """A curve is of one algorithm, and a text that is another key is no secret."""
    others = {
        "oct": material("HS512"),
        "RSA": private_pem("RS256"),
        "EC": private_pem("ES256" if algorithm != "ES256" else "ES384"),
        "OKP": private_pem("Ed25519" if algorithm != "Ed25519" else "Ed448"),
    }
    mine = {"HS": "oct", "RS": "RSA", "PS": "RSA", "Ed": "OKP"}.get(algorithm[:2])
    for kind, other in others.items():
        if kind != mine or algorithm == "Ed25519":
            with pytest.raises(ValueError, match=f"not a key of {algorithm}") as caught:
                TokenKey(algorithm, other)
            assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "bad", ["", "no key", b"\xff\xfe", None, 7, object(), b"-----BEGIN X-----"]
)
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_what_is_no_key_is_refused(algorithm: str, bad: object) -> None:
    """With one error, whatever it is."""
    with pytest.raises(ValueError, match=f"not a key of {algorithm}"):
        TokenKey(algorithm, bad)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_key_is_read_from_every_form(algorithm: str) -> None:
    """PEM, an object of cryptography, a JWK: one key, one name."""
    own = key_of(algorithm)
    public = TokenKey(algorithm, public_pem(algorithm))
    jwk = own.jwk()
    assert jwk is not None
    forms = [
        TokenKey(algorithm, private_pem(algorithm)),
        TokenKey(algorithm, Secret(private_pem(algorithm))),
        TokenKey(algorithm, private_pem(algorithm).encode()),
        TokenKey.from_jwk(jwk),
        public,
    ]
    assert {key.kid for key in forms} == {own.kid}
    assert {key.thumbprint for key in forms} == {own.thumbprint}
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & jwk.keys()
    assert public.verify(b"data", own.sign(b"data"))
    assert not public.verify(b"other", own.sign(b"data"))
    with pytest.raises(ValueError, match="does not sign"):
        public.sign(b"data")
    with pytest.raises(ValueError, match="no key of the ring signs"):
        TokenIssuer(RULES, access=KeyRing(public))


def test_a_thumbprint_is_that_of_the_rfc() -> None:
    """The example of RFC 7638, 3.1."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = TokenKey.from_jwk({"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256"})
    assert key.kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_secret_has_no_public_part() -> None:
    """It is never published, and its name does not tell it."""
    ring = KeyRing(key_of("HS256"), key_of("ES256"))
    assert [jwk["kty"] for jwk in ring.jwks()["keys"]] == ["EC"]
    again = TokenKey("HS256", material("HS256"))
    assert again.kid == ring.state.all[0].kid
    assert key_of("HS256", "other").kid != again.kid


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_show_nothing_and_stay_here(algorithm: str) -> None:
    """No repr, str or pickle holds them."""
    key = key_of(algorithm)
    ring = KeyRing(key)
    assert repr(key) == f"TokenKey({algorithm!r}, kid={key.kid!r}, signs=True)"
    assert repr(ring) == f"KeyRing({key!r},)"
    for thing in (key, ring):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)


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


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_ring_is_read_from_a_jwk_set(algorithm: str) -> None:
    """Private keys sign, and what they publish verifies."""
    private = KeyRing.from_jwks(
        jwks(private_jwk(algorithm, kid="k1", alg=algorithm)), algorithms=[algorithm]
    )
    issuer = TokenIssuer(RULES, access=private)
    claims = issuer.claims(TokenKind.ACCESS, "ann")
    token = issuer.sign(claims)
    assert TokenVerifier(RULES, access=private).verify(token) == claims
    if algorithm not in LENGTHS:
        public = KeyRing.from_jwks(private.jwks(), algorithms=[algorithm])
        assert TokenVerifier(RULES, access=public).verify(token) == claims
        assert public.jwks() == private.jwks()


def test_a_jwk_set_is_read_as_far_as_it_is_asked_for() -> None:
    """Keys for encryption, of other types and algorithms, are skipped (RFC 7517, 5)."""
    document = jwks(
        {"kty": "RSA", "use": "enc", "kid": "1"},
        {"kty": "unheard of", "kid": "2"},
        {"kty": "EC", "alg": "ES512", "kid": "3"},
        private_jwk("ES256", kid="4"),
    )
    ring = KeyRing.from_jwks(document.encode(), algorithms=["RS256", "ES256"])
    assert [(key.kid, key.algorithm) for key in ring.state.all] == [("4", "ES256")]
    assert ring.algorithms == ("RS256", "ES256")
    ring.reload(document)
    assert ring.signing().kid == "4"


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"keys":{}}',
        '{"keys":[1]}',
        '{"keys":[]}',
        '{"keys":[],"keys":[]}',
        jwks({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        jwks({"kty": "EC", "crv": "P-256"}),
        jwks({"kty": "EC", "crv": "P-256", "x": 7, "y": None}),
        jwks({"kty": "oct", "alg": "ES256", "k": "AA"}),
        jwks({"kty": "EC", "alg": ["ES256"], "k": "AA"}),
    ],
)
def test_a_bad_jwk_set_is_refused(document: str) -> None:
    """Also one in which nothing is asked for."""
    with pytest.raises(ValueError, match=r"JWK Set|not a key"):
        KeyRing.from_jwks(document, algorithms=["ES256"])


@pytest.mark.parametrize(
    "more",
    [{"kid": 7}, {"nbf": "1"}, {"exp": 1.5}, {"exp": True}, {"nbf": 5, "exp": 5}, {"nbf": -1}],
)
def test_a_bad_member_of_a_key_is_refused(more: dict[str, Any]) -> None:
    """Of a key that is asked for, everything has to be right."""
    with pytest.raises(ValueError, match=r"kid|nbf|exp|sign_from|retired"):
        KeyRing.from_jwks(jwks(private_jwk("ES256", **more)), algorithms=["ES256"])


def test_a_key_of_another_curve_is_skipped() -> None:
    """Where it names no algorithm, its curve tells: ES256 is of P-256 alone (RFC 7518, 3.4)."""
    own, other = key_of("ES256").jwk(), key_of("ES384").jwk()
    assert own is not None
    assert other is not None
    del other["alg"]
    ring = KeyRing.from_jwks(jwks(other, own), algorithms=["ES256"])
    assert [key.kid for key in ring.state.all] == [own["kid"]]
    both = KeyRing.from_jwks(jwks(other, own), algorithms=["ES256", "ES384"])
    assert {key.algorithm for key in both.state.all} == {"ES256", "ES384"}

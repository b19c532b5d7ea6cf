"""One key of tokens: its algorithm, its strength, and when it is used."""

from __future__ import annotations

import hmac
import json
import warnings
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.secrets import Secret
from socialflow_core.auth._compact import encode64
from socialflow_core.auth._keys import Terms, check_terms

with requires_extra("auth"):
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from jwt.api_jws import PyJWS
    from jwt.exceptions import PyJWTError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwt.algorithms import Algorithm

__all__ = ["ALGORITHMS", "TokenKey"]


class _Family(NamedTuple):
    """What an algorithm asks of its keys.

    Attributes:
        vendor: What PyJWT calls it.
        kty: The type of its keys (RFC 7518, 6.1).
        curves: On which curves they are; none if they are on no curve.
        least: How many bytes a secret has at least, or bits an RSA key.
    """

    vendor: str
    kty: str
    curves: tuple[str, ...] = ()
    least: int = 0


_FAMILIES = {
    # A secret is as long as the hash, or longer (RFC 7518, 3.2).
    **{f"HS{bits}": _Family(f"HS{bits}", "oct", least=bits // 8) for bits in (256, 384, 512)},
    # 2048 bits or more (RFC 7518, 3.3 and 3.5).
    **{
        f"{kind}{bits}": _Family(f"{kind}{bits}", "RSA", least=2048)
        for kind in ("RS", "PS")
        for bits in (256, 384, 512)
    },
    # One curve each (RFC 7518, 3.4).
    "ES256": _Family("ES256", "EC", ("P-256",)),
    "ES384": _Family("ES384", "EC", ("P-384",)),
    "ES512": _Family("ES512", "EC", ("P-521",)),
    # RFC 8037, and its successor that names the curve, RFC 9864.
    "EdDSA": _Family("EdDSA", "OKP", ("Ed25519", "Ed448")),
    "Ed25519": _Family("EdDSA", "OKP", ("Ed25519",)),
    "Ed448": _Family("EdDSA", "OKP", ("Ed448",)),
}

ALGORITHMS = tuple(_FAMILIES)
"""The algorithms there are; "none" is not among them."""

# What makes a key of a type (RFC 7638, 3.2): its public members.
_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_TYPES: dict[str, tuple[type, ...]] = {
    "RSA": (rsa.RSAPublicKey,),
    "EC": (ec.EllipticCurvePublicKey,),
    "OKP": (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey),
}
_BAD_KEY = (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError)


class TokenKey:
    """A key, bound to one algorithm (RFC 8725, 3.1). It shows nothing, and is not pickled.

    Args:
        algorithm: One of `ALGORITHMS`.
        material: The secret of HS*, as bytes or text (UTF-8); otherwise a private or public
            key as PEM, or as an object of `cryptography`. A public one only verifies.
        kid: Its name in headers. If empty, its thumbprint (RFC 7638); that of a secret tells
            no more than any token does.
        sign_from_us: It does not sign before; so its public part is known when it does.
        retire_us: From then on it does not verify either; None if that is not known yet.
        strict: Refuse a weak key. Otherwise it is only warned of.

    Attributes:
        algorithm: As above.
        terms: Its name, and when it is used.
        strict: As above.
        thumbprint: The same for two keys of equal material.

    Raises:
        ValueError: If it is no key of that algorithm, or is weak: a secret shorter than the
            hash, or an RSA key of less than 2048 bits. The text holds nothing of the key.
    """

    __slots__ = ("_key", "_public", "_vendor", "algorithm", "strict", "terms", "thumbprint")

    def __init__(
        self,
        algorithm: str,
        material: str | bytes | Secret | object,
        *,
        kid: str = "",
        sign_from_us: int = 0,
        retire_us: int | None = None,
        strict: bool = True,
    ) -> None:
        family = _family(algorithm)
        self.algorithm = algorithm
        self.strict = strict
        self._vendor = PyJWS().get_algorithm_by_name(family.vendor)
        plain = material.reveal() if isinstance(material, Secret) else material
        self._key, self._public, members = _loaded(self._vendor, family, plain)
        if members is None:
            raise ValueError(f"not a key of {algorithm}")
        self.thumbprint = _thumbprint(self._key, family.kty, members)
        self._check_strength(family)
        signs = self._public is None or self._key is not self._public
        self.terms = Terms(kid or self.thumbprint, signs, sign_from_us, retire_us)
        check_terms(self.terms)

    def _check_strength(self, family: _Family) -> None:
        size, unit = (
            (len(self._key), "bytes") if family.kty == "oct" else (_bits(self._public), "bits")
        )
        if size >= family.least:
            return
        weak = f"a key of {self.algorithm} has {size} {unit}, not at least {family.least}"
        if self.strict:
            raise ValueError(weak)
        warnings.warn(f"{weak}: production refuses it", stacklevel=3)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, algorithm: str = "", strict: bool = True) -> Self:
        """The key of a JWK (RFC 7517): a secret, a private or a public one.

        `nbf` and `exp`, where it has them, tell from when on it signs, and when it is retired
        (as in OpenID Federation 1.0, 8.7).

        Args:
            jwk: Its members.
            algorithm: Used if the key does not name one (`alg`).
            strict: As of the class.

        Raises:
            ValueError: As of the class.
        """
        name = jwk.get("alg", algorithm)
        kid = jwk.get("kid", "")
        if not isinstance(kid, str):
            raise ValueError("kid must be a text")  # noqa: TRY004 -- as all of a bad JWK
        return cls(
            name,
            _material(_family(name), jwk),
            kid=kid,
            sign_from_us=_moment(jwk, "nbf") or 0,
            retire_us=_moment(jwk, "exp"),
            strict=strict,
        )

    @property
    def kid(self) -> str:
        """Its name in headers."""
        return self.terms.kid

    def sign(self, data: bytes) -> bytes:
        """The signature of *data*.

        Raises:
            ValueError: If its private part is not known.
        """
        if not self.terms.signs:
            raise ValueError(f"the key {self.kid} is a public one: it does not sign")
        return self._vendor.sign(data, self._key)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether *signature* is one of *data*; that of HS* is compared in constant time."""
        key = self._key if self._public is None else self._public
        return self._vendor.verify(data, key, signature)

    def jwk(self) -> dict[str, Any] | None:
        """Its public part as a JWK; None if it has none, being a secret."""
        if self._public is None:
            return None
        members = _public_members(self._vendor, self._public)
        return {**members, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def __repr__(self) -> str:
        return f"TokenKey({self.algorithm!r}, kid={self.kid!r}, signs={self.terms.signs})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenKey is not pickled")


def _family(algorithm: object) -> _Family:
    if not isinstance(algorithm, str) or algorithm not in _FAMILIES:
        raise ValueError(f"algorithm must be one of {', '.join(_FAMILIES)}")
    return _FAMILIES[algorithm]


def _material(family: _Family, jwk: Mapping[str, Any]) -> object:
    """What the JWK describes; None, which is no key, if that is none of the family."""
    try:
        return PyJWS().get_algorithm_by_name(family.vendor).from_jwk(dict(jwk))
    except _BAD_KEY:
        return None  # their errors may quote the key


def _loaded(
    vendor: Algorithm, family: _Family, material: object
) -> tuple[Any, Any, dict[str, Any] | None]:
    """The key, its public part, and the members of that; None if it is of another family."""
    try:
        key = vendor.prepare_key(material)
        if family.kty == "oct":
            return key, None, {} if key else None
        public = key.public_key() if hasattr(key, "public_key") else key
        is_one = isinstance(public, _TYPES[family.kty])
        members = _public_members(vendor, public) if is_one else {}
    except _BAD_KEY:
        return None, None, None  # as above
    if not members or (family.curves and members["crv"] not in family.curves):
        return None, None, None
    return key, public, members


def _public_members(vendor: Algorithm, public: Any) -> dict[str, Any]:
    members = json.loads(vendor.to_jwk(public))
    return {name: members[name] for name in _MEMBERS[members["kty"]]}


def _thumbprint(key: Any, kty: str, members: dict[str, Any]) -> str:
    if kty == "oct":
        # Of a secret no hash is shown by which other uses of it could be recognised.
        return encode64(hmac.digest(key, b"socialflow_core.auth: kid", "sha256")[:12])
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return encode64(sha256(canonical.encode()).digest())


def _bits(public: Any) -> int:
    bits: int = public.key_size if hasattr(public, "key_size") else 0
    return bits


def _moment(jwk: Mapping[str, Any], name: str) -> int | None:
    seconds = jwk.get(name)
    if seconds is None:
        return None
    if type(seconds) is not int:
        raise ValueError(f"{name} of a key must be whole seconds")
    return seconds * 1_000_000

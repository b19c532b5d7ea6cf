"""The keys of one kind of token, which can be replaced while they are used."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from socialflow_core._kit.clock import unix_us
from socialflow_core.auth._interface import TokenError
from socialflow_core.auth._json import parse
from socialflow_core.auth._keys import MAX_KEYS, signing, verifies

from .keys import ALGORITHMS, TokenKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._compact import Header

__all__ = ["KeyRing", "Keys", "rings"]

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_KTY = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class Keys(NamedTuple):
    """The keys of a ring at one moment; replaced as a whole, never changed."""

    all: tuple[TokenKey, ...]
    by_kid: dict[str, TokenKey]

    def candidates(self, header: Header, now_us: int) -> Sequence[TokenKey]:
        """The keys that may have signed a token of this header.

        Raises:
            TokenError: If none may: the key is unknown or retired, or signs otherwise.
        """
        if header.kid is None:
            found = [key for key in self.all if key.algorithm == header.alg]
        else:
            key = self.by_kid.get(header.kid)
            if key is not None and key.algorithm != header.alg:
                raise TokenError("bad_signature", claim="alg")
            found = [] if key is None else [key]
        live = [key for key in found if verifies(key.terms, now_us)]
        if not live:
            raise TokenError("unknown_key", claim="kid")
        return live


class KeyRing:
    """Keys by their `kid`: one signs, all that are not retired verify. Thread-safe.

    `kid` only chooses among these; nothing is loaded by it, and no key is taken from a token.
    A token without `kid` may be signed by any key of its algorithm.

    Args:
        keys: One or more, of different names.
        algorithms: What keys may be of, also those to come; by default those of *keys*.
        clock: Microseconds since 1970-01-01 UTC.

    Attributes:
        algorithms: As above.
        state: All keys, as they are now; read it once for what belongs together.

    Raises:
        ValueError: If there is no key or too many, two have one name, or one is of an
            algorithm that is not allowed.
    """

    def __init__(
        self, *keys: TokenKey, algorithms: Iterable[str] | None = None, clock: Clock = unix_us
    ) -> None:
        allowed = [key.algorithm for key in keys] if algorithms is None else algorithms
        self.algorithms = tuple(dict.fromkeys(allowed))
        if not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms must be of {', '.join(ALGORITHMS)}")
        self._clock = clock
        self.state = self._checked(keys)

    @classmethod
    def from_jwks(
        cls,
        document: str | bytes | Mapping[str, Any],
        *,
        algorithms: Iterable[str],
        strict: bool = True,
        clock: Clock = unix_us,
    ) -> Self:
        """The ring of a JWK Set (RFC 7517, 5): your own private keys, or another's public ones.

        Keys for encryption, and of types and algorithms that are not asked for, are skipped,
        as the RFC has it. Getting the document is yours: from a file, or by HTTPS.

        Args:
            document: Its text, or what it holds.
            algorithms: Which may sign. A key without `alg` is of the first that suits it.
            strict: As of `TokenKey`.
            clock: As of the class.

        Raises:
            ValueError: If it is no JWK Set, or holds no key that is asked for, or a bad one.
        """
        allowed = tuple(algorithms)
        keys = keys_of(document, allowed, strict=strict)
        return cls(*keys, algorithms=allowed, clock=clock)

    def replace(self, *keys: TokenKey) -> None:
        """Use these keys from now on, and no other; at once, also in other threads.

        What was verified by keys before is verified again. That access and refresh tokens
        have no key in common is not looked at again.

        Raises:
            ValueError: As of the class; then nothing has changed.
        """
        self.state = self._checked(keys)

    def reload(self, document: str | bytes | Mapping[str, Any], *, strict: bool = True) -> None:
        """`replace` by the keys of a JWK Set; see `from_jwks`."""
        self.replace(*keys_of(document, self.algorithms, strict=strict))

    def signing(self) -> TokenKey:
        """The key that signs now.

        Raises:
            ValueError: If none does.
        """
        key = signing([(key.terms, key) for key in self.state.all], self._clock())
        if key is None:
            raise ValueError("no key of the ring signs now")
        return key

    def jwks(self) -> dict[str, Any]:
        """The public keys that verify now or will, as a JWK Set to publish; never a secret."""
        now = self._clock()
        jwks = [key.jwk() for key in self.state.all if verifies(key.terms, now)]
        return {"keys": [jwk for jwk in jwks if jwk is not None]}

    def _checked(self, keys: tuple[TokenKey, ...]) -> Keys:
        if not 0 < len(keys) <= MAX_KEYS:
            raise ValueError(f"a ring has 1 to {MAX_KEYS} keys")
        for key in keys:
            if key.algorithm not in self.algorithms:
                raise ValueError(f"{key.algorithm} is not allowed here")
        by_kid = {key.kid: key for key in keys}
        if len(by_kid) != len(keys):
            raise ValueError("two keys have one kid")
        return Keys(keys, by_kid)

    def __repr__(self) -> str:
        return f"KeyRing{self.state.all!r}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a KeyRing is not pickled")


def keys_of(
    document: str | bytes | Mapping[str, Any], algorithms: tuple[str, ...], *, strict: bool
) -> list[TokenKey]:
    """The keys of a JWK Set that are of these algorithms; see `KeyRing.from_jwks`."""
    if isinstance(document, Mapping):
        members: Mapping[str, Any] | None = document
    else:
        members = parse(document if isinstance(document, bytes) else document.encode())
    listed = None if members is None else members.get("keys")
    if not isinstance(listed, list) or not all(isinstance(jwk, Mapping) for jwk in listed):
        raise ValueError("not a JWK Set")
    keys = []
    for jwk in listed:
        algorithm = _algorithm(jwk, algorithms)
        if algorithm:
            keys.append(TokenKey.from_jwk(jwk, algorithm=algorithm, strict=strict))
    if not keys:
        raise ValueError(f"the JWK Set has no key of {', '.join(algorithms)}")
    return keys


def _algorithm(jwk: Mapping[str, Any], algorithms: tuple[str, ...]) -> str | None:
    """Which of *algorithms* the key is of; None if of none."""
    if jwk.get("use", "sig") != "sig":
        return None
    if "alg" in jwk:
        return jwk["alg"] if jwk["alg"] in algorithms else None
    kinds = (name for name in algorithms if _KTY[name[:2]] == jwk.get("kty"))
    # RFC 7518, 3.4: each of these is of one curve.
    return next(
        (name for name in kinds if _CURVES.get(name, jwk.get("crv")) == jwk.get("crv")), None
    )


def rings(access: KeyRing, refresh: KeyRing | None) -> None:
    """Refuse that one key is for both kinds of token.

    Raises:
        ValueError: If there is such a key, and it is strict; otherwise it is warned of.
    """
    if refresh is None:
        return
    theirs = {key.thumbprint for key in refresh.state.all}
    shared = [key for key in access.state.all if key.thumbprint in theirs]
    if not shared:
        return
    told = "access and refresh tokens must not have a key in common"
    if any(key.strict for key in shared):
        raise ValueError(told)
    warnings.warn(f"{told}: production refuses it", stacklevel=3)

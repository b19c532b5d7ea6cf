"""By which rules tokens are issued and judged.

The two kinds are told apart by the `typ` of the header (RFC 8725, 3.11): no type is of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ._interface import TokenKind

__all__ = ["KindRules", "TokenRules", "media_type"]

_US = timedelta(microseconds=1)
_LONGEST_NAME = 255
# Revocations outlive tokens by so much that this fits in, and the error of a clock as well.
_MOST_LEEWAY = timedelta(minutes=5)
# The smallest that holds a header and the claims of this module, and the largest that is
# still read at once; a server's limit on a header line is 8 KiB as a rule.
_BYTES = range(256, 1024 * 1024 + 1)


def media_type(typ: str) -> str:
    """A `typ` as it is compared: no case, and no "application/" (RFC 7515, 4.1.9).

    >>> media_type("application/AT+JWT")
    'at+jwt'
    """
    return typ.lower().removeprefix("application/")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRules:
    """The rules of one kind of token.

    Attributes:
        lifetime: How long one lasts that is issued.
        types: Which `typ` it may have; the first is what is issued. An empty one is a
            token without, as some issuers make them.
        required: Claims that it must have, besides `sub`, `iat` and `exp`.

    Raises:
        ValueError: If there is no lifetime or type, or a name is none.
    """

    lifetime: timedelta
    types: tuple[str, ...]
    required: tuple[str, ...] = ("jti",)

    def __post_init__(self) -> None:
        if self.lifetime < timedelta(seconds=1):
            raise ValueError("lifetime must be at least a second")
        if not self.types or any(typ != media_type(typ) for typ in self.types):
            raise ValueError('types are one or more, in small letters, without "application/"')
        if not all(self.required):
            raise ValueError("a required claim has a name")

    @property
    def lifetime_us(self) -> int:
        """The same, in microseconds."""
        return self.lifetime // _US


_ACCESS = KindRules(lifetime=timedelta(minutes=15), types=("at+jwt",))
_REFRESH = KindRules(lifetime=timedelta(days=7), types=("refresh+jwt",))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What tokens are to say, and which are believed.

    Attributes:
        issuer: Who issues them (`iss`); if empty, it is not written and not checked.
        audience: Whom they are for (`aud`): a token passes if it names one of these. If there
            is none, a token that names somebody is refused (RFC 7519, 4.1.3).
        access: Of access tokens; their `typ` is that of RFC 9068.
        refresh: Of refresh tokens.
        leeway: How far clocks may differ; at most five minutes. For `iat` it is at least ten
            seconds, for a token that was just made must not be too young for its first verifier.
        max_bytes: A longer token is refused before it is read, and not issued.

    Raises:
        ValueError: If one of these makes no sense, or a type is of both kinds.
    """

    issuer: str = ""
    audience: tuple[str, ...] = ()
    access: KindRules = _ACCESS
    refresh: KindRules = _REFRESH
    leeway: timedelta = timedelta(0)
    max_bytes: int = 8192

    def __post_init__(self) -> None:
        told: object = self.audience
        if isinstance(told, str):
            raise ValueError("audience is a tuple of texts, not a text")  # noqa: TRY004 -- as its contents
        names = (self.issuer, *self.audience) if self.issuer else self.audience
        if not all(0 < len(name) <= _LONGEST_NAME and name.isprintable() for name in names):
            raise ValueError(f"issuer and audience are 1 to {_LONGEST_NAME} printable characters")
        if not set(self.access.types).isdisjoint(self.refresh.types):
            raise ValueError("access and refresh tokens must not have a type in common")
        if self.leeway < timedelta(0):
            raise ValueError("leeway must not be negative")
        if self.leeway > _MOST_LEEWAY:
            raise ValueError("leeway must be at most 5 minutes: revocations are kept no longer")
        if self.max_bytes not in _BYTES:
            raise ValueError(f"max_bytes must be {_BYTES[0]} to {_BYTES[-1]}")

    def of(self, kind: TokenKind) -> KindRules:
        """The rules of one kind."""
        return self.access if kind is TokenKind.ACCESS else self.refresh

    @property
    def leeway_us(self) -> int:
        """The leeway in microseconds."""
        return self.leeway // _US

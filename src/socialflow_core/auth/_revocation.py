"""Which tokens a revocation covers, what is kept of it, and for how long.

A token is revoked by its mark, with its session, with all of its user, or with all there
are. The token itself is never kept.

An entry has to outlive the last token that it covers, whoever's clock ends that token. So
it is kept `SKEW_US` longer: twice ten minutes, for the clock of whoever verifies may be ten
minutes behind, and that of the store ten minutes ahead.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from ._interface import Revocation

if TYPE_CHECKING:
    from ._interface import Claims, Scope

__all__ = [
    "SKEW_US",
    "Entry",
    "dated",
    "digest_of",
    "entry_of",
    "mark_digest",
    "mark_number",
    "mark_of",
    "means_now",
    "number_of",
    "of_all",
    "of_session",
    "of_token",
    "of_user",
    "predates",
    "subject_digest",
    "subject_number",
]

SKEW_US = 2 * 600_000_000

# Up to here a store's doubles are exact: the year 2255.
_LAST_US = 2**53 - 1

_SECOND_US = 1_000_000
_SIZE = 16
_HEX = 2 * _SIZE


class Entry(NamedTuple):
    """What is kept of a revocation.

    Attributes:
        scope: What it covers.
        name: What it is about, as 16 bytes; none if it covers all tokens.
        before_us: Of a user or of all: only those issued before this.
        kept_us: Until when it is kept.
    """

    scope: Scope
    name: bytes
    before_us: int
    kept_us: int


def mark_of(claims: Claims) -> str:
    """The name under which one token is revoked: 32 hexadecimal digits.

    It stands for `jti`, else for `sub:iat`. A jti that is a UUID without dashes is its own
    mark; of anything else it is a hash of 128 bits, so that it has one length and shows
    nothing.

    >>> from socialflow_core.auth import Claims, TokenKind
    >>> mark_of(
    ...     Claims(
    ...         kind=TokenKind.ACCESS,
    ...         subject="ann",
    ...         issued_us=1,
    ...         expires_us=2,
    ...         token_id="9a0364b9e99bb480dd25e1f0284c8555",
    ...     )
    ... )
    '9a0364b9e99bb480dd25e1f0284c8555'
    """
    return mark_digest(claims).hex()


def mark_digest(claims: Claims) -> bytes:
    """`mark_of`, as 16 bytes."""
    return mark_number(claims).to_bytes(_SIZE, "big")


def mark_number(claims: Claims) -> int:
    """`mark_of`, as a number."""
    if claims.token_id:
        return number_of(claims.token_id)
    # The number first: what follows it may be any text, and the two cannot be confused.
    told = f"{claims.issued_us}:{claims.subject}"
    return int.from_bytes(_hash(told, b"sub:iat"), "big")


def digest_of(name: str) -> bytes:
    """16 bytes for a session or a jti: those that it writes out, else a hash."""
    if len(name) == _HEX:
        try:
            said = bytes.fromhex(name)
        except ValueError:
            return _hash(name)
        if said.hex() == name:  # capitals and blanks would be read as well
            return said
    return _hash(name)


@lru_cache(maxsize=16_384)
def number_of(name: str) -> int:
    """`digest_of`, as a number; the same names are asked for again and again."""
    return int.from_bytes(digest_of(name), "big")


def subject_digest(subject: str) -> bytes:
    """16 bytes for a user, always a hash: people choose names, and one may look like another's."""
    return _hash(subject, b"sub")


@lru_cache(maxsize=16_384)
def subject_number(subject: str) -> int:
    """`subject_digest`, as a number."""
    return int.from_bytes(subject_digest(subject), "big")


def _hash(text: str, person: bytes = b"") -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_SIZE, person=person).digest()


def entry_of(revocation: Revocation) -> Entry:
    """What to keep of it.

    Raises:
        ValueError: If the mark of a token is none, or a session or user has no name.
    """
    scope, name, before, until = revocation
    kept = min(until + SKEW_US, _LAST_US)
    if scope == "all":
        return Entry(scope, b"", before, kept)
    if not name:
        raise ValueError(f"a revocation of a {scope} needs its name")
    digest = subject_digest(name) if scope == "user" else digest_of(name)
    if scope == "token" and digest.hex() != name:
        raise ValueError("a revocation of a token needs its mark: see mark_of")
    return Entry(scope, digest, before if scope == "user" else 0, kept)


def means_now(entry: Entry) -> bool:
    """Whether its moment is when it is recorded."""
    return not entry.before_us and entry.scope in {"user", "all"}


def dated(entry: Entry, now_us: int) -> Entry:
    """The same, with the moment that is meant where that is now."""
    return entry._replace(before_us=now_us) if means_now(entry) else entry


def predates(issued_us: int, before_us: int) -> bool:
    """Whether a token was issued before the moment of a revocation, as far as it tells.

    Most tokens tell whole seconds. One of the very second of the revocation is not refused:
    it may be that of the login that followed. If it is of an earlier login, it is revoked
    with its session.
    """
    return issued_us < before_us and issued_us != before_us - before_us % _SECOND_US


def of_token(claims: Claims) -> Revocation:
    """Revoke this one token."""
    return Revocation("token", mark_of(claims), 0, claims.expires_us)


def of_session(session: str, *, until_us: int) -> Revocation:
    """Revoke every token of a session, also those to come.

    Args:
        session: Its id (`sid`).
        until_us: When the last token of it has ended: now, and the longest lifetime there is.

    Raises:
        ValueError: If it has no id.
    """
    if not session:
        raise ValueError("a session has an id")
    return Revocation("session", session, 0, until_us)


def of_user(subject: str, *, until_us: int, since_us: int = 0) -> Revocation:
    """Revoke every token of a user that was issued before *since_us*.

    Args:
        subject: Whose (`sub`).
        until_us: When the last of them has ended: *since_us*, and the longest lifetime there is.
        since_us: 0 is now, by the clock of the store. A token whose issuer's clock is ahead
            of that escapes by as much, unless its session is revoked too; see `predates`.

    Raises:
        ValueError: If nobody is named.
    """
    if not subject:
        raise ValueError("a user has a name")
    return Revocation("user", subject, since_us, until_us)


def of_all(*, until_us: int, since_us: int = 0) -> Revocation:
    """Revoke every token that was issued before *since_us*; see `of_user`."""
    return Revocation("all", "", since_us, until_us)

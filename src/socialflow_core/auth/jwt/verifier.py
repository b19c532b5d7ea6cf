"""Tells whether to believe a token: by its key, its claims, its time, and what is revoked.

A token that was believed is remembered by its SHA-256 (the token itself is not kept), with
what it says. When it comes again, only what can have changed is looked at: the time, the
keys, and the revocations.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.observe import count
from socialflow_core.auth._claims import ClaimRules, window_of
from socialflow_core.auth._compact import Header, decode64, parts_of, read_header
from socialflow_core.auth._interface import SpentError, TokenError, TokenKind
from socialflow_core.auth._json import parse

from .ring import rings

if TYPE_CHECKING:
    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import (
        AsyncRevocations,
        Claims,
        Reason,
        RevocationFailure,
        Revocations,
    )
    from socialflow_core.auth._rules import TokenRules

    from .ring import KeyRing, Keys

__all__ = ["AsyncTokenVerifier", "TokenVerifier"]

_ACCESS, _REFRESH = TokenKind.ACCESS, TokenKind.REFRESH
_MOST_HEADERS = 256


# A token that was believed: what it says, from when until when, and by which keys of which
# ring. A plain tuple, which is taken apart faster than a named one.
_Seen: TypeAlias = "tuple[Claims, int, int, Keys, KeyRing]"


class _Kind:
    """Everything about one kind of token: its rules, its keys, and what was seen of it.

    What was seen is kept in two generations, each of half the size: when the younger is
    full, the older is dropped and the younger takes its place. A token that comes again
    moves to the younger, so what is used stays. There is no lock: of threads that meet here,
    one may forget what another has just remembered, and that is all.
    """

    __slots__ = ("claims", "half", "headers", "old", "ring", "types", "young")

    def __init__(
        self, kind: TokenKind, rules: TokenRules, ring: KeyRing | None, max_seen: int
    ) -> None:
        self.claims = ClaimRules(rules, kind)
        self.types = frozenset(rules.of(kind).types)
        self.ring = ring
        self.half = max_seen // 2
        self.young: dict[bytes, _Seen] = {}
        self.old: dict[bytes, _Seen] = {}
        self.headers: dict[str, Header] = {}

    def again(self, mark: bytes) -> _Seen | None:
        """A token of the older generation, which comes again."""
        seen = self.old.get(mark)
        if seen is not None:
            self.keep(mark, seen)
        return seen

    def keep(self, mark: bytes, seen: _Seen) -> None:
        """Remember a token that was believed."""
        if not self.half:
            return
        young = self.young
        if len(young) >= self.half:
            self.old = young
            self.young = young = {}
        young[mark] = seen


def _refused(reason: Reason) -> TokenError:
    count("auth.refused", reason=reason)
    return TokenError(reason)


def _revoked(claims: Claims) -> SpentError:
    count("auth.refused", reason="revoked")
    return SpentError("revoked", claims)


class _Reader:
    """What the sync and the async verifier share: everything but the revocations."""

    __slots__ = ("_access", "_clock", "_leeway_us", "_max_bytes", "_refresh")

    def __init__(
        self,
        rules: TokenRules,
        access: KeyRing,
        refresh: KeyRing | None,
        clock: Clock,
        max_seen: int,
    ) -> None:
        if max_seen < 0:
            raise ValueError("max_seen must not be negative")
        rings(access, refresh)
        self._access = _Kind(_ACCESS, rules, access, max_seen)
        self._refresh = _Kind(_REFRESH, rules, refresh, max_seen)
        self._max_bytes = rules.max_bytes
        self._leeway_us = rules.leeway_us
        self._clock = clock

    def _read(self, token: str, kind: TokenKind) -> Claims:
        """What a token says, as far as it tells by itself that it is to be believed."""
        told: object = token
        if not isinstance(told, str) or len(token) > self._max_bytes or not token.isascii():
            raise _refused("malformed")
        known = self._access if kind is _ACCESS else self._refresh
        mark = sha256(token.encode()).digest()
        now = self._clock()
        seen = known.young.get(mark) or known.again(mark)
        if seen is not None:
            claims, from_us, until_us, keys, ring = seen
            if from_us <= now < until_us and keys is ring.state:
                return claims
        try:
            return self._read_anew(token, known, mark, now)
        except TokenError as error:
            count("auth.refused", reason=error.reason)
            raise

    def _read_anew(self, token: str, known: _Kind, mark: bytes, now: int) -> Claims:
        signed, head, body, tail = parts_of(token)
        # Only headers of tokens that were believed are remembered: nobody else fills this.
        header = known.headers.get(head) or read_header(decode64(head))
        if header.typ not in known.types:
            raise TokenError("wrong_kind", claim="typ")
        ring = known.ring
        if ring is None:
            raise TokenError("unknown_key", claim="kid")
        keys = ring.state
        signature, data = decode64(tail), signed.encode("ascii")
        for key in keys.candidates(header, now):
            if key.verify(data, signature):
                break
        else:
            raise TokenError("bad_signature")
        payload = parse(decode64(body))
        if payload is None:
            raise TokenError("malformed")
        claims = known.claims.read(payload, now)
        from_us, until_us = window_of(claims, self._leeway_us)
        if key.terms.retire_us is not None:
            until_us = min(until_us, key.terms.retire_us)
        if len(known.headers) >= _MOST_HEADERS:
            known.headers = {}
        known.headers[head] = header
        known.keep(mark, (claims, from_us, until_us, keys, ring))
        return claims


class TokenVerifier(_Reader):
    """See `Verifier`. Thread-safe. Counts `auth.refused` by reason.

    Args:
        rules: Which tokens are believed.
        access: Keys of access tokens.
        refresh: Keys of refresh tokens; None if it believes none.
        revocations: What is refused all the same; None if nothing is.
        failure: What to do when it is not certain what is revoked.
        clock: Microseconds since 1970-01-01 UTC.
        max_seen: How many believed tokens of each kind are remembered: about 1 KiB each.

    Raises:
        ValueError: If *max_seen* is negative, or the rings have a key in common.
    """

    def __init__(  # noqa: PLR0913 -- its parts, all named
        self,
        rules: TokenRules,
        *,
        access: KeyRing,
        refresh: KeyRing | None = None,
        revocations: Revocations | None = None,
        failure: RevocationFailure = "open",
        clock: Clock = unix_us,
        max_seen: int = 10_000,
    ) -> None:
        super().__init__(rules, access, refresh, clock, max_seen)
        self._revocations = revocations
        self._failure: RevocationFailure = failure

    def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """See `Verifier.verify`."""
        claims = self._read(token, kind)
        if self._revocations is not None:
            standing = self._revocations.standing(claims, failure=failure or self._failure)
            if standing.revoked:
                raise _revoked(claims)
        return claims


class AsyncTokenVerifier(_Reader):
    """`TokenVerifier`, awaited; its revocations are asked asynchronously."""

    def __init__(  # noqa: PLR0913 -- as above
        self,
        rules: TokenRules,
        *,
        access: KeyRing,
        refresh: KeyRing | None = None,
        revocations: AsyncRevocations | None = None,
        failure: RevocationFailure = "open",
        clock: Clock = unix_us,
        max_seen: int = 10_000,
    ) -> None:
        super().__init__(rules, access, refresh, clock, max_seen)
        self._revocations = revocations
        self._failure: RevocationFailure = failure

    async def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """See `Verifier.verify`."""
        claims = self._read(token, kind)
        if self._revocations is not None:
            standing = await self._revocations.standing(claims, failure=failure or self._failure)
            if standing.revoked:
                raise _revoked(claims)
        return claims

"""What tokens, sessions and revocations promise: values, protocols and errors.

```
CoreError
├── TokenError          a token is refused; `reason` says why, and the token is not in it
│   └── ReusedError     a refresh token came again after its grace; its session is ended
└── UnavailableError    the store of revocations or sessions did not answer, and the caller
                        asked not to go on without it
```

Moments are microseconds since 1970-01-01 UTC (`_us`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from socialflow_core._kit.errors import CoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AsyncRevocations",
    "AsyncVerifier",
    "Claims",
    "Json",
    "Reason",
    "ReusedError",
    "Revocation",
    "RevocationFailure",
    "Revocations",
    "Scope",
    "Signer",
    "Standing",
    "TokenError",
    "TokenKind",
    "Verifier",
]

Json: TypeAlias = "bool | int | float | str | tuple[Json, ...] | Mapping[str, Json] | None"

Reason: TypeAlias = Literal[
    "expired",
    "not_yet_valid",
    "bad_signature",
    "unknown_key",
    "wrong_kind",
    "wrong_audience",
    "wrong_issuer",
    "missing_claim",
    "revoked",
    "malformed",
]

RevocationFailure: TypeAlias = Literal["open", "closed", "ask"]
"""What to do with a token that is not known to be revoked, when what is known may be old.

`open` accepts it, `closed` refuses it, `ask` asks the store and refuses if it is away.
"""

Scope: TypeAlias = Literal["token", "session", "user", "all"]


class TokenError(CoreError):
    """A token is refused.

    Attributes:
        reason: Why, in one word for programs.
        claim: The claim that is at fault, if one is.
    """

    def __init__(self, reason: Reason, *, claim: str = "") -> None:
        super().__init__(f"token refused: {reason}" + (f" ({claim})" if claim else ""))
        self.reason = reason
        self.claim = claim


class SpentError(TokenError):
    """A token was good, and is so no more: it is revoked, or has expired.

    Attributes:
        claims: What it says. Nobody is to be let in by it; a logout may still go by it.
    """

    def __init__(self, reason: Literal["revoked", "expired"], claims: Claims) -> None:
        super().__init__(reason, claim="exp" if reason == "expired" else "")
        self.claims = claims


class ReusedError(TokenError):
    """A refresh token came again when its successor was in use: one of two has stolen it.

    Its session is ended, for nobody can tell which (RFC 9700, 4.14.2).

    Attributes:
        subject: Whose it was.
        session: Which session is ended.
    """

    def __init__(self, *, subject: str, session: str) -> None:
        super().__init__("revoked", claim="jti")
        self.subject = subject
        self.session = session


class TokenKind(Enum):
    """What a token is for; one kind never passes as the other."""

    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says, once it is believed.

    Attributes:
        kind: What it is for (`typ` in its header).
        subject: Whose it is (`sub`).
        issued_us: When it was issued (`iat`).
        expires_us: When it ends (`exp`).
        starts_us: When it begins (`nbf`); 0 if it does not say.
        token_id: Its own name (`jti`); empty in tokens of others that have none.
        session: The session that it belongs to (`sid`); empty if none.
        issuer: Who issued it (`iss`); empty if it does not say.
        audience: Whom it is for (`aud`).
        own: Every other claim, the application's own; it does not change.
    """

    kind: TokenKind
    subject: str
    issued_us: int
    expires_us: int
    starts_us: int = 0
    token_id: str = ""
    session: str = ""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    own: Mapping[str, Json] = field(default_factory=dict, hash=False)


class Signer(Protocol):
    """Makes tokens."""

    def claims(
        self,
        kind: TokenKind,
        subject: str,
        *,
        session: str = "",
        own: Mapping[str, Json] | None = None,
    ) -> Claims:
        """Fresh claims of a token of this *kind*: a new token id, issued now.

        Raises:
            ValueError: If the subject, the session or an own claim cannot be said.
        """
        ...

    def sign(self, claims: Claims) -> str:
        """The token that says exactly this; the same claims give a token of equal content.

        Raises:
            ValueError: If they cannot be said, or a verifier of the same rules would refuse it.
        """
        ...

    def lasts(self, kind: TokenKind) -> tuple[int, int]:
        """From when until when a token of this *kind* lasts that is issued now."""
        ...


class Verifier(Protocol):
    """Tells whether to believe a token."""

    def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """Answer what *token* says.

        Args:
            token: As it came.
            kind: What it has to be for.
            failure: The policy of this one call, instead of the verifier's.

        Raises:
            TokenError: If it is refused.
            SpentError: If it is only that it is revoked, or has expired.
            UnavailableError: If the policy is not `open`, and nobody can say for certain that
                it is not revoked.
        """
        ...


class AsyncVerifier(Protocol):
    """`Verifier`, awaited."""

    async def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """See `Verifier.verify`."""
        ...


class Revocation(NamedTuple):
    """Tokens that are refused although they have not ended.

    Attributes:
        scope: Which: one token, all of a session, all of a user, or all there are.
        name: The token's mark (see `mark_of`), the session, the subject, or nothing.
        before_us: Of a user or of all: only those issued before this; 0 is the moment when
            it is recorded, by the clock of whoever records it for all.
        until_us: When the last of them has ended, so that it can be forgotten.
    """

    scope: Scope
    name: str
    before_us: int
    until_us: int


class Standing(NamedTuple):
    """Whether a token is revoked, and how certain that is.

    Attributes:
        revoked: Whether it is known to be.
        source: Where that is known from: "memory", "redis", "replica".
        reason: Why what is known may be old; empty if it is not.
    """

    revoked: bool
    source: str
    reason: str = ""

    @property
    def degraded(self) -> bool:
        """Whether this is not the full answer; `reason` says why."""
        return bool(self.reason)


class Revocations(Protocol):
    """The tokens that are refused before their end. Thread-safe."""

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """Whether the token with these claims is revoked.

        What is known to be revoked is so under every policy.

        Raises:
            UnavailableError: If *failure* is `closed` or `ask`, and no certain answer can be had.
        """
        ...

    def revoke(self, /, *revocations: Revocation) -> None:
        """Refuse these tokens from now on: here at once, everywhere else soon.

        Doing it again changes nothing. What has ended already need not be kept.

        Raises:
            UnavailableError: If the store did not confirm it. It holds in this process all
                the same, and is told to the store when that is back.
        """
        ...


class AsyncRevocations(Protocol):
    """`Revocations`, awaited."""

    async def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        ...

    async def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        ...

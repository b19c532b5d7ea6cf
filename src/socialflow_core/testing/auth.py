"""What every maker and every judge of tokens promises, as tests to run on your own.

```python
from socialflow_core.testing.auth import VerifierContract


class TestMine(VerifierContract):
    def signer(self, clock):
        return MySigner(clock=clock)

    def verifier(self, clock):
        return MyVerifier(clock=clock)
```

The signer and the verifier know the same keys; its leeway is zero, and nothing is revoked.
An access token lasts at least a minute, and a day at most. Extra `[testing]`.
"""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

from socialflow_core._kit.errors import requires_extra
from socialflow_core.auth import Claims, TokenError, TokenKind

from .clock import ManualClock

with requires_extra("testing"):
    import pytest
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth import AsyncVerifier, RevocationFailure, Signer, Verifier

__all__ = [
    "AsyncVerifierContract",
    "BlockingVerifier",
    "SignerContract",
    "VerifierContract",
    "names",
    "own_claims",
]

_MINUTE_US = 60_000_000
_DAY_US = 1440 * _MINUTE_US

names = st.text(min_size=1, max_size=40).filter(str.isprintable)
"""What a subject or a session may be called."""

_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _words
)
_nested = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(_words, inner, max_size=3)
    ),
    max_leaves=6,
)
own_claims = st.dictionaries(_words.map("own_".__add__), _nested, max_size=4)
"""Claims of an application's own, as `Signer.claims` takes them."""


# Each subclass runs the property for itself, which is the point of a suite; and its signer
# and verifier may be used for many examples.
_PROPERTY = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.differing_executors,
        HealthCheck.function_scoped_fixture,
    ],
)


class BlockingVerifier:
    """An async verifier, driven as a sync one on an event loop of its own; close it."""

    def __init__(self, verifier: AsyncVerifier) -> None:
        self._verifier = verifier
        self._runner = asyncio.Runner()

    def verify(
        self,
        token: str,
        kind: TokenKind = TokenKind.ACCESS,
        *,
        failure: RevocationFailure | None = None,
    ) -> Claims:
        """See `Verifier.verify`."""
        return self._runner.run(self._verifier.verify(token, kind, failure=failure))

    def close(self) -> None:
        """End the event loop."""
        self._runner.close()


class SignerContract:
    """Subclass it, and define `signer`."""

    def signer(self, clock: Clock) -> Signer:
        """Build a signer that reads *clock*; called for each test."""
        raise LookupError(clock, "say how a signer is built")

    @pytest.fixture(name="clock")
    def a_clock(self) -> ManualClock:
        """The time, which stands still."""
        return ManualClock()

    @pytest.mark.parametrize("kind", TokenKind)
    def test_claims_are_of_now(self, kind: TokenKind, clock: ManualClock) -> None:
        """What is claimed: the kind, the subject, the session, issued now, ending later."""
        claims = self.signer(clock).claims(kind, "ann", session="s1", own={"role": "admin"})
        assert (claims.kind, claims.subject, claims.session) == (kind, "ann", "s1")
        assert claims.issued_us == clock()
        assert claims.expires_us > clock()
        assert dict(claims.own) == {"role": "admin"}

    def test_no_two_have_one_id(self, clock: ManualClock) -> None:
        """Every token has an id of its own."""
        signer = self.signer(clock)
        ids = {signer.claims(TokenKind.ACCESS, "ann").token_id for _ in range(100)}
        assert len(ids) == 100
        assert "" not in ids

    @pytest.mark.parametrize("subject", ["", "a\nb", "a\x00", "\ud800", "a" * 1000])
    def test_what_is_no_name_is_refused(self, subject: str, clock: ManualClock) -> None:
        """A subject that could not be told apart, or not be written, is not signed."""
        with pytest.raises(ValueError, match="sub"):
            self.signer(clock).claims(TokenKind.ACCESS, subject)

    @pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid"])
    def test_own_claims_shadow_nothing(self, name: str, clock: ManualClock) -> None:
        """An own claim has no name that means something already."""
        with pytest.raises(ValueError, match=name):
            self.signer(clock).claims(TokenKind.ACCESS, "ann", own={name: "x"})


class VerifierContract:
    """Subclass it, and define `signer` and `verifier`."""

    def signer(self, clock: Clock) -> Signer:
        """Build a signer whose tokens `verifier` believes."""
        raise LookupError(clock, "say how a signer is built")

    def verifier(self, clock: Clock) -> Verifier:
        """Build a verifier that reads *clock*; called for each test."""
        raise LookupError(clock, "say how a verifier is built")

    @pytest.fixture(name="clock")
    def a_clock(self) -> ManualClock:
        """The time, which stands still."""
        return ManualClock()

    @pytest.fixture(name="pair")
    def a_pair(self, clock: ManualClock) -> Iterator[tuple[Signer, Verifier]]:
        """A signer, and the verifier that believes it."""
        verifier = self.verifier(clock)
        yield self.signer(clock), verifier
        if isinstance(verifier, BlockingVerifier):
            verifier.close()

    @_PROPERTY
    @given(kind=st.sampled_from(TokenKind), subject=names, session=names, own=own_claims)
    def test_what_is_signed_is_read(
        self,
        pair: tuple[Signer, Verifier],
        kind: TokenKind,
        subject: str,
        session: str,
        own: dict[str, object],
    ) -> None:
        """A token says exactly its claims, also when it comes again or is signed again."""
        signer, verifier = pair
        claims = signer.claims(kind, subject, session=session, own=own)  # type: ignore[arg-type]  # -- JSON
        token = signer.sign(claims)
        again = signer.sign(claims)
        assert verifier.verify(token, kind) == claims
        assert verifier.verify(token, kind) == claims
        assert verifier.verify(again, kind) == claims

    def test_it_ends_to_the_microsecond(
        self, pair: tuple[Signer, Verifier], clock: ManualClock
    ) -> None:
        """It is believed until just before its end, and also then if it was seen before."""
        signer, verifier = pair
        claims = signer.claims(TokenKind.ACCESS, "ann")
        assert claims.expires_us - clock() >= _MINUTE_US
        token = signer.sign(claims)
        clock.now_us += claims.expires_us - clock() - 1
        assert verifier.verify(token) == claims
        clock.now_us += 1
        with pytest.raises(TokenError) as caught:
            verifier.verify(token)
        assert caught.value.reason == "expired"

    def test_it_does_not_begin_early(
        self, pair: tuple[Signer, Verifier], clock: ManualClock
    ) -> None:
        """One from the future is refused until that has come."""
        signer, verifier = pair
        later = replace(signer.claims(TokenKind.ACCESS, "ann"), starts_us=clock() + 10)
        token = signer.sign(later)
        for _ in range(2):
            with pytest.raises(TokenError) as caught:
                verifier.verify(token)
            assert caught.value.reason == "not_yet_valid"
            clock.now_us += 5
        assert verifier.verify(token) == later

    @pytest.mark.parametrize(
        ("kind", "other"),
        [(TokenKind.ACCESS, TokenKind.REFRESH), (TokenKind.REFRESH, TokenKind.ACCESS)],
    )
    def test_one_kind_never_passes_as_the_other(
        self, kind: TokenKind, other: TokenKind, pair: tuple[Signer, Verifier]
    ) -> None:
        """Neither before it was seen as what it is, nor after."""
        signer, verifier = pair
        token = signer.sign(signer.claims(kind, "ann"))
        for _ in range(2):
            with pytest.raises(TokenError) as caught:
                verifier.verify(token, other)
            assert caught.value.reason == "wrong_kind"
            verifier.verify(token, kind)

    @_PROPERTY
    @given(data=st.data())
    def test_no_character_can_be_changed(
        self, pair: tuple[Signer, Verifier], data: st.DataObject
    ) -> None:
        """One character more, less or other, and it is refused: also if the rest was seen."""
        signer, verifier = pair
        token = signer.sign(signer.claims(TokenKind.ACCESS, "ann"))
        verifier.verify(token)
        at = data.draw(st.integers(0, len(token) - 1))
        put = data.draw(st.text(st.characters(codec="ascii"), max_size=2))
        forged = token[:at] + put + token[at + 1 :]
        if forged != token:
            with pytest.raises(TokenError):
                verifier.verify(forged)

    @_PROPERTY
    @given(garbage=st.text(max_size=300) | st.text("eyJ.-_=", max_size=300))
    def test_garbage_is_refused(self, pair: tuple[Signer, Verifier], garbage: str) -> None:
        """Whatever comes, the answer is a `TokenError` that does not repeat it."""
        with pytest.raises(TokenError) as caught:
            pair[1].verify(garbage)
        assert len(garbage) < 5 or garbage not in str(caught.value)

    def test_an_error_crosses_processes(self, pair: tuple[Signer, Verifier]) -> None:
        """It is pickled with its reason, and without the token."""
        with pytest.raises(TokenError) as caught:
            pair[1].verify("a-token-of.no-worth-at.all-to-anybody")
        told = pickle.dumps(caught.value)
        assert pickle.loads(told).reason == caught.value.reason  # noqa: S301 -- our own
        assert b"no-worth" not in told


class AsyncVerifierContract(VerifierContract):
    """Subclass it, and define `signer` and `async_verifier`."""

    def async_verifier(self, clock: Clock) -> AsyncVerifier:
        """Build a verifier that reads *clock*; called for each test."""
        raise LookupError(clock, "say how a verifier is built")

    def verifier(self, clock: Clock) -> Verifier:
        """The same, driven by an event loop."""
        return BlockingVerifier(self.async_verifier(clock))

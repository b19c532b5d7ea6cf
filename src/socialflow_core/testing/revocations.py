"""What every adapter of revocations promises, as tests to run on your own; extra `[testing]`.

```python
from socialflow_core.testing.revocations import RevocationsContract


class TestMine(RevocationsContract):
    def revocations(self, clock):
        return MyRevocations(clock=clock)
```

An async adapter is handed over as `BlockingRevocations(MyAsyncRevocations(...))`.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import requires_extra
from socialflow_core.auth._interface import Claims, TokenKind
from socialflow_core.auth._revocation import of_all, of_session, of_token, of_user

from .clock import ManualClock
from .poll import wait_until

with requires_extra("testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core._kit.clock import Clock
    from socialflow_core.auth._interface import (
        AsyncRevocations,
        Revocation,
        RevocationFailure,
        Revocations,
        Standing,
    )

__all__ = ["BlockingRevocations", "RevocationsContract", "claims_of"]

_SECOND_US = 1_000_000
_LIFETIME_US = 900 * _SECOND_US
_DAYS_US = 7 * 86_400 * _SECOND_US


def claims_of(
    subject: str = "ann",
    *,
    issued_us: int,
    token_id: str | None = None,
    session: str = "",
    kind: TokenKind = TokenKind.ACCESS,
) -> Claims:
    """What a token says that lasts a quarter of an hour; its id is new if none is given."""
    return Claims(
        kind=kind,
        subject=subject,
        issued_us=issued_us,
        expires_us=issued_us + _LIFETIME_US,
        token_id=uuid.uuid4().hex if token_id is None else token_id,
        session=session,
    )


class BlockingRevocations:
    """An async adapter, driven as a sync one on an event loop of its own; close it."""

    def __init__(self, revocations: AsyncRevocations) -> None:
        self._revocations = revocations
        self._runner = asyncio.Runner()

    def standing(self, claims: Claims, /, *, failure: RevocationFailure = "open") -> Standing:
        """See `Revocations.standing`."""
        return self._runner.run(_standing(self._revocations, claims, failure))

    def revoke(self, /, *revocations: Revocation) -> None:
        """See `Revocations.revoke`."""
        self._runner.run(_revoke(self._revocations, revocations))

    def close(self) -> None:
        """Close the adapter, if it can be closed, and the event loop."""
        aclose = getattr(self._revocations, "aclose", None)
        if aclose is not None:
            self._runner.run(aclose())
        self._runner.close()


async def _standing(
    revocations: AsyncRevocations, claims: Claims, failure: RevocationFailure
) -> Standing:
    return await revocations.standing(claims, failure=failure)


async def _revoke(revocations: AsyncRevocations, given: tuple[Revocation, ...]) -> None:
    await revocations.revoke(*given)


class RevocationsContract:
    """Subclass it, say how an adapter is built, and run it."""

    def revocations(self, clock: Clock) -> Revocations:
        """Build a fresh adapter that reads *clock*; called for each test."""
        raise LookupError(clock, "say how it is built")

    def another(self, first: Revocations, clock: Clock) -> Revocations:
        """Another process's view of the same; the same object, if nothing is shared."""
        del clock
        return first

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time; a store may have its own, which is about the same."""
        return ManualClock(unix_us())

    @pytest.fixture
    def mine(self, clock: ManualClock) -> Iterator[Revocations]:
        """A fresh adapter."""
        made = self.revocations(clock)
        yield made
        getattr(made, "close", lambda: None)()

    @pytest.fixture
    def theirs(self, mine: Revocations, clock: ManualClock) -> Iterator[Revocations]:
        """The same, as another process sees it."""
        made = self.another(mine, clock)
        yield made
        if made is not mine:
            getattr(made, "close", lambda: None)()

    def agree(
        self, both: tuple[Revocations, Revocations], claims: Claims, *, revoked: bool
    ) -> None:
        """Hold that mine says so at once, and theirs soon."""
        mine, theirs = both
        assert mine.standing(claims).revoked is revoked
        wait_until(lambda: theirs.standing(claims).revoked is revoked, "the other one knows")
        for failure in ("open", "closed", "ask"):
            told = theirs.standing(claims, failure=failure)
            assert (told.revoked, told.degraded) == (revoked, False)
            assert told.source

    def test_a_token_is_revoked_alone(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """That one is refused, everywhere; another of the same user and session is not."""
        one, other = (claims_of(session="s", issued_us=clock()) for _ in range(2))
        mine.revoke(of_token(one))
        self.agree((mine, theirs), one, revoked=True)
        self.agree((mine, theirs), other, revoked=False)

    def test_a_token_without_an_id_is_revoked_by_user_and_time(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """Then `sub:iat` names it: whatever the user got in that moment."""
        one = claims_of(issued_us=clock(), token_id="")
        later = claims_of(issued_us=clock() + 1, token_id="")
        mine.revoke(of_token(one))
        self.agree((mine, theirs), one, revoked=True)
        self.agree((mine, theirs), later, revoked=False)

    @pytest.mark.parametrize("name", ["s", "a:b", "\N{SNOWMAN}\r\n", "x" * 10_000, "A" * 32])
    def test_a_session_is_revoked_whole(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock, name: str
    ) -> None:
        """Every token of it, whenever it was issued; and none of another session."""
        mine.revoke(of_session(name, until_us=clock() + _DAYS_US))
        for issued in (clock() - _SECOND_US, clock(), clock() + _LIFETIME_US):
            self.agree((mine, theirs), claims_of(issued_us=issued, session=name), revoked=True)
        for other in ("", name + "'", name.lower() + "!"):
            told = claims_of(issued_us=clock(), session=other)
            self.agree((mine, theirs), told, revoked=False)

    def test_a_user_is_revoked_up_to_a_moment(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """What was issued before is refused; what is issued then or later, and others', is not."""
        since = clock() // _SECOND_US * _SECOND_US - _SECOND_US // 2
        mine.revoke(of_user("ann", since_us=since, until_us=since + _DAYS_US))
        for moment, revoked in ((since - 1, True), (since, False), (since + 1, False)):
            self.agree((mine, theirs), claims_of(issued_us=moment), revoked=revoked)
        self.agree((mine, theirs), claims_of("bob", issued_us=since - 1), revoked=False)

    def test_a_login_that_follows_at_once_is_good(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """A token that tells whole seconds passes if it is of the very second."""
        second = clock() // _SECOND_US * _SECOND_US
        mine.revoke(of_user("ann", since_us=second + 700_000, until_us=second + _DAYS_US))
        self.agree((mine, theirs), claims_of(issued_us=second), revoked=False)
        self.agree((mine, theirs), claims_of(issued_us=second - _SECOND_US), revoked=True)

    def test_of_two_moments_the_later_holds(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """In whatever order they are told."""
        far = clock() + _DAYS_US
        late = clock() // _SECOND_US * _SECOND_US - _SECOND_US // 2
        early = late - 9 * _SECOND_US
        mine.revoke(of_user("ann", since_us=late, until_us=far))
        mine.revoke(of_user("ann", since_us=early, until_us=far))
        self.agree((mine, theirs), claims_of(issued_us=late - 1), revoked=True)
        self.agree((mine, theirs), claims_of(issued_us=late), revoked=False)

    def test_now_is_when_it_is_recorded(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """Without a moment it is now, give or take what two clocks differ."""
        far = clock() + _DAYS_US
        mine.revoke(of_user("ann", until_us=far))
        self.agree((mine, theirs), claims_of(issued_us=clock() - _SECOND_US), revoked=True)
        later = claims_of(issued_us=clock() + 600 * _SECOND_US)
        self.agree((mine, theirs), later, revoked=False)

    def test_all_are_revoked_up_to_a_moment(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """Whoever's they are."""
        since = clock() // _SECOND_US * _SECOND_US - _SECOND_US // 2
        mine.revoke(of_all(since_us=since, until_us=since + _DAYS_US))
        for subject in ("ann", "bob"):
            for moment, revoked in ((since - 1, True), (since, False)):
                told = claims_of(subject, issued_us=moment)
                self.agree((mine, theirs), told, revoked=revoked)

    def test_several_at_once_and_again(
        self, mine: Revocations, theirs: Revocations, clock: ManualClock
    ) -> None:
        """All hold; doing it again, or nothing at all, changes nothing."""
        tokens = [claims_of(issued_us=clock()) for _ in range(20)]
        for _ in range(2):
            mine.revoke(*map(of_token, tokens))
        mine.revoke()
        for token in tokens:
            self.agree((mine, theirs), token, revoked=True)

    def test_what_has_ended_is_a_success(self, mine: Revocations, clock: ManualClock) -> None:
        """RFC 7009, 2.2: revoking a token that is not good any more is no error."""
        ended = claims_of(issued_us=clock() - _DAYS_US)
        mine.revoke(of_token(ended))
        assert mine.standing(ended).source

    def test_a_revocation_without_a_name_is_refused(
        self, mine: Revocations, clock: ManualClock
    ) -> None:
        """Neither a user, nor a session, nor what is no mark; and nothing is revoked."""
        made = of_token(claims_of(issued_us=clock()))
        for wrong in (
            made._replace(name=""),
            made._replace(name="jti"),
            made._replace(scope="user", name=""),
            made._replace(scope="session", name=""),
        ):
            with pytest.raises(ValueError, match="needs its"):
                mine.revoke(wrong)

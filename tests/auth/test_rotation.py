"""The chain of refresh tokens, whoever presents what and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from socialflow_core.auth._rotation import Chain, turn
from socialflow_core.auth._store import Issued, Outcome

FAR = 10**15
GRACE = 30


def issued(number: int, *, at: int = 0, until: int = FAR) -> Issued:
    """A token by its number."""
    return Issued(f"t{number}", at, until)


def test_there_is_nothing_to_turn_without_a_session() -> None:
    """Unknown, and nothing is begun."""
    chain, told = turn(None, "t0", issued(1), now_us=0, grace_us=GRACE)
    assert (chain, told.outcome, told.token) == (None, Outcome.UNKNOWN, None)


@given(st.integers(0, 100), st.integers(0, 100))
def test_the_grace_is_exact(turned_us: int, later: int) -> None:
    """Less than the grace later the successor is told again; at its end the session ends."""
    chain = Chain(issued(1), FAR, "t0", turned_us)
    after, told = turn(chain, "t0", issued(2), now_us=turned_us + later, grace_us=GRACE)
    if later < GRACE:
        assert (after, told) == (chain, (Outcome.REPLAYED, issued(1)))
    else:
        assert (after, told) == (None, (Outcome.REUSED, None))


@given(st.integers(0, 100), st.integers(1, 100), st.integers(0, 200))
def test_no_token_outlasts_its_session(at: int, lifetime: int, ends: int) -> None:
    """The successor's end is the session's at the latest; after that there is none."""
    successor = issued(1, at=at, until=at + lifetime)
    chain, told = turn(Chain(issued(0), ends), "t0", successor, now_us=at, grace_us=GRACE)
    if ends <= at:
        assert (chain, told) == (None, (Outcome.UNKNOWN, None))
    else:
        assert told.token == successor._replace(expires_us=min(at + lifetime, ends))
        assert chain == Chain(told.token, ends, "t0", at)


class Rotation(RuleBasedStateMachine):
    """Any token of a session is presented at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.chain: Chain | None = Chain(issued(0), FAR)
        self.told = [issued(0)]
        self.turned_at = 0
        self.is_alive = True

    @rule(by=st.integers(0, 40))
    def wait(self, by: int) -> None:
        """Time goes by."""
        self.now += by

    @rule(back=st.integers(0, 4))
    def present(self, back: int) -> None:
        """One of those that were told, the newest more often."""
        place = max(0, len(self.told) - 1 - back)
        successor = issued(len(self.told))
        self.chain, told = turn(
            self.chain, self.told[place].token_id, successor, now_us=self.now, grace_us=GRACE
        )
        newest = place == len(self.told) - 1
        if not self.is_alive:
            assert told.outcome is Outcome.UNKNOWN
        elif newest:
            assert told == (Outcome.ROTATED, successor)
            self.told.append(successor)
            self.turned_at = self.now
        elif place == len(self.told) - 2 and self.now < self.turned_at + GRACE:
            assert told == (Outcome.REPLAYED, self.told[-1])
        else:
            assert told == (Outcome.REUSED, None)
            self.is_alive = False

    @rule()
    @precondition(lambda self: self.is_alive)
    def forge(self) -> None:
        """A token that was never told, although its signature is good, ends the session too."""
        self.chain, told = turn(self.chain, "other", issued(0), now_us=self.now, grace_us=GRACE)
        assert told.outcome is Outcome.REUSED
        self.is_alive = False

    @invariant()
    def one_is_good(self) -> None:
        """The newest, as long as the session lives."""
        assert (self.chain.current if self.chain else None) == (
            self.told[-1] if self.is_alive else None
        )


TestRotation = Rotation.TestCase

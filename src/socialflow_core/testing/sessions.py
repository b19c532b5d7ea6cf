"""What every store of sessions promises, as tests to run on your own; extra `[testing]`.

```python
from socialflow_core.testing.sessions import SessionStoreContract


class TestMine(SessionStoreContract):
    def store(self):
        return MySessions()
```

An async store is handed over as `BlockingSessions(MyAsyncSessions(...))`.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from socialflow_core._kit.clock import unix_us
from socialflow_core._kit.errors import requires_extra
from socialflow_core.auth._rotation import Chain, turn
from socialflow_core.auth._store import Issued, Outcome, Session, Turn

from ._sessions import GRACE, SECOND_US, WEEK_US, BlockingSessions, session_of
from .poll import wait_until

with requires_extra("testing"):
    import pytest
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.auth._store import SessionStore

__all__ = [
    "BlockingSessions",
    "RefreshChainsContract",
    "SessionBookContract",
    "SessionStoreContract",
    "session_of",
]


def _first(session: Session) -> Issued:
    return Issued(uuid.uuid4().hex, session.began_us, session.expires_us)


def _next(after: Issued, by_us: int = SECOND_US) -> Issued:
    issued = after.issued_us + by_us
    return Issued(uuid.uuid4().hex, issued, issued + WEEK_US)


class _Contract:
    """How the suites get a store."""

    def store(self) -> SessionStore:
        """Build a fresh store; called for each test."""
        raise LookupError("say how a store is built")

    @pytest.fixture
    def mine(self) -> Iterator[SessionStore]:
        """A fresh store."""
        made = self.store()
        yield made
        getattr(made, "close", lambda: None)()


class RefreshChainsContract(_Contract):
    """Subclass it, say how a store is built, and run it."""

    def test_each_token_is_good_once(self, mine: SessionStore) -> None:
        """Each is answered by its successor, which is good then."""
        session = session_of()
        token = _first(session)
        mine.begin(session, token)
        for _ in range(3):
            following = _next(token)
            turned = mine.turn(
                session.id, token.token_id, following, grace=GRACE, until_us=session.ends_us
            )
            assert turned == Turn(Outcome.ROTATED, following)
            token = following

    def test_a_lost_answer_is_told_again(self, mine: SessionStore) -> None:
        """Within the grace, whoever asks again gets the one successor, however often."""
        session = session_of()
        first = _first(session)
        second = _next(first)
        mine.begin(session, first)
        until = session.ends_us
        mine.turn(session.id, first.token_id, second, grace=GRACE, until_us=until)
        for _ in range(3):
            again = mine.turn(session.id, first.token_id, _next(first), grace=GRACE, until_us=until)
            assert again == Turn(Outcome.REPLAYED, second)
        third = mine.turn(session.id, second.token_id, _next(second), grace=GRACE, until_us=until)
        assert third.outcome is Outcome.ROTATED

    @pytest.mark.parametrize("steps", [1, 2])
    def test_a_stale_token_ends_the_session(self, mine: SessionStore, steps: int) -> None:
        """After the grace, or when its successor is consumed: nothing of the family is good."""
        session = session_of()
        chain = [_first(session)]
        mine.begin(session, chain[0])
        for _ in range(steps):
            chain.append(_next(chain[-1]))
            mine.turn(
                session.id,
                chain[-2].token_id,
                chain[-1],
                grace=GRACE,
                until_us=session.ends_us,
            )
        grace = timedelta(0) if steps == 1 else GRACE
        for presented, outcome in (
            (chain[0], Outcome.REUSED),
            (chain[-1], Outcome.UNKNOWN),
            (chain[0], Outcome.UNKNOWN),
        ):
            turned = mine.turn(
                session.id,
                presented.token_id,
                _next(chain[-1]),
                grace=grace,
                until_us=session.ends_us,
            )
            assert turned == Turn(outcome, None)
        assert mine.sessions("ann") == []

    def test_of_those_that_race_one_wins(self, mine: SessionStore) -> None:
        """However many present one token at once, there is one successor, told to all."""
        session = session_of()
        first = _first(session)
        mine.begin(session, first)
        successors = [_next(first) for _ in range(50)]
        if isinstance(mine, BlockingSessions):
            turns = mine.turns(session.id, first.token_id, successors, session.ends_us)
        else:

            def one(successor: Issued) -> Turn:
                return mine.turn(
                    session.id, first.token_id, successor, grace=GRACE, until_us=session.ends_us
                )

            with ThreadPoolExecutor(8) as pool:
                turns = [*pool.map(one, successors)]
        assert sorted(turned.outcome.value for turned in turns) == ["replayed"] * 49 + ["rotated"]
        assert len({turned.token for turned in turns}) == 1

    def test_no_token_outlasts_its_session(self, mine: SessionStore) -> None:
        """A successor's end is brought forward to the session's; after that there is none."""
        session = session_of()
        token = _first(session)
        mine.begin(session, token)
        late = _next(token, by_us=4 * WEEK_US - SECOND_US)
        turned = mine.turn(session.id, token.token_id, late, grace=GRACE, until_us=session.ends_us)
        assert turned.token == late._replace(expires_us=session.ends_us)
        after = _next(late)
        turned = mine.turn(session.id, late.token_id, after, grace=GRACE, until_us=session.ends_us)
        assert turned == Turn(Outcome.UNKNOWN, None)

    def test_what_is_ended_is_unknown(self, mine: SessionStore) -> None:
        """So is what never was; ending either is fine."""
        sessions = [session_of() for _ in range(3)]
        firsts = [_first(session) for session in sessions]
        for session, first in zip(sessions, firsts, strict=True):
            mine.begin(session, first)
        far = sessions[0].ends_us
        mine.end(sessions[0].id, sessions[1].id, "never", until_us=far)
        mine.end(sessions[0].id, until_us=far)
        outcomes = [
            mine.turn(s.id, f.token_id, _next(f), grace=GRACE, until_us=far).outcome
            for s, f in zip(sessions, firsts, strict=True)
        ]
        assert outcomes == [Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.ROTATED]

    @settings(
        max_examples=30,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=12))
    def test_it_decides_as_the_pure_core_does(self, asked: list[tuple[int, bool]]) -> None:
        """Whatever is presented, in whatever order: the outcome is that of `turn`."""
        mine = self.store()
        try:
            session = session_of()
            told = [_first(session)]
            chain: Chain | None = Chain(told[0], session.ends_us)
            mine.begin(session, told[0])
            for back, in_grace in asked:
                presented = told[max(0, len(told) - 1 - back)].token_id
                following = _next(told[-1], by_us=WEEK_US // 2)
                grace_us = 3600 * SECOND_US if in_grace else 0
                chain, expected = turn(
                    chain, presented, following, now_us=unix_us(), grace_us=grace_us
                )
                turned = mine.turn(
                    session.id,
                    presented,
                    following,
                    grace=timedelta(microseconds=grace_us),
                    until_us=session.ends_us,
                )
                assert turned == expected
                if turned.outcome is Outcome.ROTATED:
                    told.append(following)
        finally:
            getattr(mine, "close", lambda: None)()


class SessionBookContract(_Contract):
    """Subclass it, say how a store is built, and run it."""

    @pytest.mark.parametrize("subject", ["ann", "a:b", "\N{SNOWMAN}\r\n", "x" * 5000, "{a}"])
    def test_a_user_sees_its_sessions(self, mine: SessionStore, subject: str) -> None:
        """All that was said of them, and the one used last at the beginning."""
        now = unix_us()
        names = ("Firefox", "", "\N{SNOWMAN} phone\n")
        begun = [
            session_of(subject, name=name, began_us=now - place * SECOND_US)
            for place, name in enumerate(names)
        ]
        for session in reversed(begun):
            mine.begin(session, _first(session))
        mine.begin(other := session_of("bob"), _first(other))
        assert list(mine.sessions(subject)) == begun
        assert list(mine.sessions("nobody")) == []

    def test_a_refresh_is_a_use(self, mine: SessionStore) -> None:
        """The list says when it was used last, and when it ends if it is not."""
        session = session_of()
        first = _first(session)
        second = _next(first)
        mine.begin(session, first)
        mine.turn(session.id, first.token_id, second, grace=GRACE, until_us=session.ends_us)
        expected = replace(session, used_us=second.issued_us, expires_us=second.expires_us)
        assert list(mine.sessions("ann")) == [expected]

    def test_a_session_is_its_users(self, mine: SessionStore) -> None:
        """Nobody else's, and nobody's once it is ended."""
        session = session_of()
        mine.begin(session, _first(session))
        assert mine.owns("ann", session.id)
        assert not mine.owns("bob", session.id)
        assert not mine.owns("ann", "never")
        mine.end(session.id, until_us=session.ends_us)
        assert not mine.owns("ann", session.id)

    def test_only_its_user_renames_a_session(self, mine: SessionStore) -> None:
        """It keeps the name when it is refreshed; another's is not found."""
        session = session_of(name="old")
        first = _first(session)
        mine.begin(session, first)
        assert not mine.rename("bob", session.id, "mine")
        assert not mine.rename("ann", "never", "mine")
        assert mine.rename("ann", session.id, "new")
        mine.turn(session.id, first.token_id, _next(first), grace=GRACE, until_us=session.ends_us)
        assert [each.name for each in mine.sessions("ann")] == ["new"]

    def test_what_has_ended_is_not_listed(self, mine: SessionStore) -> None:
        """Neither what was ended, nor what nobody refreshed in time."""
        long_ago = session_of(began_us=unix_us() - WEEK_US + 300_000)
        ended, good = session_of(), session_of()
        for session in (long_ago, ended, good):
            mine.begin(session, _first(session))
        mine.end(ended.id, until_us=ended.ends_us)
        wait_until(
            lambda: [each.id for each in mine.sessions("ann")] == [good.id],
            "the others are not listed any more",
        )


class SessionStoreContract(RefreshChainsContract, SessionBookContract):
    """Both of them."""

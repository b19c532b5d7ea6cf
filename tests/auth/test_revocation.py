"""What a revocation covers, what is kept of it, and how long."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.auth._interface import Claims, Revocation, TokenKind
from socialflow_core.auth._known import Known, Lacking, Marks, judge
from socialflow_core.auth._revocation import (
    SKEW_US,
    Entry,
    dated,
    digest_of,
    entry_of,
    mark_of,
    of_all,
    of_session,
    of_token,
    of_user,
    predates,
    subject_digest,
)
from socialflow_core.auth.memory import MemoryRevocations
from socialflow_core.testing.clock import ManualClock
from socialflow_core.testing.revocations import claims_of

if TYPE_CHECKING:
    from socialflow_core.auth._interface import Scope

NOW = 1_800_000_000_000_000
MINUTE = 60_000_000
texts = st.text(max_size=40)
moments = st.integers(0, 2**52)
few = st.integers(0, 40)


def token(subject: str, issued_us: int, token_id: str = "", session: str = "") -> Claims:
    """What a token says."""
    return claims_of(subject, issued_us=issued_us, token_id=token_id, session=session)


@given(texts, texts, moments, moments)
def test_marks_do_not_collide(one: str, other: str, first: int, second: int) -> None:
    """Different jtis have different marks, and so have different (sub, iat); each has 32 digits."""
    marks = {mark_of(token("", 0, each)) for each in {one, other} - {""}}
    assert len(marks) == len({one, other} - {""})
    named = {(one, first), (other, second), (one, second)}
    marks |= {mark_of(token(subject, at)) for subject, at in named}
    assert len(marks) == len({one, other} - {""}) + len(named)
    assert {len(mark) for mark in marks} == {32}


def test_a_name_that_looks_like_the_hash_of_another_is_its_own() -> None:
    """Who calls himself by what a store keeps of somebody else logs out himself alone."""
    victim = "admin"
    attacker = subject_digest(victim).hex()
    memory = MemoryRevocations(clock=lambda: NOW)
    memory.revoke(of_user(attacker, until_us=NOW + 60_000_000, since_us=NOW))
    before = NOW - 1_000_000
    assert memory.standing(token(attacker, before, uuid.uuid4().hex)).revoked
    assert not memory.standing(token(victim, before, uuid.uuid4().hex)).revoked


@given(st.uuids())
def test_a_uuid_is_its_own_mark(given: uuid.UUID) -> None:
    """So it need not be hashed; but only as it is written, not what reads the same."""
    assert mark_of(token("ann", 1, given.hex)) == given.hex
    for alike in (str(given), f"{given.hex[:30]} 0", "0x" + given.hex[2:]):
        assert mark_of(token("ann", 1, alike)) != given.hex
    if given.hex.upper() != given.hex:
        assert mark_of(token("ann", 1, given.hex.upper())) != given.hex


def test_a_mark_does_not_show_the_token() -> None:
    """Neither a long jti nor a name is told; both have one length."""
    for claims in (token("ann@example.org", 7), token("ann", 7, "secret" * 1000)):
        mark = mark_of(claims)
        assert len(mark) == 32
        assert "ann" not in mark
        assert "secret" not in mark
        assert digest_of(mark).hex() == mark


@pytest.mark.parametrize("make", [of_session, of_user])
def test_whoever_is_meant_has_a_name(make: object) -> None:
    """An empty one would mean everybody who has none."""
    assert callable(make)
    with pytest.raises(ValueError, match="has a"):
        make("", until_us=1)


@pytest.mark.parametrize(
    ("issued", "before", "refused"),
    [
        (1_000_000, 1_000_000, False),
        (1_000_000, 1_000_001, False),
        (1_000_000, 1_999_999, False),
        (1_000_000, 2_000_000, True),
        (1_000_001, 1_000_002, True),
        (1_000_002, 1_000_002, False),
        (0, 0, False),
    ],
)
def test_a_whole_second_passes_in_its_own(issued: int, before: int, refused: object) -> None:
    """A token that tells whole seconds may have been issued at any time of its second."""
    assert predates(issued, before) is refused


def test_now_is_dated_where_it_is_recorded() -> None:
    """Only epochs have a moment, and only one that is not said is filled in."""
    epoch = entry_of(of_user("ann", until_us=9))
    assert dated(epoch, 5).before_us == 5
    assert dated(epoch._replace(before_us=3), 5).before_us == 3
    assert dated(entry_of(of_all(until_us=9)), 5).before_us == 5
    assert dated(entry_of(of_session("s", until_us=9)), 5).before_us == 0


def test_an_entry_outlives_its_tokens_whatever_the_clocks() -> None:
    """A verifier ten minutes behind, and a store ten minutes ahead: twenty minutes."""
    claims = token("ann", NOW, "x")
    made = entry_of(of_token(claims))
    ten = timedelta(minutes=10) // timedelta(microseconds=1)
    assert made.kept_us >= claims.expires_us + 2 * ten
    assert made.kept_us == claims.expires_us + SKEW_US


@given(st.lists(st.tuples(few, few), max_size=60), st.lists(few, max_size=5))
def test_marks_are_kept_as_long_as_they_were_told(
    told: list[tuple[int, int]], looks: list[int]
) -> None:
    """Until the last time told of them, and at most a minute longer; then nothing is left."""
    marks, until = Marks(), dict[int, int]()
    for name, minutes in told:
        kept = minutes * MINUTE - 7
        before = until.get(name, -MINUTE)
        assert marks.add(name, kept) is (kept > before)
        until[name] = max(before, kept)
    for minutes in sorted(looks):
        now = minutes * MINUTE
        marks.forget(now)
        names = set(marks.names)
        assert {name for name, kept in until.items() if kept > now} <= names
        assert names <= {name for name, kept in until.items() if kept + MINUTE > now}
        assert all(marks.names[name][0] * MINUTE == until[name] + 7 for name in names)
    marks.forget(100 * MINUTE)
    assert not marks.names
    assert not marks._buckets
    assert not marks._heap


scopes: st.SearchStrategy[Scope] = st.sampled_from(["token", "session", "user", "all"])


@st.composite
def revocations(draw: st.DrawFn) -> Revocation:
    """Of few names, so that they meet."""
    name, moment = draw(st.sampled_from("ab")), draw(few)
    until = 10**6 * 100
    match draw(scopes):
        case "token":
            return Revocation("token", mark_of(token(name, moment, name)), 0, until)
        case "session":
            return of_session(name, until_us=until)
        case "user":
            return of_user(name, since_us=moment + 1, until_us=until)
        case _:
            return of_all(since_us=moment + 1, until_us=until)


@given(st.lists(revocations(), max_size=10), st.data())
def test_what_is_known_decides_as_the_definition_does(
    given: list[Revocation], data: st.DataObject
) -> None:
    """A token is refused exactly if one of the revocations covers it; and so after a copy."""
    known, copy = Known(), Known()
    for revocation in given:
        known.add(entry_of(revocation))
        assert not known.add(entry_of(revocation))
    told = [*Lacking(known).entries()]
    for entry in told:
        assert copy.add(entry)
    assert len(copy) == len(known) == len(told)
    for _ in range(5):
        claims = token(
            *data.draw(st.tuples(st.sampled_from("ab"), few, *[st.sampled_from("abc")] * 2))
        )
        covered = any(covers(each, claims) for each in given)
        assert judge(claims, known) is judge(claims, copy) is covered


@given(st.lists(revocations(), max_size=10), st.lists(revocations(), max_size=10))
def test_what_others_lack_is_found(mine: list[Revocation], theirs: list[Revocation]) -> None:
    """Told what they lack, they know all that is known here; and nothing is told in vain."""
    known, other = Known(), Known()
    for revocation in mine:
        known.add(entry_of(revocation))
    for revocation in theirs:
        known.add(entry_of(revocation))
        other.add(entry_of(revocation))
    lacking = Lacking(known)
    lacking.strike(Lacking(other).entries())
    for entry in lacking.entries():
        assert other.add(entry) or entry.scope == "all"
    assert sorted(Lacking(known).entries()) == sorted(Lacking(other).entries())


def test_what_is_forgotten_meanwhile_is_not_told() -> None:
    """Others need not hear of what has ended."""
    known = Known()
    known.add(Entry("token", b"t" * 16, 0, NOW))
    lacking = Lacking(known)
    known.forget(NOW + 2 * MINUTE)
    assert [*lacking.entries()] == []


def covers(revocation: Revocation, claims: Claims) -> bool:
    """The definition."""
    match revocation.scope:
        case "token":
            return mark_of(claims) == revocation.name
        case "session":
            return claims.session == revocation.name
        case "user":
            same = claims.subject == revocation.name
            return same and predates(claims.issued_us, revocation.before_us)
        case _:
            return predates(claims.issued_us, revocation.before_us)


def test_everything_is_forgotten_in_its_time() -> None:
    """Each kind, and the longest kept of two of a kind decides."""
    known = Known()
    for minutes in (1, 3, 2):
        until = NOW + minutes * MINUTE
        known.add(Entry("token", b"t" * 16, 0, until))
        known.add(Entry("session", b"s" * 16, 0, until))
        known.add(Entry("user", b"u" * 16, 5, until))
        known.add(Entry("user", b"v" * 16, 5, NOW + 9 * MINUTE))
        known.add(Entry("all", b"", 5, until))
    known.forget(NOW + 2 * MINUTE)
    assert len(known) == 5
    known.forget(NOW + 4 * MINUTE)
    assert [*known.users] == [int.from_bytes(b"v" * 16, "big")]
    assert len(known) == 1
    known.forget(NOW + 11 * MINUTE)
    assert len(known) == 0


def test_memory_forgets_what_has_ended() -> None:
    """When something else is revoked; and what has ended already is not taken in."""
    clock = ManualClock(NOW)
    memory = MemoryRevocations(clock=clock)
    memory.revoke(*(of_token(token("ann", NOW, uuid.uuid4().hex)) for _ in range(50)))
    assert len(memory) == len([*Lacking(memory.known).entries()]) == 50
    clock.advance(timedelta(hours=1))
    memory.revoke(of_token(token("ann", clock(), "x")), of_token(token("ann", NOW, "y")))
    assert len(memory) == 1


def test_kinds_of_tokens_share_their_marks() -> None:
    """A jti is one token's, whatever its kind."""
    claims = [
        Claims(kind=kind, subject="ann", issued_us=NOW, expires_us=NOW + 1, token_id="x")
        for kind in TokenKind
    ]
    assert len({mark_of(each) for each in claims}) == 1

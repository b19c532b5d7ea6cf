"""A fault judges a stream of bytes, however it is cut into pieces."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.testing.faults import (
    Blackhole,
    Delay,
    DropReplies,
    Fault,
    FlipBit,
    Pass,
    Reset,
    Side,
    Trickle,
    Truncate,
    Unreachable,
)

SOME_TIME = timedelta(milliseconds=3)
positions = st.integers(0, 20)
streams = st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5)


def carry(fault: Fault, side: Side, pieces: list[bytes]) -> tuple[bytes, str]:
    """What arrives of *pieces*, and what happens to the connection."""
    arrived, passed = b"", 0
    for piece in pieces:
        rest = piece
        while rest:
            verdict = fault.judge(side, passed, rest)
            arrived += verdict.data
            passed += len(rest) - len(verdict.rest)
            rest = verdict.rest
            if verdict.then != "go on":
                return arrived, verdict.then
    return arrived, "go on"


@given(streams)
def test_what_delays_changes_no_byte(pieces: list[bytes]) -> None:
    """All bytes arrive, in order, in both directions."""
    for fault in (Pass(), Delay(each=SOME_TIME), Trickle(every=SOME_TIME), Unreachable()):
        for side in ("request", "reply"):
            assert carry(fault, side, pieces) == (b"".join(pieces), "go on")


@given(streams, positions)
def test_a_cut_comes_after_exactly_so_many_bytes(pieces: list[bytes], after: int) -> None:
    """A reply ends where it is told to; the first byte is needed to notice it."""
    whole = b"".join(pieces)
    ends = len(whole) >= after
    assert carry(Reset(after=after), "reply", pieces) == (
        whole[:after],
        "reset" if ends else "go on",
    )
    assert carry(Truncate(after=after), "reply", pieces) == (
        whole[:after],
        "close" if ends else "go on",
    )


@given(streams, positions, st.integers(0, 7))
def test_one_bit_flips_once(pieces: list[bytes], at: int, bit: int) -> None:
    """Exactly the bit named differs, and only if the reply is long enough."""
    whole = b"".join(pieces)
    arrived, then = carry(FlipBit(at=at, bit=bit), "reply", pieces)
    assert then == "go on"
    differing = {place: a ^ b for place, (a, b) in enumerate(zip(arrived, whole, strict=True))}
    expected = {at: 1 << bit} if at < len(whole) else {}
    assert {place: bits for place, bits in differing.items() if bits} == expected


@pytest.mark.parametrize(
    "fault",
    [Trickle(every=SOME_TIME), Reset(), Truncate(), FlipBit(), DropReplies()],
    ids=lambda fault: type(fault).__name__,
)
def test_requests_pass_where_replies_suffer(fault: Fault) -> None:
    """What is said of replies leaves requests whole and in time."""
    verdict = fault.judge("request", 0, b"ask")
    assert (verdict.data, verdict.rest, verdict.then) == (b"ask", b"", "go on")
    assert not verdict.hold
    assert not verdict.pause


def test_what_is_lost_stays_lost() -> None:
    """A blackhole loses both directions, dropped replies only one."""
    for side in ("request", "reply"):
        assert carry(Blackhole(), side, [b"data"]) == (b"", "lose")
    assert carry(DropReplies(), "reply", [b"data"]) == (b"", "lose")

"""What the circuit promises, one promise at a time."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.fallback import (
    TRANSITIONS,
    BreakerPolicy,
    CircuitState,
    StateMachine,
    Ticket,
)

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN
HALF_OPEN, FORCED = CircuitState.HALF_OPEN, CircuitState.FORCED_OPEN

US = timedelta(microseconds=1)
PERCENTS = st.sampled_from([20, 25, 40, 50, 60, 75, 100])  # few calls can meet them exactly
POLICY = BreakerPolicy(consecutive_failures=1, window=100 * US, cooldown=30 * US)


def circuit_in(state: CircuitState) -> tuple[StateMachine, Ticket]:
    """A circuit in that state at the time 30, and the ticket that was the last let through."""
    machine = StateMachine(POLICY)
    ticket = machine.admit(0)
    if state in {OPEN, HALF_OPEN}:
        machine.settle(ticket, "failure", 0)
    if state is HALF_OPEN:
        ticket = machine.admit(30)
    if state is FORCED:
        machine.force_open()
    assert machine.state is state
    return machine, ticket


@pytest.mark.parametrize(
    ("start", "why", "end"),
    [(start, why, end) for start, steps in TRANSITIONS.items() for why, end in steps.items()],
)
def test_each_transition_can_happen(start: CircuitState, why: str, end: CircuitState) -> None:
    """The table names nothing that cannot come about, each for the reason given."""
    machine, ticket = circuit_in(start)
    causes = {
        "too many failures": lambda: machine.settle(ticket, "failure", 30),
        "cooldown over": lambda: machine.admit(30),
        "probe succeeded": lambda: machine.settle(ticket, "success", 30),
        "probe failed": lambda: machine.settle(ticket, "failure", 30),
        "forced": machine.force_open,
        "closed by hand": machine.close,
    }
    causes[why]()
    assert machine.state is end


def opens_at(policy: BreakerPolicy, outcomes: str) -> int:
    """How many of these outcomes, all in a moment, open the circuit; 0 if all do not."""
    machine = StateMachine(policy)
    for number, outcome in enumerate(outcomes, start=1):
        machine.settle(machine.admit(0), "failure" if outcome == "F" else "success", 0)
        if machine.state is OPEN:
            return number
    return 0


@given(row=st.integers(1, 5), outcomes=st.text("FFS", max_size=30))
def test_so_many_failures_in_a_row_are_too_much(row: int, outcomes: str) -> None:
    """The row counts whatever the percentage, and any success ends it."""
    policy = BreakerPolicy(consecutive_failures=row, minimum_calls=100)
    before, found, _ = outcomes.partition("F" * row)
    assert opens_at(policy, outcomes) == len(before + found if found else "")


@given(percent=PERCENTS, least=st.integers(1, 6), outcomes=st.text("FS", max_size=30))
def test_so_many_of_a_hundred_are_too_much(percent: int, least: int, outcomes: str) -> None:
    """More than the percentage, of enough calls, found out at a failure."""
    policy = BreakerPolicy(error_percent=percent, minimum_calls=least)
    expected = (
        number
        for number in range(least, len(outcomes) + 1)
        if outcomes[number - 1] == "F" and 100 * outcomes[:number].count("F") > percent * number
    )
    assert opens_at(policy, outcomes) == next(expected, 0)


@given(at=st.integers(0, 10**9), since=st.integers(0, 200))
def test_the_window_forgets_by_the_bucket(at: int, since: int) -> None:
    """An outcome counts until ten buckets later, whenever within its own it came."""
    machine = StateMachine(BreakerPolicy(window=100 * US))
    machine.settle(machine.admit(at), "failure", at)
    remembered = at + since < at // 10 * 10 + 100
    assert machine.rates(at + since) == ((1, 1) if remembered else (0, 0))


def test_a_probe_that_took_too_long_has_no_say() -> None:
    """After a cooldown another call probes; what the first one finds then is ignored."""
    machine, late = circuit_in(HALF_OPEN)
    assert not machine.admit(59).allowed
    second = machine.admit(60)
    assert second.allowed
    for outcome in ("success", "failure", "ignored"):
        machine.settle(late, outcome, 61)
        assert machine.state is HALF_OPEN
        assert not machine.admit(61).allowed, "the second one is still probing"
    machine.settle(second, "success", 62)
    assert machine.state is CLOSED


def test_probes_close_the_circuit_one_after_the_other() -> None:
    """As many in a row as the policy asks for; one that says nothing does not count."""
    machine = StateMachine(BreakerPolicy(consecutive_failures=1, successes_to_close=3))
    machine.settle(machine.admit(0), "failure", 0)
    now = 0
    for outcome in ("success", "success", "failure", "success", "ignored", "success", "success"):
        assert machine.state is not CLOSED
        now += machine.retry_us(now) or 0
        machine.settle(machine.admit(now), outcome, now)
    assert machine.state is CLOSED


def test_a_refused_ticket_has_no_outcome() -> None:
    """Settling what was never let through changes nothing."""
    machine, _ = circuit_in(HALF_OPEN)
    refused = machine.admit(31)
    machine.settle(refused, "success", 31)
    assert machine.state is HALF_OPEN


def test_a_forced_circuit_stays_open() -> None:
    """No time, no outcome and no reset closes it; closing does."""
    machine, ticket = circuit_in(FORCED)
    machine.settle(ticket, "success", 10)
    machine.reset()
    assert machine.admit(10**12) == Ticket(False, machine.admit(0).era, None)
    machine.close()
    assert machine.admit(0).allowed

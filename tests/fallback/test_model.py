"""The circuit as a state machine, against a model that only keeps a list."""

from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from socialflow_core.fallback import (
    TRANSITIONS,
    BreakerPolicy,
    CircuitState,
    Outcome,
    StateMachine,
    Ticket,
)

CLOSED, OPEN = CircuitState.CLOSED, CircuitState.OPEN
HALF_OPEN, FORCED = CircuitState.HALF_OPEN, CircuitState.FORCED_OPEN

US = timedelta(microseconds=1)
LEGAL = {(start, end) for start, steps in TRANSITIONS.items() for end in steps.values()}

policies = st.builds(
    BreakerPolicy,
    error_percent=st.sampled_from([20, 50, 60, 100]),  # that few calls meet exactly
    minimum_calls=st.integers(1, 6),
    window=st.integers(10, 200).map(US.__mul__),
    cooldown=st.integers(1, 50).map(US.__mul__),
    consecutive_failures=st.none() | st.integers(1, 4),
    successes_to_close=st.integers(1, 3),
)
# Failures are what leads anywhere.
outcomes: st.SearchStrategy[Outcome] = st.sampled_from(["failure", "failure", "success", "ignored"])


@dataclass
class Call:
    """A call that was let through, and whether its outcome still means something."""

    ticket: Ticket
    counts: bool = True


@dataclass
class Model:
    """What the documentation promises, found out the slow way from what has happened."""

    policy: BreakerPolicy
    state: CircuitState = CLOSED
    history: list[tuple[int, bool]] = field(default_factory=list)
    running: list[Call] = field(default_factory=list)
    until: int = 0
    probe: Call | None = None
    probes_passed: int = 0

    def bucket(self, at: int) -> int:
        """The tenth of a window that a moment lies in."""
        return at // (self.policy.window // US // 10)

    def recent(self, now: int) -> list[bool]:
        """Of each outcome that is not forgotten, whether it was a failure."""
        return [bad for at, bad in self.history if self.bucket(at) > self.bucket(now) - 10]

    def go(self, state: CircuitState, now: int) -> None:
        """Change the state; what is running belongs to the past."""
        self.state = state
        for call in self.running:
            call.counts = False
        self.until = now + self.policy.cooldown // US
        self.probe, self.probes_passed = None, 0
        self.history.clear()

    def wait(self, now: int) -> int | None:
        """How long a call has to wait; 0 if it is let through."""
        if self.state is FORCED:
            return None
        if self.state is OPEN or self.probe is not None:
            return max(0, self.until - now)
        return 0

    def admitted(self, call: Call, now: int) -> None:
        """A call was let through."""
        if self.state is OPEN:
            self.go(HALF_OPEN, now)
        if self.state is HALF_OPEN:
            if self.probe is not None:
                self.probe.counts = False  # it took too long
            self.probe, self.until = call, now + self.policy.cooldown // US
        self.running.append(call)

    def settled(self, call: Call, outcome: Outcome, now: int) -> None:
        """A call ended."""
        if not call.counts:
            return
        if self.state is HALF_OPEN:
            self.probe = None
            self.probes_passed += outcome == "success"
            if outcome == "failure":
                self.go(OPEN, now)
            elif self.probes_passed == self.policy.successes_to_close:
                self.go(CLOSED, now)
        elif outcome != "ignored":
            self.history.append((now, outcome == "failure"))
            if outcome == "failure" and self.is_too_much(now):
                self.go(OPEN, now)

    def is_too_much(self, now: int) -> bool:
        """Whether the failures open the circuit."""
        policy, recent = self.policy, self.recent(now)
        in_a_row = next(
            (row for row, (_, bad) in enumerate(reversed(self.history)) if not bad),
            len(self.history),
        )
        if policy.consecutive_failures is not None and in_a_row >= policy.consecutive_failures:
            return True
        failed_percent = 100 * recent.count(True) / len(recent)
        return len(recent) >= policy.minimum_calls and failed_percent > policy.error_percent


class Circuit(RuleBasedStateMachine):
    """Everything that can happen to a circuit, in every order."""

    @initialize(policy=policies, now=st.integers(0, 10**15))
    def begin(self, policy: BreakerPolicy, now: int) -> None:
        """A fresh circuit, at any time of any clock."""
        self.now = now
        self.machine = StateMachine(policy)
        self.model = Model(policy)
        self.policy = policy
        self.seen = CLOSED

    @rule()
    def ask(self) -> None:
        """A call is let through exactly when the model says so; a refusal says how long."""
        wait = self.model.wait(self.now)
        ticket = self.machine.admit(self.now)
        assert ticket.allowed == (wait == 0)
        if ticket.allowed:
            self.model.admitted(Call(ticket), self.now)
        else:
            assert ticket.retry_us == wait
            self.machine.settle(ticket, "success", self.now)  # says nothing

    def settle(self, call: Call, outcome: Outcome) -> None:
        """End *call*."""
        self.model.running.remove(call)
        self.machine.settle(call.ticket, outcome, self.now)
        self.model.settled(call, outcome, self.now)

    @precondition(lambda self: self.model.running)
    @rule(outcome=outcomes, data=st.data())
    def end(self, outcome: Outcome, data: st.DataObject) -> None:
        """A running call ends, however long ago it began."""
        self.settle(data.draw(st.sampled_from(self.model.running)), outcome)

    @rule(part=st.sampled_from(["tick", "bucket", "window", "cooldown"]), off=st.integers(-1, 1))
    def pass_time(self, part: str, off: int) -> None:
        """Time passes, often to the very edge of something."""
        steps = {
            "tick": 1,
            "bucket": self.policy.window // US // 10,
            "window": self.policy.window // US,
            "cooldown": self.policy.cooldown // US,
        }
        self.now += max(0, steps[part] + off)

    @precondition(lambda self: self.model.state in {OPEN, HALF_OPEN})
    @rule(outcome=outcomes)
    def wait_out(self, outcome: Outcome) -> None:
        """A refused call is let through *retry_us* later, not a microsecond sooner."""
        wait = self.machine.retry_us(self.now)
        assert wait is not None
        if wait:
            assert not self.machine.admit(self.now + wait - 1).allowed
        self.now += wait
        self.ask_and_end(outcome)

    @rule(outcome=outcomes)
    def ask_and_end(self, outcome: Outcome) -> None:
        """A call that takes no time, if it is let through."""
        before = len(self.model.running)
        self.ask()
        self.agrees()
        if len(self.model.running) > before:
            self.settle(self.model.running[-1], outcome)

    @rule(what=st.sampled_from(["force_open", "close", "reset"]))
    def decide(self, what: str) -> None:
        """Somebody changes it by hand; a reset leaves what was forced open as it is."""
        getattr(self.machine, what)()
        if what == "force_open":
            self.model.go(FORCED, self.now)
        elif what == "close" or self.model.state is not FORCED:
            self.model.go(CLOSED, self.now)

    @invariant()
    def agrees(self) -> None:
        """Machine and model are of one mind, and the step taken is a legal one."""
        assert self.machine.state is self.model.state
        assert self.machine.retry_us(self.now) == self.model.wait(self.now)
        assert self.seen is self.machine.state or (self.seen, self.machine.state) in LEGAL
        self.seen = self.machine.state
        if self.seen is CLOSED:
            recent = self.model.recent(self.now)
            assert self.machine.rates(self.now) == (len(recent), recent.count(True))

    @invariant()
    def one_probe_at_most(self) -> None:
        """While half-open, no two calls run whose outcome counts."""
        if self.machine.state is HALF_OPEN:
            assert sum(call.counts for call in self.model.running) <= 1


TestCircuit = Circuit.TestCase
TestCircuit.settings = settings(max_examples=150)

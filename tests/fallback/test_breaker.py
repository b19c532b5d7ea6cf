"""The breaker around real calls: sync, async, concurrent, cancelled."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

import pytest

from socialflow_core._kit.observe import Fact, subscribe
from socialflow_core.fallback import BreakerPolicy, CircuitOpenError, CircuitState
from socialflow_core.fallback.breaker import Breaker

COOLDOWN = timedelta(seconds=30)
POLICY = BreakerPolicy(consecutive_failures=2, cooldown=COOLDOWN)


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = timedelta(days=3)

    def __call__(self) -> int:
        """The time."""
        return self.now // timedelta(microseconds=1)


class Facts:
    """A subscriber that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Fact] = []

    def on_fact(self, fact: Fact, /) -> None:
        """A fact."""
        self.told.append(fact)

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """A count."""

    def on_span(
        self, name: str, attributes: Mapping[str, object], /
    ) -> AbstractContextManager[object]:
        """A span."""
        return nullcontext((name, attributes))


@pytest.fixture
def clock() -> Clock:
    """A clock that moves when told to."""
    return Clock()


@pytest.fixture(autouse=True)
def facts() -> Iterator[Facts]:
    """What breakers report during the test."""
    facts = Facts()
    leave = subscribe(facts)
    yield facts
    leave()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """A breaker that opens at the second failure in a row."""
    return Breaker("vendor", POLICY, clock=clock)


@pytest.fixture
def half_open(breaker: Breaker, clock: Clock) -> Breaker:
    """A breaker that lets the next call probe."""
    open_up(breaker)
    clock.now += COOLDOWN
    return breaker


def fail(error: BaseException | None = None) -> None:
    """Fail as a vendor does."""
    raise error or ConnectionError("no answer")


def open_up(breaker: Breaker) -> None:
    """Let it fail until it opens."""
    for _ in range(2):
        with pytest.raises(ConnectionError):
            breaker.call(fail)
    assert breaker.state is CircuitState.OPEN


def test_it_hands_through_what_it_surrounds(breaker: Breaker) -> None:
    """Arguments go in, results and errors come out, unchanged."""
    assert breaker.call(divmod, 7, 2) == (3, 1)
    assert breaker.call(int, "ff", base=16) == 255
    error = ConnectionError("this very one")
    with pytest.raises(ConnectionError) as caught:
        breaker.call(fail, error)
    assert caught.value is error


def test_it_hands_through_what_it_awaits(breaker: Breaker) -> None:
    """The same for coroutines, which can fail after they were awaited."""

    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        return 1 // number

    assert asyncio.run(breaker.acall(ask, 1)) == 1
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            asyncio.run(breaker.acall(ask, number=0))
    assert breaker.state is CircuitState.OPEN


def test_an_open_circuit_makes_no_call(breaker: Breaker, clock: Clock) -> None:
    """The error says whose circuit it is and how long it stays open."""
    open_up(breaker)
    clock.now += timedelta(seconds=10)
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(pytest.fail, "called all the same")
    assert caught.value.name == "vendor"
    assert caught.value.retry_after == breaker.retry_after == timedelta(seconds=20)


def test_retry_after_is_exact(breaker: Breaker, clock: Clock) -> None:
    """Not a microsecond sooner, and exactly then."""
    open_up(breaker)
    clock.now += COOLDOWN - timedelta(microseconds=1)
    assert breaker.retry_after == timedelta(microseconds=1)
    with pytest.raises(CircuitOpenError):
        breaker.call(int)
    clock.now += timedelta(microseconds=1)
    assert breaker.retry_after == timedelta(0)
    assert breaker.call(int) == 0
    assert breaker.state is CircuitState.CLOSED


def test_a_person_can_decide(breaker: Breaker, clock: Clock) -> None:
    """Opened by hand it stays open, whatever the time; `reset` is not `close`."""
    breaker.open()
    clock.now += timedelta(days=365)
    breaker.reset()
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(int)
    assert caught.value.retry_after is None
    assert breaker.retry_after is None
    breaker.close()
    assert breaker.call(int) == 0


def test_reset_forgets(breaker: Breaker) -> None:
    """After a reset it takes as many failures as at first."""
    with pytest.raises(ConnectionError):
        breaker.call(fail)
    breaker.reset()
    open_up(breaker)
    breaker.reset()
    assert breaker.state is CircuitState.CLOSED


def test_errors_that_say_nothing_do_not_count(clock: Clock) -> None:
    """What *counts* leaves out neither opens the circuit nor ends a row of failures."""
    breaker = Breaker(
        "vendor", POLICY, clock=clock, counts=lambda error: not isinstance(error, ValueError)
    )
    errors = [ValueError(), ConnectionError(), ValueError(), ConnectionError()]
    for error in errors:
        assert breaker.state is CircuitState.CLOSED
        with pytest.raises(type(error)):
            breaker.call(fail, error)
    assert breaker.state is CircuitState.OPEN


def test_a_broken_predicate_frees_the_slot(clock: Clock) -> None:
    """An error in *counts* is seen, and the next call may probe."""

    def counts(_: Exception) -> bool:
        raise LookupError

    breaker = Breaker("vendor", POLICY, clock=clock, counts=counts)
    breaker.open()
    breaker.close()
    with pytest.raises(LookupError):
        breaker.call(fail)
    assert breaker.call(int) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()], ids=repr)
def test_an_interrupted_probe_frees_the_slot(half_open: Breaker, error: BaseException) -> None:
    """What says nothing about the vendor leaves the question open for the next call."""
    with pytest.raises(type(error)):
        half_open.call(fail, error)
    assert half_open.retry_after == timedelta(0)
    assert half_open.call(int) == 0
    assert half_open.state is CircuitState.CLOSED


def test_the_first_change_is_told_and_the_last(
    breaker: Breaker, clock: Clock, facts: Facts
) -> None:
    """One fact when it stops letting calls through, one when it does again; no more."""
    open_up(breaker)
    clock.now += COOLDOWN
    with pytest.raises(ConnectionError):
        breaker.call(fail)  # the probe fails: nothing new
    breaker.open()
    assert [fact.state for fact in facts.told] == ["degraded"]
    breaker.close()
    breaker.close()
    assert [(fact.block, fact.name, fact.state) for fact in facts.told] == [
        ("fallback", "vendor", "degraded"),
        ("fallback", "vendor", "recovered"),
    ]


def test_the_machines_own_clock_is_the_default() -> None:
    """Without a clock the time is real, and without a policy the default holds."""
    breaker = Breaker("vendor")
    calls: list[Callable[[], None]] = [fail] * BreakerPolicy().minimum_calls
    for call in calls:
        with pytest.raises(ConnectionError):
            breaker.call(call)
    assert breaker.retry_after is not None
    assert timedelta(0) < breaker.retry_after <= BreakerPolicy().cooldown

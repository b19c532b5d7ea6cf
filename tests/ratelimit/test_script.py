"""The script decides exactly as the pure core does: the core is its oracle, on a real server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import HealthCheck, given, settings

from socialflow_core.ratelimit import Limit, Rate, Strategy
from socialflow_core.ratelimit._core import Subject, decide, look, weigh
from socialflow_core.ratelimit._script import ADD, HIT, PEEK, RATE_LIMIT, RESET
from socialflow_core.ratelimit._strategies import judge_of, packed
from socialflow_core.ratelimit.redis.shared import SharedCounts
from socialflow_core.testing.servers.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from socialflow_core.ratelimit import Decision

_US = timedelta(microseconds=1)
_EXACT = 2**53
_MAPS = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


class Item(NamedTuple):
    """One question to the script."""

    mode: int
    key: str
    limits: tuple[Limit, ...]
    cost: int


class Model:
    """The pure core, and the states it has come to."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, Limit], int] = {}

    def subjects(self, item: Item) -> list[Subject]:
        """What stands against each limit."""
        return [
            Subject(
                judge_of(limit.strategy),
                self.states.get((item.key, limit), 0),
                limit.rate.limit,
                limit.rate.per_us,
            )
            for limit in item.limits
        ]

    def answer(self, item: Item, now: int) -> Decision | None:
        """The decision; None for what decides nothing."""
        subjects = self.subjects(item)
        if item.mode == PEEK:
            return decide(item.limits, look(subjects, item.cost, now), now, "redis")
        if item.mode == HIT:
            ruling = weigh(subjects, item.cost, now)
            for limit, verdict in zip(item.limits, ruling.verdicts, strict=True):
                self.states[item.key, limit] = verdict.state
            return decide(item.limits, ruling, now, "redis")
        for limit, subject in zip(item.limits, subjects, strict=True):
            self.states[item.key, limit] = (
                _added(limit, subject, item.cost, now) if item.mode == ADD else 0
            )
        return None


def _added(limit: Limit, subject: Subject, cost: int, now: int) -> int:
    """The state after *cost* more, or as much of it as the limit can hold."""
    if limit.strategy is Strategy.TOKEN_BUCKET:
        step = -(-limit.rate.per_us // limit.rate.limit)
        used = subject.verdict(0, now).reset_us
        return now + min(used + cost * step, limit.rate.limit * step)
    room = limit.rate.limit - subject.verdict(0, now).state % _EXACT  # less the last number
    free = subject._replace(limit=_EXACT)  # whatever is spent, there is room
    return free.verdict(min(cost, room), now).state


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """A server of this module's own."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    """A connection to it."""
    with redis.Redis.from_url(valkey.url) as client:
        yield client


@pytest.fixture
def ask(client: redis.Redis) -> Callable[[Sequence[Item]], list[Any]]:
    """Asks an empty server: all items in one call of the script."""
    client.flushall()
    shared = SharedCounts("redis", prefix="t", deny_ttl=timedelta(0), max_keys=1000)

    def send(items: Sequence[Item]) -> list[Any]:
        keys: list[str] = []
        args: list[Any] = []
        for item in items:
            more_keys, more_args = shared.item(*item)
            keys += more_keys
            args += more_args
        return client.eval(RATE_LIMIT, len(keys), *keys, *args)  # type: ignore[no-any-return]  # -- redis-py's stubs

    send.shared = shared  # type: ignore[attr-defined]  # -- for `check`
    return send


def check(ask: Any, model: Model, items: Sequence[Item]) -> None:
    """Hold each reply to what the core says one after the other, at the server's time."""
    replies = ask(items)
    assert len(replies) == len(items)
    assert len({reply[1] for reply in replies}) == 1
    for item, reply in zip(items, replies, strict=True):
        expected = model.answer(item, reply[1])
        if expected is None:
            continue
        told = ask.shared.read(reply, item.key, item.limits, item.cost, peek=item.mode == PEEK)
        assert told == expected
        if item.mode == HIT and told.allowed:
            at = [reply[2 + 3 * place : 5 + 3 * place] for place in range(len(item.limits))]
            assert [
                packed(limit.strategy, *numbers)
                for limit, numbers in zip(item.limits, at, strict=True)
            ] == [model.states[item.key, limit] for limit in item.limits]


_PERIODS = st.sampled_from([1, 7, 100, 500, 1_000, 3_000, 10_000, 10_007, 10**9])


@st.composite
def limits(draw: st.DrawFn) -> tuple[Limit, ...]:
    """One limit or several, with periods that pass while the test runs."""
    return tuple(
        Limit(
            f"limit{number}",
            Rate(draw(st.integers(1, 6)), per=draw(_PERIODS) * _US),
            strategy=draw(st.sampled_from(Strategy)),
        )
        for number in range(draw(st.integers(1, 3)))
    )


@st.composite
def questions(draw: st.DrawFn, most: int = 25) -> list[Item]:
    """Questions about two keys, with all limits or the first alone."""
    chosen = draw(limits())
    modes = st.sampled_from([HIT, HIT, HIT, HIT, PEEK, RESET, ADD])
    items = []
    for _ in range(draw(st.integers(1, most))):
        asked = chosen if draw(st.booleans()) else chosen[:1]
        least = min(limit.rate.limit for limit in asked)
        items.append(
            Item(draw(modes), draw(st.sampled_from("ab")), asked, draw(st.integers(1, least)))
        )
    return items


@_MAPS
@given(items=questions())
def test_one_question_after_another(ask: Any, client: redis.Redis, items: list[Item]) -> None:
    """Decision by decision, state by state, the script says what the core says."""
    client.flushall()
    model = Model()
    for item in items:
        check(ask, model, [item])


@_MAPS
@given(items=questions())
def test_all_questions_in_one_call(ask: Any, client: redis.Redis, items: list[Item]) -> None:
    """Items that travel together are judged one after the other, each on what those before left."""
    client.flushall()
    check(ask, Model(), items)


@st.composite
def big_rates(draw: st.DrawFn) -> Rate:
    """Rates whose product comes as near to 2**53 as their limit allows.

    Not those of which one hit lasts for more than 230 years, or a microsecond's worth of
    hits does: a bucket that ends that late would end a microsecond off.
    """
    limit = draw(st.sampled_from([2, 3, 7, 1000, 94_906_265, 2**40, 2**52]))
    return Rate(limit, per=(_EXACT - 1) // limit * _US)


@_MAPS
@given(
    rate=big_rates(),
    strategy=st.sampled_from(Strategy),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=12),
)
def test_numbers_near_the_end_of_exactness(
    ask: Any, client: redis.Redis, rate: Rate, strategy: Strategy, shares: list[float]
) -> None:
    """Lua counts in doubles; as far as `Rate` allows, they lose nothing."""
    client.flushall()
    limit, model = Limit("big", rate, strategy=strategy), Model()
    for share in shares:
        cost = max(1, min(rate.limit, int(rate.limit * share)))
        check(ask, model, [Item(HIT, "a", (limit,), cost)])


@_MAPS
@given(
    strategy=st.sampled_from(Strategy),
    count=st.integers(1, 5),
    before=st.integers(0, 5),
    ahead=st.integers(-(10**7), 10**13),
    items=st.lists(st.tuples(st.sampled_from([HIT, PEEK, ADD]), st.integers(1, 5)), min_size=1),
    alone=st.booleans(),
)
def test_a_state_from_the_future(  # noqa: PLR0913 -- each is a part of the past
    *,
    ask: Any,
    client: redis.Redis,
    strategy: Strategy,
    count: int,
    before: int,
    ahead: int,
    items: list[tuple[int, int]],
    alone: bool,
) -> None:
    """A server's clock that went back locks nobody out: states are taken as the core takes them."""
    client.flushall()
    limit = Limit("skewed", Rate(5, per=timedelta(seconds=10)), strategy=strategy)
    other = Limit("other", Rate(5, per=timedelta(hours=1)))  # all but used up
    asked = (limit,) if alone else (limit, other)
    seconds, microseconds = client.time()
    start = seconds * 1_000_000 + microseconds + ahead
    numbers = {
        Strategy.FIXED_WINDOW: (start, count, 0),
        Strategy.SLIDING_WINDOW: (start, before, count),
        Strategy.TOKEN_BUCKET: (start, 0, 0),
    }[strategy]
    model = Model()
    model.states["a", limit] = packed(strategy, *numbers)
    (key,), _ = ask.shared.item(HIT, "a", (limit,), 1)
    client.set(key, "{} {} {}".format(*numbers))
    if not alone:
        model.states["a", other] = packed(other.strategy, start - ahead, 4, 0)
        client.set(ask.shared.item(HIT, "a", (other,), 1)[0][0], f"{start - ahead} 4 0")
    for mode, cost in items:
        check(ask, model, [Item(mode, "a", asked, cost)])
    if any(mode == HIT for mode, _ in items):
        stored = client.get(key)
        assert stored is None or int(bytes(stored).split()[0]) <= _time(client) + 10**7  # type: ignore[arg-type]  # -- redis-py's stubs


def _time(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds * 1_000_000 + microseconds)


@_MAPS
@given(costs=st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_the_short_way_and_the_long_way_agree(
    ask: Any, client: redis.Redis, costs: list[int]
) -> None:
    """Hits on one fixed window have a way of their own through the script, to the same end."""
    client.flushall()
    limit = Limit("login", Rate(7, per=timedelta(seconds=10)))
    look_first = Item(PEEK, "somebody else", (limit,), 1)
    short = [Item(HIT, "short", (limit,), cost) for cost in costs]
    long = [Item(HIT, "long", (limit,), cost) for cost in costs]
    replies = ask([*short, look_first, *long])
    assert [r[:1] + r[3:] for r in replies[: len(costs)]] == [
        r[:1] + r[3:] for r in replies[len(costs) + 1 :]
    ]
    stored = {bytes(client.get(key) or b"") for key in client.keys("*")}  # type: ignore[arg-type]  # -- redis-py's stubs
    assert len(stored) == 1


@pytest.mark.parametrize("strategy", Strategy)
def test_what_is_stored_ends_when_nothing_is_spent(
    ask: Any, client: redis.Redis, strategy: Strategy
) -> None:
    """A key lives as long as a decision says that something is spent, to the millisecond."""
    limit = Limit("login", Rate(10, per=timedelta(seconds=10)), strategy=strategy)
    (key,), _ = ask.shared.item(HIT, "a", (limit,), 1)
    for mode in (HIT, ADD, HIT):
        (reply,) = ask([Item(mode, "a", (limit,), 3)])
        decision = ask.shared.read(reply, "a", (limit,), 3)
        assert 0 <= -(-decision.reset_us // 1000) - client.pttl(key) < 1000
    ask([Item(RESET, "a", (limit,), 1)])
    assert client.exists(key) == 0

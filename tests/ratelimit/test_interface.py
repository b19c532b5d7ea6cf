"""The values: rates, limits and decisions."""

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.ratelimit import Decision, GrammarError, Limit, Rate, Strategy

MINUTE = timedelta(minutes=1)
US = timedelta(microseconds=1)
API = Limit("api", Rate(100, per=MINUTE))


@given(st.integers(1, 10**6), st.integers(1, 10**9))
def test_a_rate_is_its_numbers(limit: int, us: int) -> None:
    """What it is built of is what it tells."""
    rate = Rate(limit, per=us * US)
    assert (rate.limit, rate.per, rate.per_us) == (limit, us * US, us)
    assert rate == Rate(limit, per=us * US)


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, "1", None])
def test_a_rate_needs_a_whole_positive_limit(limit: Any) -> None:
    """Nothing, less than nothing, a truth value and a fraction are no limits."""
    with pytest.raises(ValueError, match="limit must be"):
        Rate(limit, per=MINUTE)


@pytest.mark.parametrize("per", [timedelta(0), -MINUTE, 60, "1m", None])
def test_a_rate_needs_a_positive_period(per: Any) -> None:
    """A period is a `timedelta` longer than nothing, so that its unit is never guessed."""
    with pytest.raises(ValueError, match="per must be"):
        Rate(1, per=per)


@given(st.integers(1, 2**53 - 1))
def test_a_rate_ends_where_doubles_are_no_longer_exact(us: int) -> None:
    """*limit* times the microseconds of *per* is below 2**53, and everything below is fine."""
    most = (2**53 - 1) // us
    assert Rate(most, per=us * US).limit == most
    with pytest.raises(ValueError, match=r"below 2\*\*53"):
        Rate(most + 1, per=us * US)


def test_a_rate_can_be_written() -> None:
    """The grammar of settings is the grammar of rates."""
    assert Rate.parse("10/15m") == Rate(10, per=timedelta(minutes=15))
    assert Rate.parse("100 per minute") == API.rate
    for text in ("", "10", "0/minute", "ten/minute", "10/fortnight"):
        with pytest.raises(GrammarError):
            Rate.parse(text)


def test_a_rate_and_a_limit_do_not_change() -> None:
    """They are keys of counters, so they are frozen."""
    for value, name in ((API, "name"), (API.rate, "limit")):
        with pytest.raises(AttributeError):
            setattr(value, name, "other")


def test_a_limit_is_the_whole_of_its_values() -> None:
    """Another name, rate or strategy is another limit; equal values are one."""
    same = Limit("api", Rate.parse("100/minute"))
    assert (same, hash(same)) == (API, hash(API))
    others = {
        Limit("api2", API.rate),
        Limit("api", Rate(99, per=MINUTE)),
        Limit("api", Rate(100, per=2 * MINUTE)),
        *(Limit("api", API.rate, strategy=strategy) for strategy in Strategy),
    }
    assert len(others | {API}) == 3 + len(Strategy)


def test_a_limit_travels_between_processes() -> None:
    """Pickled here and looked up there it is the same limit, whatever texts hash to there."""
    code = (
        "import pickle, sys; from socialflow_core.ratelimit import Limit, Rate\n"
        "limit = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "assert limit in {Limit('api', Rate.parse('100/minute')): 1}"
    )
    done = subprocess.run([sys.executable, "-c", code, pickle.dumps(API).hex()], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["a", "0", "login", "A.b_c-9", "x" * 64])
def test_a_limit_has_a_name_that_headers_and_keys_can_carry(name: str) -> None:
    """Letters, digits, and three marks that need no quoting anywhere."""
    assert Limit(name, API.rate).name == name


@pytest.mark.parametrize(
    "name", ["", "a\r\nX: 1", "a/b", "a b", 'a"', ".a", "x" * 65, "ä", None, 1]
)
def test_any_other_name_is_refused(name: Any) -> None:
    """A name can neither end a header nor reach into another key."""
    with pytest.raises(ValueError, match="name must be"):
        Limit(name, API.rate)


@pytest.mark.parametrize("wrong", [{"failure": "fail-open"}, {"strategy": "token-bucket"}])
def test_a_limit_says_at_once_that_a_choice_is_none(wrong: Any) -> None:
    """Not in the first outage, and not at the first hit."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limit("api", Rate.parse("1/s"), **wrong)


def test_a_decision_is_true_if_it_allows() -> None:
    """It can stand in a condition, and be unpacked like any tuple."""
    allowed = Decision(True, API, 9, 0, 0, 0, "memory")
    assert allowed
    assert not allowed._replace(allowed=False)
    assert allowed[:3] == (True, API, 9)


def test_a_decision_tells_times_with_their_unit() -> None:
    """Microseconds are kept; moments in UTC and durations are made when they are read."""
    now = 1_800_000_000_000_001
    decision = Decision(False, API, 0, now, 60_000_000, 1_500_000, "memory")
    assert decision.limit == 100
    assert decision.reset_at == datetime(2027, 1, 15, 8, 1, 0, 1, tzinfo=UTC)
    assert decision.reset_after == MINUTE
    assert decision.retry_after == timedelta(seconds=1.5)
    assert not decision.degraded
    assert decision._replace(reason="no room").degraded


def test_a_decision_of_one_limit_is_its_only_part() -> None:
    """`each` can be read without asking how many limits there were."""
    one = Decision(True, API, 9, 0, 0, 0, "memory")
    assert one.each == (one,)
    assert one._replace(parts=(one, one)).each == (one, one)

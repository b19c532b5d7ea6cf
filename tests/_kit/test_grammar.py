"""What the parsers of settings take, and what they refuse without repeating it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given
from hypothesis import strategies as st
from limits import parse as limits_parse

from socialflow_core._kit.grammar import (
    GrammarError,
    RateParts,
    check_cron,
    format_duration,
    parse_bool,
    parse_duration,
    parse_list,
    parse_networks,
    parse_rate,
    parse_rates,
)

Parser = Callable[[str], object]


def refusal(parser: Parser, text: str) -> GrammarError | None:
    """The error with which *parser* refuses *text*, if it does."""
    try:
        parser(text)
    except GrammarError as error:
        return error
    return None


def runs_in_cronsim(text: str) -> bool:
    """Whether the engine that will run a schedule accepts it."""
    try:
        CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


durations = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000))
parsers = st.sampled_from(
    [*(parse_duration, parse_rate, parse_rates, parse_bool, parse_networks, check_cron, parse_list)]
)


@given(durations)
def test_a_duration_reads_back_as_written(duration: timedelta) -> None:
    """`format_duration` loses nothing that `parse_duration` could read."""
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15m", timedelta(minutes=15)),
        ("7d", timedelta(days=7)),
        ("500ms", timedelta(milliseconds=500)),
        ("1us", timedelta(microseconds=1)),
        ("30", timedelta(seconds=30)),
        ("0.5", timedelta(milliseconds=500)),
        ("0.1s", timedelta(milliseconds=100)),
        ("1h30m", timedelta(minutes=90)),
        (" 2W ", timedelta(weeks=2)),
        ("0", timedelta(0)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    """Each documented form means what it says."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "-5s",
        "5 s",
        "1e3",
        "15min",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "1.s",
        ".5",
        "9" * 18 + "w",
        "1m 5",
    ],
)
def test_no_durations(text: str) -> None:
    """What is no duration is refused, also digits of other scripts and what overflows."""
    with pytest.raises(GrammarError, match="must be a duration"):
        parse_duration(text)


def test_a_duration_finer_than_a_microsecond_is_refused() -> None:
    """Nothing is rounded in silence."""
    with pytest.raises(GrammarError, match="finer"):
        parse_duration("0.0000001")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100/minute", RateParts(100, timedelta(minutes=1))),
        ("10/15m", RateParts(10, timedelta(minutes=15))),
        ("5 per 2 hours", RateParts(5, timedelta(hours=2))),
        ("1 every 10 seconds", RateParts(1, timedelta(seconds=10))),
        ("100 / 1 Min", RateParts(100, timedelta(minutes=1))),
        ("3/500ms", RateParts(3, timedelta(milliseconds=500))),
        ("2/month", RateParts(2, timedelta(days=30))),
    ],
)
def test_rates(text: str, expected: RateParts) -> None:
    """Each documented form means what it says."""
    assert parse_rate(text) == expected


@given(
    st.integers(1, 10**6),
    st.sampled_from(["/", " per ", " / ", " PER "]),
    st.none() | st.integers(1, 99),
    st.sampled_from(["second", "minutes", "hour", "days", "month", "year"]),
)
def test_rates_agree_with_the_limits_package(
    limit: int, separator: str, multiple: int | None, unit: str
) -> None:
    """What `limits` reads, we read, and it means the same."""
    text = f"{limit}{separator}{multiple or ''} {unit}"
    theirs = limits_parse(text)
    assert parse_rate(text) == (theirs.amount, timedelta(seconds=theirs.get_expiry()))


@pytest.mark.parametrize(
    "text", ["", "100", "/minute", "1/0s", "0/minute", "-1/minute", "1/parsec", "1.5/s", "1/s/s"]
)
def test_no_rates(text: str) -> None:
    """What is no rate, or allows nothing, is refused."""
    with pytest.raises(GrammarError):
        parse_rate(text)


def test_a_period_too_long_is_refused() -> None:
    """A period that no timedelta holds is an error, not an OverflowError."""
    with pytest.raises(GrammarError):
        parse_rate("1/999999999 years")


def test_several_rates() -> None:
    """The separators of `limits` are understood."""
    assert parse_rates("1/s; 10/m, 5/h") == (*map(parse_rate, ["1/s", "10/m", "5/h"]),)


@pytest.mark.parametrize("text", ["true", "1", "YES", " on "])
def test_true(text: str) -> None:
    """Every documented way to say yes."""
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["false", "0", "No", "off"])
def test_false(text: str) -> None:
    """Every documented way to say no."""
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "2", "truth", "y", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_no_booleans(text: str) -> None:
    """Everything else is neither."""
    with pytest.raises(GrammarError):
        parse_bool(text)


@given(st.lists(st.text(st.characters(exclude_characters=",[", exclude_categories=["Z", "C"]))))
def test_a_list_reads_the_same_in_both_forms(items: list[str]) -> None:
    """Commas and JSON mean the same, and empty items fall away."""
    kept = tuple(item for item in items if item)
    assert parse_list(",".join(items)) == kept
    assert parse_list(json.dumps(items)) == kept


@pytest.mark.parametrize("text", ["[", "[1]", '["a", null]', "[" * 100_000])
def test_no_lists(text: str) -> None:
    """Broken JSON, other types and nesting bombs are refused."""
    with pytest.raises(GrammarError):
        parse_list(text)


def test_networks() -> None:
    """Addresses are networks of one."""
    expected = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert parse_networks("10.0.0.0/8, ::1") == expected


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "1.2.3"])
def test_no_networks(text: str) -> None:
    """Host bits right of the prefix are a typing error, not a network."""
    with pytest.raises(GrammarError, match="CIDR"):
        parse_networks(text)


cron_items = st.one_of(
    st.integers(0, 70).map(str),
    st.just("*"),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: f"{ends[0]}-{ends[1]}"),
    st.sampled_from(["*/5", "*/0", "1-5/2", "mon-fri", "jan", "x", "", "1,2", "5-", "-"]),
)


@given(st.integers(0, 4), st.lists(cron_items, min_size=1, max_size=3))
def test_cron_agrees_with_cronsim(position: int, items: list[str]) -> None:
    """What we accept, the engine that will run it accepts, and the other way round."""
    fields = ["*"] * 5
    fields[position] = ",".join(items)
    assume(fields[position])
    text = " ".join(fields)
    assert (refusal(check_cron, text) is None) == runs_in_cronsim(text)


@pytest.mark.parametrize(
    "text", ["", "* * * *", "* * * * * *", "@daily", "5/2 * * * *", "*/0 * * * *"]
)
def test_no_cron(text: str) -> None:
    """Five fields, no macros, and no step without a range."""
    with pytest.raises(GrammarError, match="five fields"):
        check_cron(text)


@given(parsers, st.text(min_size=9))
def test_an_error_never_repeats_what_was_given(parser: Parser, text: str) -> None:
    """Settings may hold secrets, so a parser's error holds nothing of its input."""
    error = refusal(parser, text)
    if error is not None:
        assert text.strip() not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None

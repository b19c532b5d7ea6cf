"""Pure parsers of what people write in settings: durations, rates, networks, lists, cron.

Every parser raises `GrammarError`, whose text says what was expected and never repeats
what was given: settings may hold secrets, and their errors are printed.
"""

from __future__ import annotations

import ipaddress
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple, TypeAlias

__all__ = [
    "GrammarError",
    "Network",
    "RateParts",
    "check_cron",
    "format_duration",
    "parse_bool",
    "parse_duration",
    "parse_list",
    "parse_networks",
    "parse_rate",
    "parse_rates",
]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class GrammarError(ValueError):
    """A text that its parser refuses; the message completes "X: ..." ."""


class RateParts(NamedTuple):
    """*limit* in every *per*: the parts of a rate, before a block gives them meaning."""

    limit: int
    per: timedelta


_UNITS = {
    "us": timedelta(microseconds=1),
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MICROSECOND = _UNITS["us"]
# [0-9], not \d: the latter takes every script's digits.
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
_DURATION_PART = re.compile(rf"({_NUMBER})(us|ms|s|m|h|d|w)")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:us|ms|s|m|h|d|w))+")
_DURATION_EXPECTED = "must be a duration such as 15m, 7d, 30s, 500ms or a number of seconds"


def parse_duration(text: str) -> timedelta:
    """Read "15m", "7d", "500ms", "1h30m" or plain seconds ("90", "0.5").

    Raises:
        GrammarError: If it is none of these, finer than a microsecond, or too long for
            a `timedelta`.

    >>> parse_duration("1h30m")
    datetime.timedelta(seconds=5400)
    """
    text = text.strip().lower()
    if re.fullmatch(_NUMBER, text):
        text += "s"
    if not _DURATION.fullmatch(text):
        raise GrammarError(_DURATION_EXPECTED)
    parts = _DURATION_PART.findall(text)
    # Decimal, because 0.1 s is not a whole number of microseconds in floating point.
    total = sum(
        (Decimal(number) * (_UNITS[unit] // _MICROSECOND) for number, unit in parts), Decimal()
    )
    if total != int(total):
        raise GrammarError("must not be finer than a microsecond")
    try:
        return int(total) * _MICROSECOND
    except OverflowError:
        raise GrammarError(_DURATION_EXPECTED) from None


def format_duration(duration: timedelta) -> str:
    """Write *duration* as one number and the largest unit that is exact: "15m".

    >>> format_duration(timedelta(seconds=90))
    '90s'
    """
    for name, unit in reversed(_UNITS.items()):
        if duration and not duration % unit:
            return f"{duration // unit}{name}"
    return "0s"


_WORDS = {
    "second": _UNITS["s"],
    "sec": _UNITS["s"],
    "minute": _UNITS["m"],
    "min": _UNITS["m"],
    "hour": _UNITS["h"],
    "day": _UNITS["d"],
    "week": _UNITS["w"],
    "month": timedelta(days=30),
    "year": timedelta(days=360),
}
_RATE = re.compile(r"([0-9]{1,18}) ?(?:/|per|every) ?(?:([0-9]{1,9}) ?)?([a-z]+)")
_RATE_EXPECTED = "must be a rate such as 100/minute, 10/15m or 5 per 2 hours"


def parse_rate(text: str) -> RateParts:
    """Read "100/minute", "10/15m", "5 per 2 hours": the grammar of `limits`, and durations.

    A month is 30 days and a year 12 of them, as in `limits`.

    Raises:
        GrammarError: If it is no rate, or one of its numbers is zero.

    >>> parse_rate("10/15m")
    RateParts(limit=10, per=datetime.timedelta(seconds=900))
    """
    found = _RATE.fullmatch(" ".join(text.lower().split()))
    if not found:
        raise GrammarError(_RATE_EXPECTED)
    limit, multiple, word = found.groups()
    unit = _UNITS.get(word) or _WORDS.get(word) or _WORDS.get(word.removesuffix("s"))
    if unit is None:
        raise GrammarError(_RATE_EXPECTED)
    try:
        rate = RateParts(int(limit), int(multiple or 1) * unit)
    except OverflowError:
        raise GrammarError(_RATE_EXPECTED) from None
    if not (rate.limit and rate.per):
        raise GrammarError("must allow at least 1 in a period longer than zero")
    return rate


def parse_rates(text: str) -> tuple[RateParts, ...]:
    """Read one rate or several, separated by comma, semicolon or bar."""
    return tuple(parse_rate(part) for part in re.split(r"[,;|]", text))


def parse_bool(text: str) -> bool:
    """Read true/false, 1/0, yes/no, on/off in any case."""
    match text.strip().lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
        case _:
            raise GrammarError("must be true or false (or 1/0, yes/no, on/off)")


def parse_list(text: str) -> tuple[str, ...]:
    """Read "a, b" or a JSON list of strings; empty items fall away.

    >>> parse_list('["a", "b"]') == parse_list("a, b,")
    True
    """
    text = text.strip()
    items: object = text.split(",")
    if text.startswith("["):
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise GrammarError("must be a comma-separated list or a JSON list of strings")
    return tuple(item.strip() for item in items if item.strip())


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read a list of addresses and CIDR blocks, IPv4 and IPv6.

    Raises:
        GrammarError: If one is neither, or has bits set right of its prefix: a typing
            error that would trust other hosts than meant.
    """
    try:
        return tuple(ipaddress.ip_network(item) for item in parse_list(text))
    except ValueError:
        raise GrammarError(
            "must be a list of addresses or CIDR blocks such as 10.0.0.0/8, ::1"
        ) from None


# field, lowest, highest, names
_CRON: tuple[tuple[str, int, int, str], ...] = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of month", 1, 31, ""),
    ("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of week", 0, 7, "sun mon tue wed thu fri sat"),
)
_CRON_EXPECTED = "must be a cron expression of five fields such as 0 2 * * *"


def check_cron(text: str) -> str:
    """Check a five-field cron expression (crontab(5)) and answer it with single spaces.

    Raises:
        GrammarError: If it has not five fields, or names the field that is wrong.
    """
    fields = text.split()
    if len(fields) != len(_CRON):
        raise GrammarError(_CRON_EXPECTED)
    for field, (name, lowest, highest, names) in zip(fields, _CRON, strict=True):
        numbers = {word: number for number, word in enumerate(names.split(), lowest)}
        if not all(_is_cron_item(item, lowest, highest, numbers) for item in field.split(",")):
            raise GrammarError(f"{_CRON_EXPECTED}: the {name} is wrong")
    return " ".join(fields)


def _is_cron_item(item: str, lowest: int, highest: int, numbers: dict[str, int]) -> bool:
    span, slash, step = item.lower().partition("/")
    if slash and not (re.fullmatch("[0-9]{1,3}", step) and int(step)):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    ends = [first, last] if dash else [first]
    values = [int(end) if re.fullmatch("[0-9]{1,2}", end) else numbers.get(end, -1) for end in ends]
    # A step needs a range to walk: "5/2" means different things to different crons.
    return (
        values == sorted(values)
        and all(lowest <= v <= highest for v in values)
        and (bool(dash) or not slash)
    )

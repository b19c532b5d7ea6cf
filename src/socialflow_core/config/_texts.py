"""Parsers of the texts of variables, where `_kit.grammar` has none.

They keep its rule: a refusal says what is expected and never repeats what was given.
What they answer for a text they answer again for that answer, if it is a text.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from socialflow_core._kit.grammar import (
    GrammarError,
    RateParts,
    parse_duration,
    parse_list,
    parse_rate,
)
from socialflow_core._kit.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "ENCODE",
    "as_headers",
    "as_hosts",
    "as_index",
    "as_rate",
    "as_secrets",
    "as_text",
    "bucket",
    "check_authority",
    "check_redis_url",
    "count_of",
    "duration",
    "each_of",
    "number",
    "one_of",
    "split_url",
    "url",
    "whole",
]

ResultT = TypeVar("ResultT")

_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_MOST_DIGITS = 12


def as_text(text: str) -> str:
    """Check what holds for every variable, and strip it.

    Raises:
        GrammarError: If it was not UTF-8, or holds a control character: no driver,
            header or path takes one.
    """
    text = text.strip()
    if _SURROGATES.search(text):
        raise GrammarError("must be UTF-8 text")
    if _CONTROLS.search(text):
        raise GrammarError("must not contain control characters")
    return text


def whole(lowest: int, highest: int = 10**_MOST_DIGITS - 1) -> Callable[[str], int]:
    """A parser of whole numbers from *lowest* to *highest*."""
    limit = (
        f", {lowest} or more" if highest == 10**_MOST_DIGITS - 1 else f" from {lowest} to {highest}"
    )

    def parse(text: str) -> int:
        # [0-9], not int(): that takes signs, underscores and every script's digits.
        if (
            not re.fullmatch(rf"[0-9]{{1,{_MOST_DIGITS}}}", text)
            or not lowest <= int(text) <= highest
        ):
            raise GrammarError(f"must be a whole number{limit}")
        return int(text)

    return parse


def number(expected: str, holds: Callable[[float], bool]) -> Callable[[str], float]:
    """A parser of decimal numbers for which *holds*, described by *expected*."""

    def parse(text: str) -> float:
        found = re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text)
        if not found or not holds(float(text)):
            raise GrammarError(f"must be {expected}")
        return float(text)

    return parse


def count_of(unit: timedelta, name: str) -> Callable[[str], timedelta]:
    """A parser of whole numbers of *unit*, for variables that name it: `..._MS`."""
    count = whole(1)

    def parse(text: str) -> timedelta:
        try:
            return count(text) * unit
        except (GrammarError, OverflowError):
            raise GrammarError(f"must be a whole number of {name}, 1 or more") from None

    return parse


def duration(
    shortest: timedelta = timedelta(microseconds=1), said: str = "longer than zero"
) -> Callable[[str], timedelta]:
    """A parser of durations from *shortest*, which *said* puts in words."""

    def parse(text: str) -> timedelta:
        found = parse_duration(text)
        if found < shortest:
            raise GrammarError(f"must be {said}")
        return found

    return parse


def as_rate(text: str) -> RateParts:
    """Read a rate that every store can count exactly."""
    rate = parse_rate(text)
    if rate.limit * (rate.per // timedelta(microseconds=1)) >= 2**53:
        raise GrammarError("must be a smaller rate: number x period in microseconds below 2**53")
    return rate


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """A parser of one of *names*, in any case."""
    by_lower = {name.lower(): name for name in names}

    def parse(text: str) -> str:
        found = by_lower.get(text.lower())
        if found is None:
            raise GrammarError(f"must be one of {', '.join(by_lower.values())}")
        return found

    return parse


def each_of(names: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """A parser of a list of *names*; answers each once, in their order."""
    known = tuple(names)

    def parse(text: str) -> tuple[str, ...]:
        given = {item.lower() for item in parse_list(text)}
        if not given <= set(known):
            raise GrammarError(f"must be a list of {', '.join(known)}")
        return tuple(name for name in known if name in given)

    return parse


def as_secrets(text: str) -> tuple[Secret, ...]:
    """Read one secret or several."""
    secrets = tuple(map(Secret, parse_list(text)))
    if not secrets:
        raise GrammarError("must hold at least one secret")
    return secrets


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[^?#]*)?(\?[^#]*)?(#.*)?")
_NOT_IN_URLS = re.compile(r"[\s\\<>\"^`{|}]")
_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})|%00")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@/?#%]+)(?::(?P<port>[0-9]{1,5}))?")
ENCODE = "must have the special characters of user name and password percent-encoded"


def split_url(text: str, schemes: Iterable[str]) -> tuple[str, str, str, str]:
    """Split into scheme, authority, path and query; fragments are no part of a setting.

    Raises:
        GrammarError: If it is no such URL, or is written so that programs differ in where
            its password ends: they would send the rest of it to a name server.
    """
    known = tuple(schemes)
    expected = f"must be a URL that begins with {' or '.join(f'{scheme}://' for scheme in known)}"
    found = _URL.fullmatch(text)
    if not found or found[1] not in known:
        raise GrammarError(expected)
    scheme, authority, path, query, fragment = (part or "" for part in found.groups())
    account = authority.rpartition("@")[0]
    at_later = "@" in path or (authority and not account and "@" in query)
    if at_later or re.search(r"[@\[\]]", account) or fragment:
        raise GrammarError(ENCODE)
    if _NOT_IN_URLS.search(text) or _BAD_PERCENT.search(text):
        raise GrammarError(f"{expected}, with special characters percent-encoded")
    return scheme, authority, path, query


def check_authority(authority: str) -> None:
    """Check the host of `user:password@host:port`.

    Raises:
        GrammarError: If there is no host, or no port from 1 to 65535 behind the colon.
    """
    found = _HOST.fullmatch(authority.rpartition("@")[2])
    if not found or (found["name"].startswith("[") and not _is_ipv6(found["name"][1:-1])):
        raise GrammarError("must name a host, and behind its colon a port")
    if found["port"] is not None and not 1 <= int(found["port"]) <= 65_535:  # noqa: PLR2004 -- ports
        raise GrammarError("must have a port from 1 to 65535")


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def url(*schemes: str, answer: Callable[[str], ResultT]) -> Callable[[str], ResultT]:
    """A parser of URLs with a host; *answer* makes of the text what is kept."""

    def parse(text: str) -> ResultT:
        check_authority(split_url(text, schemes)[1])
        return answer(text)

    return parse


def check_redis_url(text: str) -> str:
    """Check the URL of a Redis server, or of its Unix socket."""
    scheme, authority, path, _ = split_url(text, ("redis", "rediss", "unix", "valkey"))
    if scheme == "unix":
        if authority.rpartition("@")[2] or len(path) < len("/s"):
            raise GrammarError(
                "must name the socket behind unix://, such as unix:///run/redis.sock"
            )
        return text
    check_authority(authority)
    if not re.fullmatch(r"/?|/[0-9]{1,5}", path):
        raise GrammarError("must have nothing but the number of a database as its path")
    return text


def as_hosts(text: str) -> tuple[str, ...]:
    """Read a list of host names, without scheme and port."""
    hosts = tuple(host.lower() for host in parse_list(text))
    if not all(re.fullmatch(r"[a-z0-9._-]+", host) or _is_ipv6(host) for host in hosts):
        raise GrammarError("must be a list of host names, without scheme and port")
    return hosts


def bucket(text: str) -> str:
    """Check the name of a bucket, by the rules that S3 has for all of them."""
    named = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text)
    if not named or ".." in text or re.fullmatch(r"[0-9]+(?:\.[0-9]+){3}", text):
        raise GrammarError("must be a bucket name: 3 to 63 of a-z 0-9 . - and no address")
    return text


def as_index(text: str) -> str:
    """Check the name of an Elasticsearch index."""
    forbidden = re.search(r'[\\/*?"<>|\s,#:]|^[-_+]|^\.\.?$', text)
    if forbidden or text != text.lower() or len(text.encode()) > 255:  # noqa: PLR2004 -- Elasticsearch's limit
        raise GrammarError("must be an index name: lower case, without white space and punctuation")
    return text


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def as_headers(text: str) -> tuple[tuple[str, Secret], ...]:
    """Read `name=value,name=value`, values percent-encoded (OpenTelemetry's form)."""
    headers = []
    for item in filter(None, map(str.strip, text.split(","))):
        name, equals, value = item.partition("=")
        decoded = unquote(value.strip())
        if not equals or not _TOKEN.fullmatch(name.strip()) or _CONTROLS.search(decoded):
            raise GrammarError("must be headers of the form name=value,name=value")
        headers.append((name.strip(), Secret(decoded)))
    return tuple(headers)

"""Which limits a request counts under, and what its answer carries."""

from __future__ import annotations

import doctest
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import rate_limit_rules
from examples.rate_limit_rules import Outage, RateLimitOptions, Rule, merged
from socialflow_core.ratelimit import Limit, Rate, UnavailableError

LOGIN, SEARCH, REST = (Limit(name, Rate.parse("3/hour")) for name in ("login", "search", "rest"))
OPTIONS = RateLimitOptions(
    rules=(
        Rule("/api/login", (LOGIN, REST), methods=("POST",)),
        Rule("/API/Search/", (SEARCH,), methods=("GET",)),
        Rule("/api/hooks"),
        Rule("/api", (REST,)),
    )
)


def test_the_examples_in_the_docstrings_are_true() -> None:
    """What the module shows is what it does."""
    assert doctest.testmod(rate_limit_rules).failed == 0


@pytest.mark.parametrize(
    ("method", "path", "limits"),
    [
        ("POST", "/api/login", (LOGIN, REST)),
        ("post", "/api/login/now", (LOGIN, REST)),
        ("GET", "/api/login", (REST,)),
        ("GET", "/api/search", (SEARCH,)),
        ("HEAD", "/api/search", (SEARCH,)),
        ("OPTIONS", "/api/search", (REST,)),
        ("GET", "/api/searches", (REST,)),
        ("GET", "/api", (REST,)),
        ("GET", "/apiary", ()),
        ("GET", "/", ()),
        ("GET", "", ()),
        ("OPTIONS", "*", ()),
    ],
)
def test_the_first_rule_that_covers_a_request_decides(
    method: str, path: str, limits: tuple[Limit, ...]
) -> None:
    """By method and by whole segments of the path; HEAD counts as GET."""
    assert OPTIONS.limits(method, path) == limits


@pytest.mark.parametrize(
    "path",
    [
        "/api/hooks/../search",
        "/api/search/../hooks",
        "/api/%68ooks",
        "//api/hooks",
        "/api/hooks/..%5cx",
    ],
)
def test_an_exception_must_hold_for_every_reading(path: str) -> None:
    """A path that could be read as something limited is not excepted."""
    assert OPTIONS.limits("GET", "/api/hooks/x") == ()
    assert OPTIONS.limits("GET", path) != ()


@given(st.text(st.characters() | st.sampled_from("/.%\\:")))
def test_every_path_has_an_answer(path: str) -> None:
    """Nothing that a caller can write breaks the rules, or leaves a rule for everything."""
    everything = RateLimitOptions(rules=(Rule("/", (REST,)),))
    assert everything.limits("GET", f"/{path}") == (REST,)
    assert OPTIONS.limits("GET", f"/api/{path}") != () or "hooks" in path.casefold()


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "api"},
        {"path": ""},
        {"path": "/", "methods": "GET"},
        {"path": "/", "methods": ("get",)},
        {"path": "/", "limits": (REST, LOGIN, REST)},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    """Mistakes are told when the rule is written, not by a limit that does not hold."""
    with pytest.raises(ValueError, match="must be"):
        Rule(**arguments)


def test_headers_of_the_application_are_not_doubled() -> None:
    """Ours replace its own of the same names; all others stay as they are, in order."""
    theirs = [("Set-Cookie", "a"), ("ratelimit-limit", "5"), ("Set-Cookie", "b"), ("Vary", "x")]
    ours = [("RateLimit-Limit", "3"), ("RateLimit-Remaining", "2")]
    assert merged(200, iter(theirs), ours) == [
        *(("Set-Cookie", "a"), ("Set-Cookie", "b"), ("Vary", "x")),
        *ours,
    ]


def test_a_refusal_of_the_applications_own_stays_whole() -> None:
    """Its Retry-After belongs to its own limit; a 429 without headers gets ours."""
    theirs = [(b"ratelimit-limit", b"5"), (b"retry-after", b"9")]
    ours = [(b"ratelimit-limit", b"3")]
    assert merged(429, theirs, ours) == theirs
    assert merged(429, theirs[1:], ours) == [*theirs[1:], *ours]


def test_an_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """Two lines for an outage, not one for each request in it."""
    outage = Outage()
    error = UnavailableError("the rate limit store")
    outage.ends()
    for _ in range(3):
        outage.begins(error, "allow")
    outage.ends()
    outage.ends()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "the rate limit store is unavailable" in caplog.text

"""What callers read of a decision: rounded up, never early, one moment."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.ratelimit import (
    Decision,
    Limit,
    Rate,
    Refusal,
    Strategy,
    headers,
    refusal,
)
from socialflow_core.ratelimit.memory import MemoryRateLimiter

NOW = 1_800_000_000_000_000  # 2027-01-15T08:00:00Z
SECOND = 1_000_000
limit = Limit("api", Rate.parse("100/minute"))


@st.composite
def decisions(draw: st.DrawFn, *, allowed: bool | None = None) -> Decision:
    """Any decision that a limiter may make; a bucket is full only after the next hit fits."""
    per = draw(st.integers(1, 10**8))
    rate = Rate(draw(st.integers(1, 10**6)), per=timedelta(microseconds=per))
    strategy = draw(st.sampled_from(Strategy))
    allows = draw(st.booleans()) if allowed is None else allowed
    retry_us = 0 if allows else draw(st.integers(1, per))
    later = 0 if strategy is Strategy.FIXED_WINDOW and not allows else draw(st.integers(0, 2 * per))
    return Decision(
        allowed=allows,
        decided_by=Limit("any", rate, strategy=strategy),
        remaining=draw(st.integers(0, rate.limit)),
        now_us=draw(st.integers(0, 2 * NOW)),
        reset_us=retry_us + later,
        retry_us=retry_us,
        source="memory",
    )


def told(decision: Decision, reset: Any = "unix") -> dict[str, str]:
    """The headers as a mapping; no name comes twice."""
    pairs = headers(decision, reset=reset)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_an_allowed_hit() -> None:
    """The triple in Unix time, the draft's two fields, and nothing about retrying."""
    assert headers(Decision(True, limit, 41, NOW, 30_000_001, 0, "memory")) == [
        ("RateLimit-Limit", "100"),
        ("RateLimit-Remaining", "41"),
        ("RateLimit-Reset", "1800000031"),
        ("RateLimit-Policy", '"api";q=100;w=60'),
        ("RateLimit", '"api";r=41;t=31'),
    ]


def test_a_refused_hit() -> None:
    """The whole answer, to the byte."""
    answer = refusal(Decision(False, limit, 0, NOW + 123_999, 29_500_000, 29_500_000, "memory"))
    body = (
        b'{"success":false,"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests. '
        b'Please slow down and try again later.","retryAfter":30,'
        b'"timestamp":"2027-01-15T08:00:00.123Z"}'
    )
    assert answer == Refusal(
        429,
        (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("RateLimit-Limit", "100"),
            ("RateLimit-Remaining", "0"),
            ("RateLimit-Reset", "1800000030"),
            ("RateLimit-Policy", '"api";q=100;w=60'),
            ("RateLimit", '"api";r=0;t=30'),
            ("Retry-After", "30"),
        ),
        body,
    )


def test_reset_as_seconds_from_now() -> None:
    """The option names the same moment as a distance."""
    assert (
        told(Decision(True, limit, 41, NOW, 30_000_001, 0, "memory"), "delta")["RateLimit-Reset"]
        == "31"
    )


def test_several_limits() -> None:
    """Every limit is a policy; the one that decided tells where the caller stands."""
    hour = Limit("hour", Rate.parse("1000/hour"))
    parts = tuple(Decision(True, each, 9, NOW, SECOND, 0, "memory") for each in (limit, hour))
    decision = Decision(True, hour, 9, NOW, SECOND, 0, "memory", parts=parts)
    assert told(decision)["RateLimit-Policy"] == '"api";q=100;w=60, "hour";q=1000;w=3600'
    assert told(decision)["RateLimit"] == '"hour";r=9;t=1'
    assert told(decision)["RateLimit-Limit"] == "1000"


@pytest.mark.parametrize(("per", "w"), [("1ms", 1), ("1s", 1), ("1500ms", 2), ("1m", 60)])
def test_a_policys_window_is_whole_seconds_from_one(per: str, w: int) -> None:
    """The draft knows no fractions and no zero: rounded up."""
    short = Limit("short", Rate.parse(f"5/{per}"))
    policy = told(Decision(True, short, 4, NOW, 1, 0, "memory"))["RateLimit-Policy"]
    assert policy == f'"short";q=5;w={w}'


def test_numbers_stay_within_structured_fields() -> None:
    """An integer there has at most 15 digits; a client could not parse more."""
    wide = Limit("wide", Rate(9 * 10**15, per=timedelta(microseconds=1)))
    seen = told(Decision(True, wide, 9 * 10**15 - 1, NOW, 1, 0, "memory"))
    assert seen["RateLimit-Policy"] == '"wide";q=999999999999999;w=1'
    assert seen["RateLimit"] == '"wide";r=999999999999999;t=1'


@given(decisions())
def test_reset_is_never_early_and_less_than_a_second_late(decision: Decision) -> None:
    """Both forms and the draft's `t` are rounded up, from what the caller waits for."""
    bucket = decision.decided_by.strategy is Strategy.TOKEN_BUCKET
    wait = decision.reset_us if decision.allowed else decision.retry_us
    until = decision.reset_us if bucket else wait
    assert 0 <= int(told(decision)["RateLimit-Reset"]) * SECOND - decision.now_us - until < SECOND
    assert 0 <= int(told(decision, "delta")["RateLimit-Reset"]) * SECOND - until < SECOND
    assert 0 <= int(told(decision)["RateLimit"].rpartition("t=")[2]) * SECOND - wait < SECOND


@given(decisions(allowed=False))
def test_retry_after_is_never_early_and_names_the_moment_of_reset(decision: Decision) -> None:
    """Less than a second apart; a bucket is full only later."""
    seen = told(decision)
    retry = int(seen["Retry-After"])
    assert retry >= 1
    assert 0 <= retry * SECOND - decision.retry_us < SECOND
    assert seen["RateLimit"].endswith(f";t={retry}")
    apart = int(seen["RateLimit-Reset"]) * SECOND - (decision.now_us + retry * SECOND)
    if decision.decided_by.strategy is Strategy.TOKEN_BUCKET:
        assert apart > -SECOND
    else:
        assert abs(apart) < SECOND
        assert told(decision, "delta")["RateLimit-Reset"] == str(retry)


@given(
    st.sampled_from(Strategy),
    st.integers(1, 5),
    st.integers(1, 10**8),
    st.lists(st.integers(0, 10**8), min_size=1, max_size=20),
)
def test_who_comes_back_when_told_is_let_in(
    strategy: Strategy, most: int, per: int, gaps: list[int]
) -> None:
    """A caller that waits for Retry-After, or until Reset, is never refused again."""
    now = NOW
    limiter = MemoryRateLimiter(clock=lambda: now)
    asked = Limit("asked", Rate(most, per=timedelta(microseconds=per)), strategy=strategy)
    for gap in gaps:
        now += gap
        decision = limiter.hit("somebody", asked)
        if not decision.allowed:
            seen = told(decision)
            began = now
            for back in (
                began + int(seen["Retry-After"]) * SECOND,
                int(seen["RateLimit-Reset"]) * SECOND,
            ):
                now = back
                assert limiter.peek("somebody", asked).allowed
            now = began


@given(decisions(allowed=False), st.sampled_from(["unix", "delta"]))
def test_the_body_says_what_the_headers_say(decision: Decision, reset: Any) -> None:
    """Keys in order, the same seconds, the moment of the decision in UTC."""
    answer = refusal(decision, reset=reset)
    sent = dict(answer.headers)
    body = json.loads(answer.body)
    assert list(body) == ["success", "code", "message", "retryAfter", "timestamp"]
    assert body["retryAfter"] == int(sent["Retry-After"])
    assert sent["Content-Length"] == str(len(answer.body))
    assert sent["Cache-Control"] == "no-store"
    assert answer.headers[3:] == tuple(headers(decision, reset=reset))
    assert body["timestamp"].endswith("Z")
    at = datetime.fromisoformat(body["timestamp"])
    late = datetime(1970, 1, 1, tzinfo=UTC) + decision.now_us * timedelta(microseconds=1) - at
    assert timedelta() <= late < timedelta(milliseconds=1)


@given(decisions(), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True))
def test_no_header_can_be_injected_and_none_is_experimental(decision: Decision, name: str) -> None:
    """Names and values are plain ASCII on one line; no name begins with X-."""
    renamed = Limit(name, decision.decided_by.rate, strategy=decision.decided_by.strategy)
    for header, value in headers(decision._replace(decided_by=renamed)):
        assert (header + value).isascii()
        assert (header + value).isprintable()
        assert not header.lower().startswith("x-")


def test_a_refusal_without_a_time_still_asks_for_a_second() -> None:
    """A limiter that is closed for want of its store is not to be hammered."""
    seen = told(Decision(False, limit, 0, NOW, 0, 0, "redis", "the store is out"))
    assert (seen["Retry-After"], seen["RateLimit"]) == ("1", '"api";r=0;t=1')


def test_an_allowed_hit_cannot_be_refused() -> None:
    """A mixed-up branch is an error, not a 429."""
    with pytest.raises(ValueError, match="was allowed"):
        refusal(Decision(True, limit, 1, NOW, 1, 0, "memory"))


def test_an_unknown_form_of_reset_is_refused() -> None:
    """A misspelt option is no silent default."""
    with pytest.raises(ValueError, match='"unix" or "delta"'):
        told(Decision(True, limit, 1, NOW, 1, 0, "memory"), "iso")

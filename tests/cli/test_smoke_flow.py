"""`smoke ratelimit` passes when the contract holds, at any second, and says what is wrong when not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core._kit.flow import Now, Sleep, run
from socialflow_core.cli._smoke import (
    TIERS,
    Check,
    Effects,
    Tier,
    check,
    ordinal,
    until_it_answers,
)
from socialflow_core.cli._smoke_contract import Response
from socialflow_core.ratelimit import Limit, Rate, headers, refusal
from socialflow_core.ratelimit.memory import MemoryRateLimiter

AUTH, AI, GENERAL = TIERS
MILLISECOND = 1000
Spoil: TypeAlias = Callable[[int, Response], Response]


class Service:
    """A service that keeps the contract, in made-up time; *spoil* may change its nth answer."""

    def __init__(
        self, tier: Tier, *, latency: int = MILLISECOND, spoil: Spoil | None = None
    ) -> None:
        self.now = 1_800_000_000_000_000
        self.asked = 0
        self.limit = Limit("tier", Rate(tier.limit, per=tier.window))
        self.limiter = MemoryRateLimiter(clock=lambda: self.now)
        self._latency = latency
        self._status = 200 if tier is GENERAL else 401
        self._spoil = spoil or (lambda _, response: response)

    def restart(self) -> None:
        """Forget every count."""
        self.limiter = MemoryRateLimiter(clock=lambda: self.now)

    def perform(self, effect: Effects) -> object:
        """Do what the flow asks for."""
        if isinstance(effect, Now):
            return self.now
        if isinstance(effect, Sleep):
            self.now += effect.duration // timedelta(microseconds=1)
            return None
        self.now += self._latency
        self.asked += 1
        return self._spoil(self.asked, self._answer())

    def _answer(self) -> Response:
        decision = self.limiter.hit("somebody", self.limit)
        if decision.allowed:
            return Response(self._status, tuple(headers(decision)))
        refused = refusal(decision)
        return Response(refused.status, refused.headers, refused.body)

    def check(self, tier: Tier) -> Check:
        """Try it."""
        return run(check(tier), self.perform)


every_tier = pytest.mark.parametrize("tier", TIERS, ids=[tier.name for tier in TIERS])


@every_tier
def test_one_request_more_than_the_limit_is_sent(tier: Tier) -> None:
    """11, 31 and 101 requests, of which the last is refused."""
    service = Service(tier)
    done = service.check(tier)
    assert (done.passed, done.at, done.status) == (True, tier.limit + 1, 429)
    assert (done.faults, done.hints) == ((), ())
    assert service.asked == tier.limit + 1 in {11, 31, 101}


@given(
    tier=st.sampled_from(TIERS),
    earlier=st.integers(0, 3),
    share=st.floats(0, 2),
    latency=st.integers(1, 500 * MILLISECOND),
)
def test_it_passes_at_any_second(tier: Tier, earlier: int, share: float, latency: int) -> None:
    """Only a window that others began, and that outlasts the run, is told as an early 429."""
    service = Service(tier, latency=latency)
    began = service.now
    for _ in range(earlier):
        service.limiter.hit("somebody", service.limit)
    window = tier.window // timedelta(microseconds=1)
    service.now += int(share * window)
    done = service.check(tier)
    if done.passed:
        assert done.at == tier.limit + 1
    else:
        assert earlier
        assert service.now < began + window
        assert done.at == tier.limit + 1 - earlier
        assert "run it again in" in done.hints[0]


def test_a_window_that_rolls_over_twice_is_told() -> None:
    """A server so slow that no window is ever filled fails, with the hint."""
    done = Service(AI, latency=2_500 * MILLISECOND).check(AI)
    assert not done.passed
    assert done.status == 401
    assert "rolled over" in done.hints[0]


def forgetful(service: Service, every: int) -> Spoil:
    """Restart *service* after so many requests."""

    def spoil(number: int, response: Response) -> Response:
        if number % every == 0:
            service.restart()
        return response

    return spoil


@pytest.mark.parametrize(
    ("tier", "hint"), [(AUTH, "restarted"), (AI, "rolled over"), (GENERAL, "replicas")]
)
def test_counters_that_do_not_hold_have_a_hint(tier: Tier, hint: str) -> None:
    """What each tier is answered instead of 429 points to its likeliest cause."""
    service = Service(tier)
    service._spoil = forgetful(service, 3)
    done = service.check(tier)
    assert not done.passed
    assert done.at == tier.limit + 1
    assert hint in done.hints[0]


def answering(status: int, body: bytes = b"", at: int = 1) -> Spoil:
    """From the *at*th on, an answer without the promised headers."""
    return lambda number, response: Response(status, (), body) if number >= at else response


@every_tier
def test_an_unreached_server_is_000(tier: Tier) -> None:
    """No connection ends the check at once."""
    done = Service(tier, spoil=lambda *_: Response(0, failure="ConnectionRefusedError")).check(tier)
    assert (done.passed, done.at, done.status) == (False, 1, 0)
    assert "000: the server was not reached (ConnectionRefusedError)" in done.hints[0]


@every_tier
def test_a_429_that_is_not_json_is_a_proxys(tier: Tier) -> None:
    """Early or not, such an answer is not the service's."""
    done = Service(tier, spoil=answering(429, b"<html>", at=4)).check(tier)
    assert (done.passed, done.at) == (False, 4)
    assert "the body of the 429 is not a JSON object" in done.faults
    assert "proxy" in done.hints[0]


def test_ai_must_ask_for_a_token_below_the_limit() -> None:
    """Anything but 401 before the limit is reported where it happens."""
    done = Service(AI, spoil=answering(200, at=3)).check(AI)
    assert (done.passed, done.at, done.status) == (False, 3, 200)


@every_tier
@pytest.mark.parametrize(("status", "hint"), [(404, "base URL"), (308, "redirects")])
def test_a_url_of_something_else_is_told(tier: Tier, status: int, hint: str) -> None:
    """404 and redirects mean that the URL is not the service's."""
    done = Service(tier, spoil=answering(status)).check(tier)
    assert not done.passed
    assert len(done.hints) == 1
    assert hint in done.hints[0]


def test_another_limit_than_the_default_is_told() -> None:
    """A service that is configured otherwise fails with the variable's name."""
    service = Service(GENERAL)
    service.limit = Limit("tier", Rate.parse("50/minute"))
    done = service.check(GENERAL)
    assert (done.passed, done.at) == (False, 51)
    assert "RATE_LIMIT_GENERAL" in done.hints[0]


def without(name: str) -> Spoil:
    """Take a header away."""
    return lambda _, response: response._replace(
        headers=tuple(pair for pair in response.headers if pair[0] != name)
    )


def with_header(name: str, value: str) -> Spoil:
    """Give a header this value."""

    def spoil(number: int, response: Response) -> Response:
        rest = without(name)(number, response)
        return rest._replace(headers=(*rest.headers, (name, value)))

    return spoil


def with_body(**changes: object) -> Spoil:
    """Change the body of the refusal."""
    return lambda _, response: response._replace(
        body=json.dumps({**json.loads(response.body), **changes}).encode() if response.body else b""
    )


WRONG = "is not what it should be on"
APART = "RateLimit-Reset and Retry-After are a second or more apart"
BODY = "the body of the 429 is not the promised one"
TIME = "timestamp is not ISO 8601 in UTC with milliseconds"
ALWAYS = [f"RateLimit{rest}" for rest in ("-Limit", "-Remaining", "-Reset", "-Policy", "")]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        *((without(name), f"{name} is missing on a 401") for name in ALWAYS),
        (without("Retry-After"), "Retry-After is missing on the 429"),
        (without("Content-Type"), "Content-Type is missing on the 429"),
        (without("Cache-Control"), "Cache-Control is missing on the 429"),
        (with_header("RateLimit-Limit", "11"), f"RateLimit-Limit {WRONG} a 401"),
        (with_header("RateLimit-Reset", "9" * 5000), f"RateLimit-Reset {WRONG} a 401"),
        (with_header("RateLimit-Reset", "1"), APART),
        (with_header("RateLimit-Reset", "1700000000"), APART),
        (with_header("Retry-After", "0"), f"Retry-After {WRONG} the 429"),
        (
            with_header("Retry-After", "\N{ARABIC-INDIC DIGIT THREE}"),
            f"Retry-After {WRONG} the 429",
        ),
        (with_header("X-RateLimit-Limit", "10"), "there are X-RateLimit headers on a 401"),
        (with_header("Content-Type", "text/html"), f"Content-Type {WRONG} the 429"),
        (with_body(success=0), BODY),
        (with_body(retryAfter=1.5), BODY),
        (with_body(more=1), BODY),
        (with_body(timestamp="2027-01-15T08:00:00Z"), TIME),
        (with_body(timestamp="2027-99-15T08:00:00.000Z"), TIME),
        (with_body(timestamp=None), TIME),
    ],
)
def test_headers_and_bodies_are_checked(spoil: Spoil, fault: str) -> None:
    """A 429 in time is not enough: each thing that it must carry is missed by name."""
    done = Service(AUTH, spoil=spoil).check(AUTH)
    assert (done.at, done.status) == (11, 429)
    assert not done.passed
    assert fault in done.faults
    assert len(set(done.faults)) == len(done.faults)


def test_reset_in_seconds_from_now_is_as_good() -> None:
    """A service may be set to the other form of RateLimit-Reset."""
    service = Service(
        AUTH,
        spoil=lambda _, response: with_header(
            "RateLimit-Reset", response.header("Retry-After") or "900"
        )(0, response),
    )
    assert service.check(AUTH).passed


def test_waiting_ends_when_the_server_answers() -> None:
    """A gateway's 502 is not the server's answer; anything else is."""
    statuses = [0, 502, 504, 503]
    service = Service(GENERAL, spoil=lambda number, _: Response(statuses[number - 1]))
    assert run(until_it_answers(timedelta(seconds=30)), service.perform) is True
    assert service.asked == len(statuses)


@given(st.timedeltas(timedelta(), timedelta(minutes=1)))
def test_waiting_is_bounded(patience: timedelta) -> None:
    """It gives up when the patience is over, and not much later."""
    service = Service(GENERAL, spoil=lambda *_: Response(0))
    began = service.now
    assert run(until_it_answers(patience), service.perform) is False
    waited = (service.now - began) * timedelta(microseconds=1)
    assert patience <= waited <= patience + timedelta(milliseconds=202)


def test_waiting_is_bounded_also_when_the_clock_is_set_back() -> None:
    """What was slept counts, whatever the clock says."""
    service = Service(GENERAL, latency=-5_000_000, spoil=lambda *_: Response(0))
    assert run(until_it_answers(timedelta(seconds=2)), service.perform) is False
    assert service.asked == 11


def test_ordinals() -> None:
    """11th, not 11st."""
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 31, 101, 111)
    assert [ordinal(number) for number in numbers] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "31st", "101st", "111th"),
    ]

"""The rate limit middleware, on real sockets, bare and under each framework."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from examples.rate_limit_rules import RateLimitOptions, Rule
from socialflow_core.ratelimit import ClientIdentity, Decision, Limit, Rate, UnavailableError
from tests.examples.stacks import STACKS, Calls, Limiters, Stack, limiters

if TYPE_CHECKING:
    import logging

API = Limit("api", Rate.parse("3/hour"))
OPTIONS = RateLimitOptions(rules=(Rule("/api", (API,)),))

SPELLINGS = (
    *("/api/open", "/api", "/api/", "/api/open/", "/api?x=/free", "/API/Open"),
    *("//api/open", "/.//api/open", "/x/../api/open", "/x/%2e%2E/api/open", "/x%5C..%5Capi/open"),
    *("/%61pi/open", "/%2561pi/open", "/api%2Fopen", "/%41PI", "/%2541PI"),
    # Inside for a framework that takes it as it is, whatever it is resolved to.
    *("/api/../free", "/api/..%2ffree", "/api/%252e%252e/free"),
    "http://elsewhere/api/open",
)

every_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)


class Broken:
    """A limiter whose store is out."""

    def hit(self, _key: str, /, *_limits: Limit, **_: int) -> Decision:
        """Fail, as an adapter without a fallback does."""
        raise UnavailableError("the rate limit store")

    peek = hit

    def reset(self, _key: str, /, *_limits: Limit) -> None:
        """Nothing is kept."""


class AsyncBroken:
    """`Broken`, awaited."""

    async def hit(self, _key: str, /, *_limits: Limit, **_: int) -> Decision:
        """Fail, as an adapter without a fallback does."""
        raise UnavailableError("the rate limit store")

    peek = hit

    async def reset(self, _key: str, /, *_limits: Limit) -> None:
        """Nothing is kept."""


@every_stack
def test_the_limit_holds_and_the_refusal_is_the_promised_one(stack: Stack) -> None:
    """Three pass with falling counts, the fourth is answered before the application hears it."""
    calls: Calls = []
    with stack(calls, limiters(), OPTIONS) as send:
        answers = [send("/api/open") for _ in range(3)]
        refused = send("/api/open", "POST", b"unread body")
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.limits["ratelimit-remaining"] for answer in answers] == ["2", "1", "0"]
    assert calls == ["/api/open"] * 3
    assert refused.status == 429
    assert refused.all("Content-Type") == ["application/json"]
    assert refused.all("Cache-Control") == ["no-store"]
    body = json.loads(refused.body)
    assert body["code"] == "RATE_LIMIT_EXCEEDED"
    assert [str(body["retryAfter"])] == refused.all("Retry-After")
    assert refused.limits["ratelimit-policy"] == '"api";q=3;w=3600'


@every_stack
@pytest.mark.parametrize(
    ("path", "status"), [("/api/secret", 401), ("/api/broken", 500), ("/api/missing", {404, 500})]
)
def test_every_limited_answer_carries_the_headers(
    stack: Stack, path: str, status: int | set[int]
) -> None:
    """Failures of the application count, and say where the caller stands."""
    with stack([], limiters(), OPTIONS) as send:
        answer = send(path)
    assert answer.status in (status if isinstance(status, set) else {status})
    assert answer.limits.keys() == {
        *("ratelimit", "ratelimit-limit", "ratelimit-policy"),
        *("ratelimit-remaining", "ratelimit-reset"),
    }


@every_stack
def test_what_no_rule_covers_is_free(stack: Stack) -> None:
    """No count and no headers outside of the rules."""
    with stack([], limiters(), OPTIONS) as send:
        answers = [send("/free") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert not any(answer.limits for answer in answers)


@every_stack
def test_a_refused_head_has_no_body(stack: Stack) -> None:
    """The headers of the refusal are those of a GET, its body is not sent."""
    with stack([], limiters(), OPTIONS) as send:
        for _ in range(3):
            send("/api/open", "HEAD")
        refused = send("/api/open", "HEAD")
    assert (refused.status, refused.body) == (429, b"")
    assert int(refused.all("Content-Length")[0]) > 100


@every_stack
def test_no_spelling_of_a_path_leads_around_a_limit(stack: Stack) -> None:
    """However a path is written, if one reading of it is limited, it counts."""
    with stack([], limiters(), OPTIONS) as send:
        for _ in range(3):
            assert send("/api/open").status == 200
        for path in SPELLINGS:
            assert (path, send(path).status) == (path, 429)


@every_stack
def test_callers_are_told_apart_behind_a_trusted_proxy(stack: Stack) -> None:
    """The test is the proxy: each client that it names has its own count."""
    trusting = ClientIdentity(trusted_proxies=(ip_network("127.0.0.1"),))
    options = RateLimitOptions(rules=OPTIONS.rules, identity=trusting)
    with stack([], limiters(), options) as send:
        for _ in range(3):
            assert send("/api/open", X_Forwarded_For="1.1.1.1, 203.0.113.7").status == 200
        assert send("/api/open", X_Forwarded_For="2.2.2.2, 203.0.113.7").status == 429
        assert send("/api/open", Forwarded="for=203.0.113.7").status == 429
        assert send("/api/open", X_Forwarded_For="203.0.113.8").status == 200
        assert send("/api/open").status == 200


@every_stack
def test_headers_of_strangers_do_not_give_them_a_new_count(stack: Stack) -> None:
    """Without a trusted proxy, nothing that a caller sends makes it another caller."""
    with stack([], limiters(), OPTIONS) as send:
        statuses = [send("/api/open", X_Forwarded_For=f"1.1.1.{n}").status for n in range(4)]
    assert statuses == [200, 200, 200, 429]


@every_stack
def test_without_a_decision_requests_pass(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    """The default: no headers, and one warning however many requests come."""
    with stack([], Limiters(Broken(), AsyncBroken()), OPTIONS) as send:
        answers = [send("/api/open") for _ in range(3)]
    assert {answer.status for answer in answers} == {200}
    assert not any(answer.limits for answer in answers)
    assert len(_about_limits(caplog)) == 1


@every_stack
def test_without_a_decision_requests_can_be_refused(stack: Stack) -> None:
    """The option: 503, and the application is not called."""
    calls: Calls = []
    options = RateLimitOptions(rules=OPTIONS.rules, on_unavailable="refuse")
    with stack(calls, Limiters(Broken(), AsyncBroken()), options) as send:
        refused = send("/api/open")
        assert send("/free").status == 200
    assert refused.status == 503
    assert json.loads(refused.body)["code"] == "SERVICE_UNAVAILABLE"
    assert refused.all("Cache-Control") == ["no-store"]
    assert calls == ["/free"]


@every_stack
def test_every_decision_can_be_heard(stack: Stack) -> None:
    """The hook hears what was allowed and what was refused, and nothing free."""
    heard: list[bool] = []
    options = RateLimitOptions(
        rules=OPTIONS.rules, on_decision=lambda decision: heard.append(decision.allowed)
    )
    with stack([], limiters(), options) as send:
        for path in ("/api/open", "/free", *["/api/open"] * 3):
            send(path)
    assert heard == [True, True, True, False]


def _about_limits(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "examples.rate_limit_rules"]

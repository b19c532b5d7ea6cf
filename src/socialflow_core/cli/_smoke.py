"""What `smoke ratelimit` asks, and what the answers mean; it sends nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from socialflow_core._kit.flow import Flow, Now, Sleep

from ._smoke_contract import Response, as_json, faults_of_headers, faults_of_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "TIERS",
    "Check",
    "Effects",
    "Request",
    "Tier",
    "check",
    "ordinal",
    "until_it_answers",
]

_MICROSECOND = timedelta(microseconds=1)
_PAUSE = timedelta(milliseconds=200)
_LIMITED = 429
_UNAUTHORIZED = 401
_REDIRECT = 3


@dataclass(frozen=True, slots=True)
class Request:
    """Send this; answered with a `Response`."""

    method: str
    path: str
    body: bytes = b""
    token: str = field(default="", repr=False)
    """Sent as a bearer token, if there is one."""


Effects: TypeAlias = Request | Sleep | Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A limit of the system, and a request that counts under it without a token."""

    name: str
    request: Request
    limit: int
    window: timedelta
    before: int | None = None
    """What each request below the limit must be answered with, if that is certain."""


TIERS = (
    Tier(
        name="Auth",
        request=Request(
            "POST", "/api/auth/login", b'{"email":"smoke@example.invalid","password":"wrong"}'
        ),
        limit=10,
        window=timedelta(minutes=15),
    ),
    Tier(
        name="AI",
        request=Request("POST", "/api/ai/analyze-image"),
        limit=30,
        window=timedelta(minutes=1),
        before=_UNAUTHORIZED,
    ),
    Tier(
        name="General",
        request=Request("GET", "/api/health"),
        limit=100,
        window=timedelta(minutes=1),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How one tier did.

    Attributes:
        tier: Which one.
        at: The number of the last request in its window: limit + 1, unless it ended early.
        status: What that was answered with; 0 if the server was not reached.
        faults: What the headers and bodies lack.
        hints: What a failure may mean, and what to do.
    """

    tier: Tier
    at: int
    status: int
    faults: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the tier does what is promised."""
        return self.status == _LIMITED and self.at > self.tier.limit and not self.faults


def until_it_answers(patience: timedelta) -> Flow[Effects, bool]:
    """Ask until the server answers, or *patience* is over; tell whether it did."""
    began = yield Now()
    slept = timedelta()
    while True:
        response = yield Request("GET", "/health")
        # A gateway in front may answer long before what it stands for.
        if response.status not in {0, 502, 504}:
            return True
        now = yield Now()
        # By what was slept as well: the clock may be set back.
        if max((now - began) * _MICROSECOND, slept) >= patience:
            return False
        yield Sleep(_PAUSE)
        slept += _PAUSE


def check(tier: Tier) -> Flow[Effects, Check]:
    """Send requests until one more than the limit was sent in one window, and judge.

    If an older window ends meanwhile, what was counted in it no longer counts; then the
    flow goes on until the new window is over its limit. So it passes at any second.
    """
    faults: list[str] = []
    number = 0
    rolled_over = False
    while True:
        response = yield tier.request
        number += 1
        fresh = response.header("RateLimit-Remaining") == str(tier.limit - 1)
        if fresh and number > 1 and not rolled_over:
            number, rolled_over = 1, True
        unexpected = tier.before not in {None, response.status}
        if number > tier.limit or unexpected or response.status in {0, _LIMITED}:
            break
        faults += faults_of_headers(response, tier.limit, tier.window)
    if response.status == _LIMITED:
        faults += faults_of_refusal(response, tier.limit, tier.window)
    return Check(
        tier=tier,
        at=number,
        status=response.status,
        faults=tuple(dict.fromkeys(faults)),
        hints=tuple(_hints(tier, number, response)),
    )


def ordinal(number: int) -> str:
    """Write a number as a place in a row.

    >>> [ordinal(number) for number in (1, 2, 3, 11, 31, 101, 112)]
    ['1st', '2nd', '3rd', '11th', '31st', '101st', '112th']
    """
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _hints(tier: Tier, number: int, response: Response) -> Iterator[str]:
    if response.status == 0:
        yield (
            f"000: the server was not reached ({response.failure}): start it, or wait for it"
            " with --wait 30s"
        )
    elif response.status == _LIMITED:
        if as_json(response.body) is None:
            yield "a 429 whose body is not JSON comes from a proxy in front, not from the service"
        elif response.header("RateLimit-Limit") != str(tier.limit):
            yield f"the service has another limit: RATE_LIMIT_{tier.name.upper()} is not its default"
        elif number <= tier.limit:
            yield (
                "requests before this run count too, and their window is still open: run it"
                f" again in {response.header('Retry-After') or '?'} s"
            )
    elif response.status // 100 == _REDIRECT:
        yield "the server redirects: give the URL that it leads to"
    else:
        known = (response.status, (tier.name, response.status), tier.name)
        yield from [_HINTS[each] for each in known if each in _HINTS][:1]


_HINTS: dict[object, str] = {
    404: "404: nothing is served there; give the base URL of the service",
    ("Auth", _UNAUTHORIZED): (
        "401 instead of 429: the service was restarted meanwhile, and its counters are the"
        " process's; or several replicas count, each alone"
    ),
    ("AI", _UNAUTHORIZED): (
        "401 on the 31st: the window of 60 s rolled over before all were sent; run it again"
    ),
    "General": (
        "several replicas, each with counters of its own, let through a multiple of the limit:"
        " they need one store (RATE_LIMIT_STORE=redis)"
    ),
}

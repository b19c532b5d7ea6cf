"""What a limited answer must carry, as a list of what it lacks.

The contract stands here a second time on purpose: the check is of what a server sends,
not of what this version would send.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Response", "as_json", "faults_of_headers", "faults_of_refusal"]

_SECOND = 1000  # in milliseconds, as timestamps are
_UNIX_FROM = 1_000_000_000


class Response(NamedTuple):
    """What came back; status 0 if nothing did, *failure* then says why."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    failure: str = ""

    def header(self, name: str) -> str:
        """The header's value, empty if it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def faults_of_headers(response: Response, limit: int, window: timedelta) -> Iterator[str]:
    """What every limited answer must carry, whatever its status."""
    where = f"on a {response.status}"
    for name, expected in (
        ("RateLimit-Limit", str(limit)),
        ("RateLimit-Remaining", "[0-9]{1,15}"),
        ("RateLimit-Reset", "[0-9]{1,15}"),
        ("RateLimit-Policy", f'"[^"]+";q={limit};w={window // timedelta(seconds=1)}'),
        ("RateLimit", '"[^"]+";r=[0-9]+;t=[0-9]+'),
    ):
        yield from _faults_of_header(response, name, expected, where)
    if any(name.lower().startswith("x-ratelimit") for name, _ in response.headers):
        yield f"there are X-RateLimit headers {where}"


def _faults_of_header(
    response: Response, name: str, expected: str, where: str = "on the 429"
) -> Iterator[str]:
    value = response.header(name)
    if not value:
        yield f"{name} is missing {where}"
    elif not re.fullmatch(expected, value):
        yield f"{name} is not what it should be {where}"


def faults_of_refusal(response: Response, limit: int, window: timedelta) -> Iterator[str]:
    """What a 429 must carry."""
    yield from faults_of_headers(response, limit, window)
    for name, expected in (
        ("RateLimit-Remaining", "0"),
        ("Retry-After", "[1-9][0-9]{0,14}"),
        ("Content-Type", "application/json.*"),
        ("Cache-Control", ".*no-store.*"),
    ):
        yield from _faults_of_header(response, name, expected)
    told = as_json(response.body)
    if not isinstance(told, dict):
        yield "the body of the 429 is not a JSON object"
        return
    timestamp = told.get("timestamp")
    promised = {
        "success": False,
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "Too many requests. Please slow down and try again later.",
        "retryAfter": _number(response.header("Retry-After")),
        "timestamp": timestamp,
    }
    # As text: the order of the keys counts, and false is not 0.
    if json.dumps(told) != json.dumps(promised):
        yield "the body of the 429 is not the promised one"
    at = _milliseconds(timestamp)
    if at is None:
        yield "timestamp is not ISO 8601 in UTC with milliseconds"
    else:
        yield from _faults_of_time(at, response)


def as_json(body: bytes) -> object:
    """What *body* says; None if it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None


def _milliseconds(timestamp: object) -> int | None:
    if not re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z", str(timestamp)):
        return None
    try:
        since = datetime.fromisoformat(str(timestamp)) - datetime(1970, 1, 1, tzinfo=UTC)
    except ValueError:
        return None
    return since // timedelta(milliseconds=1)


def _faults_of_time(at: int, response: Response) -> Iterator[str]:
    """RateLimit-Reset and Retry-After name one moment, each rounded up to its second."""
    reset = _number(response.header("RateLimit-Reset"))
    retry = _number(response.header("Retry-After"))
    if reset is None or retry is None:
        return
    # Unix time or seconds from now: no window lasts for thirty years.
    apart = 1000 * (reset - retry) - (at if reset > _UNIX_FROM else 0)
    # One more, for the timestamp has lost up to a millisecond.
    if not -_SECOND < apart < _SECOND + 1:
        yield "RateLimit-Reset and Retry-After are a second or more apart"

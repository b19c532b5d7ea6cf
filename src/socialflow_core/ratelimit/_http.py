"""A decision, as HTTP tells it: headers on every answer, and the answer to a refused hit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from ._interface import Strategy

if TYPE_CHECKING:
    from ._interface import Decision, Limit

__all__ = ["Refusal", "ResetForm", "headers", "refusal"]

ResetForm: TypeAlias = Literal["unix", "delta"]
"""How `RateLimit-Reset` tells the time: seconds since 1970, or seconds from now."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
# The largest integer of a structured field (RFC 9651, 3.3.1).
_MOST = 999_999_999_999_999


@dataclass(frozen=True, slots=True)
class Refusal:
    """The whole answer to a refused hit, for any framework to send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def headers(decision: Decision, *, reset: ResetForm = "unix") -> list[tuple[str, str]]:
    """The headers that tell a caller where it stands; on refusal also when to come back.

    `RateLimit-Limit`, `-Remaining` and `-Reset` tell of the limit that decided, and so does
    `RateLimit`; `RateLimit-Policy` lists every limit that was judged. The last two follow
    draft-ietf-httpapi-ratelimit-headers-10. Times are rounded up: never early, less
    than a second late. On refusal all of them name the moment of `Retry-After`; only
    the `-Reset` of a token bucket goes on to name the moment when it is full again.

    Raises:
        ValueError: If *reset* is not "unix" or "delta".

    >>> from socialflow_core.ratelimit import Decision, Limit, Rate
    >>> limit = Limit("search", Rate.parse("100/minute"))
    >>> decision = Decision(True, limit, 99, 1_800_000_000_000_000, 60_000_000, 0, "memory")
    >>> for name, value in headers(decision):
    ...     print(f"{name}: {value}")
    RateLimit-Limit: 100
    RateLimit-Remaining: 99
    RateLimit-Reset: 1800000060
    RateLimit-Policy: "search";q=100;w=60
    RateLimit: "search";r=99;t=60
    """
    if reset not in get_args(ResetForm):
        raise ValueError('reset must be "unix" or "delta"')
    limit = decision.decided_by
    wait = _wait_us(decision)
    bucket = limit.strategy is Strategy.TOKEN_BUCKET
    until = (decision.reset_us if bucket else wait) + (decision.now_us if reset == "unix" else 0)
    told = [
        ("RateLimit-Limit", str(decision.limit)),
        ("RateLimit-Remaining", str(decision.remaining)),
        ("RateLimit-Reset", str(_seconds(until))),
        ("RateLimit-Policy", ", ".join(_policy(each.decided_by) for each in decision.each)),
        ("RateLimit", f'"{limit.name}";r={min(decision.remaining, _MOST)};t={_seconds(wait)}'),
    ]
    if not decision.allowed:
        told.append(("Retry-After", str(_seconds(wait))))
    return told


def refusal(decision: Decision, *, reset: ResetForm = "unix") -> Refusal:
    """The answer 429 to a refused hit: `headers`, and a JSON body that says the same.

    Raises:
        ValueError: If *decision* allowed the hit, or *reset* is not "unix" or "delta".
    """
    if decision.allowed:
        raise ValueError("the hit was allowed: there is nothing to refuse")
    at = _EPOCH + timedelta(microseconds=decision.now_us)
    told = {
        "success": False,
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "Too many requests. Please slow down and try again later.",
        "retryAfter": _seconds(_wait_us(decision)),
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    body = json.dumps(told, separators=(",", ":")).encode()
    about = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        # A cache would answer others with it, and this caller beyond its time.
        ("Cache-Control", "no-store"),
    )
    return Refusal(429, (*about, *headers(decision, reset=reset)), body)


def _wait_us(decision: Decision) -> int:
    """What the caller waits for: its next hit if this one was refused, else a fresh start."""
    # Zero after a refusal would invite to hammer a limiter that is closed for its store.
    return decision.reset_us if decision.allowed else max(decision.retry_us, 1)


# A service has a handful of limits, and tells of them in every answer.
@lru_cache(maxsize=256)
def _policy(limit: Limit) -> str:
    # A window is at least one whole second there.
    return f'"{limit.name}";q={min(limit.rate.limit, _MOST)};w={_seconds(limit.rate.per_us)}'


def _seconds(microseconds: int) -> int:
    return -(-microseconds // _SECOND)

"""What the ASGI and the WSGI middleware decide alike: which limits, whose, what to answer.

To take a middleware along, copy its file and this one.

>>> from socialflow_core.ratelimit import Limit, Rate
>>> login = Limit("login", Rate.parse("10/15m"))
>>> options = RateLimitOptions(rules=(Rule("/login", (login,), methods=("POST",)),))
>>> options.limits("POST", "//Login/") == (login,), options.limits("GET", "/login")
(True, ())
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, AnyStr, Literal
from urllib.parse import unquote

from socialflow_core.ratelimit import ClientIdentity, Refusal, ResetForm, headers, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from socialflow_core.ratelimit import Decision, Limit, UnavailableError

__all__ = ["Outage", "RateLimitOptions", "Rule", "merged"]

_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Rule:
    """*limits* for *path* and everything below it; without limits it is an exception.

    A path is compared without case, and as whole segments: "/api" does not cover
    "/apiary". A rule for GET covers HEAD, which frameworks answer with the same function.
    """

    path: str
    limits: tuple[Limit, ...] = ()
    methods: Sequence[str] = field(default=(), kw_only=True)
    """Upper-case methods that it is for; none means all."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError("path must begin with /")
        if isinstance(self.methods, str) or any(not name.isupper() for name in self.methods):
            raise ValueError("methods must be a sequence of upper-case names")
        if len(set(self.limits)) < len(self.limits):
            raise ValueError("limits must be different ones")
        object.__setattr__(self, "path", _resolved(self.path.casefold()))

    def covers(self, method: str, readings: tuple[str, ...]) -> bool:
        """Whether it is for a request, however its path may be read.

        To be limited, one reading suffices; to be excepted, it takes all of them.
        """
        name = method.upper()
        names = {"GET", "HEAD"} if name == "HEAD" else {name}
        if self.methods and names.isdisjoint(self.methods):
            return False
        below = f"{self.path.rstrip('/')}/"
        found = [f"{reading}/".startswith(below) for reading in readings]
        return any(found) if self.limits else all(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitOptions:
    """How a middleware limits.

    Attributes:
        rules: The first that covers a request decides; a request that none covers is free.
        identity: How callers are told apart. Nobody has proved to be a user yet: the
            limits stand before authentication.
        reset: The form of `RateLimit-Reset`.
        on_unavailable: Whether to let a request pass, without headers, or to refuse it
            with 503, when the limiter raises UnavailableError. The embedded limiter
            never does; an adapter without a fallback may.
        on_decision: Hears every decision, to count them. It must not raise.
    """

    rules: tuple[Rule, ...]
    identity: ClientIdentity = field(default_factory=ClientIdentity)
    reset: ResetForm = "unix"
    on_unavailable: Literal["allow", "refuse"] = "allow"
    on_decision: Callable[[Decision], object] | None = None

    def limits(self, method: str, path: str) -> tuple[Limit, ...]:
        """The limits that a request counts under: those of one rule, or none.

        *path* is as the application routes it: decoded, without the prefix it is mounted at.
        """
        readings = _readings(path)
        covering = (rule.limits for rule in self.rules if rule.covers(method, readings))
        return next(covering, ())

    def answer(self, decision: Decision) -> Refusal | list[tuple[str, str]]:
        """The refusal to send, or the headers to add to what the application answers."""
        if self.on_decision:
            self.on_decision(decision)
        if decision.allowed:
            return headers(decision, reset=self.reset)
        return refusal(decision, reset=self.reset)

    def answer_unavailable(self) -> Refusal | list[tuple[str, str]]:
        """The same when there is no decision."""
        return [] if self.on_unavailable == "allow" else _UNAVAILABLE


class Outage:
    """Logs when the limiter is lost and when it is back, not every request between."""

    def __init__(self) -> None:
        self._lost = False
        self._log = logging.getLogger(__name__)

    def begins(self, error: UnavailableError, on_unavailable: str) -> None:
        """Hear of a decision that could not be had, and what is done without it."""
        if not self._lost:
            self._lost = True
            self._log.warning("%s; until it is back, requests are: %s", error, on_unavailable)

    def ends(self) -> None:
        """Hear of a decision."""
        if self._lost:
            self._lost = False
            self._log.warning("rate limits are back")


def merged(
    status: int, theirs: Iterable[tuple[AnyStr, AnyStr]], ours: Sequence[tuple[AnyStr, AnyStr]]
) -> list[tuple[AnyStr, AnyStr]]:
    """The application's headers with *ours*, none twice.

    Ours replace the application's, for they are about the limit that is nearer to the
    caller; but a 429 of its own keeps its set, or its Retry-After would lose its meaning.
    """
    names = {name.lower() for name, _ in ours}
    everything = list(theirs)
    kept = [pair for pair in everything if pair[0].lower() not in names]
    if status == _TOO_MANY_REQUESTS and len(kept) < len(everything):
        return everything
    return kept + list(ours)


def _unavailable() -> Refusal:
    told = {
        "success": False,
        "code": "SERVICE_UNAVAILABLE",
        "message": "The service cannot take requests at the moment. Please try again later.",
    }
    body = json.dumps(told, separators=(",", ":")).encode()
    about = ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
    return Refusal(503, (*about, ("Cache-Control", "no-store")), body)


_UNAVAILABLE = _unavailable()

# What a path must hold to be read in more than one way.
_AMBIGUOUS = re.compile(r"//|/\.|[%\\]|^[^/]")
_ORIGIN = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*")


def _readings(path: str) -> tuple[str, ...]:
    """*path* as frameworks compare it, and as something behind might resolve it.

    Frameworks and servers differ in what they do with `//`, `..`, an absolute target and a
    second layer of percent-encoding. A rule is no rule if one of them leads around it.
    """
    plain = path.casefold()
    if not _AMBIGUOUS.search(plain):
        return (plain,)
    return plain, _resolved(plain), _resolved(unquote(plain).casefold())


def _resolved(path: str) -> str:
    kept: list[str] = []
    for segment in _ORIGIN.sub("", path).replace("\\", "/").split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept)

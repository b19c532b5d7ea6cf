"""What an endpoint is asked, what it answers, and how it reaches what it needs.

An endpoint is a flow: it yields what it wants done, and the server that it runs under does
that, on its event loop or in its thread. So it is written once for both.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from examples.bearer_rules import cookie_of
from socialflow_core._kit.flow import Call, Flow, arun, run

__all__ = [
    "Call",
    "Endpoint",
    "Request",
    "Response",
    "Route",
    "Steps",
    "Work",
    "acarried_out",
    "carried_out",
    "failure",
    "in_json",
]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as far as the endpoints care; names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def bearer(self) -> str:
        """The bearer token, empty if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def cookie(self, name: str) -> str:
        """The value of a cookie, empty if there is none."""
        return cookie_of(self.headers.get("cookie", ""), name) or ""

    @property
    def is_json(self) -> bool:
        """Whether the body says that it is JSON; without a body, whether it says nothing else.

        A form of another site can send JSON, or nothing, but never without saying otherwise.
        """
        kind, _, _ = self.headers.get("content-type", "").partition(";")
        kind = kind.strip().lower()
        return kind == "application/json" or not (kind or self.body)

    @property
    def told(self) -> dict[str, object]:
        """What the body says, if that is a JSON object; else nothing."""
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}


class Response(NamedTuple):
    """An answer to send."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Work(Generic[ResultT]):
    """Do something that takes a processor for a while; answered with what it returns."""

    function: Callable[[], ResultT]


Steps: TypeAlias = Flow[Call[Any] | Work[Any], Response]
Endpoint: TypeAlias = Callable[[Request], Steps]


class Route(NamedTuple):
    """Where an endpoint is found."""

    method: str
    path: str
    endpoint: Endpoint


def carried_out(steps: Steps) -> Response:
    """The answer, in this thread."""
    return run(steps, lambda effect: effect.function())


async def acarried_out(steps: Steps) -> Response:
    """The answer, on this event loop; work goes to a thread."""

    async def perform(effect: Call[Any] | Work[Any]) -> object:
        if isinstance(effect, Work):
            return await asyncio.to_thread(effect.function)
        answer = effect.function()
        return await answer if inspect.isawaitable(answer) else answer

    return await arun(steps, perform)


def in_json(told: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer in JSON."""
    body = json.dumps(told, separators=(",", ":")).encode()
    return Response(status, body, (("Content-Type", "application/json"), *headers))


def failure(status: int, message: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer that says what is wrong, in the one form that all failures have."""
    known = HTTPStatus(status)
    told = {"success": False, "code": known.name, "message": message or f"{known.phrase}."}
    return in_json(told, status, headers)

"""HTTP messages as values, and the bytes under which a response is kept."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from ._dates import parse_http_date
from ._interface import Codec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

__all__ = ["RESPONSE", "CacheRequest", "Headers", "StoredResponse", "field_values", "listed"]

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in the order in which they came; names are compared without case."""

# The number is the version of the form.
_MAGIC = b"http1 "
# What is for one connection only, and what is between a client and a proxy; RFC 9110, 7.6.1,
# and RFC 9111, 3.1. A kept response has no trailer, so it announces none.
_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization"),
    }
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00\r\n\u0100-\U0010ffff]*")
_STATUSES = frozenset({0, *range(200, 600)})  # 0: of a response that stands for none
_MOST_SECONDS = 2**31
_DIGITS = 19


def field_values(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    """The value of every line of that name."""
    wanted = name.lower()
    return [value for each, value in headers if each.lower() == wanted]


def listed(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    """The members of a field that is a plain list of tokens, as RFC 9110, 5.6.1 joins them."""
    joined = ",".join(field_values(headers, name))
    return [each.strip() for each in joined.split(",") if each.strip()]


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """What a cache looks at in a request.

    Attributes:
        method: In upper case.
        target: What is asked for, wherever it is mounted: scheme, host, path and query.
        headers: Its fields.
        raw_path: The path as it was sent, before it was decoded, where that is known:
            `/a%2Fb` is not `/a/b`.
        is_authenticated: Whether somebody before the cache found out who asks, by
            `Authorization` or otherwise (a client's certificate, a server's own log-in).
    """

    method: str
    target: tuple[str, str, str, str]
    headers: Headers = ()
    raw_path: str = ""
    is_authenticated: bool = False


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A whole response.

    Attributes:
        status: Its code.
        headers: Its fields; several lines of one name stay several.
        body: Its content, encoded as the headers say.
    """

    status: int
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)

    def received(self, now: datetime) -> StoredResponse:
        """It as a cache keeps what came *now*, a moment that knows its time zone.

        Without the fields that are for one connection only (RFC 9110, 7.6.1), and with an
        `Age` that is no less than the time since its `Date` (RFC 9111, 4.2.3).
        """
        named = {each.lower() for each in listed(self.headers, "connection")}
        dropped = _HOP_BY_HOP | named
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in dropped)
        date = field_values(kept, "date")
        sent = parse_http_date(date[0]) if date else None
        apparent = (now - sent) // timedelta(seconds=1) if sent else 0
        if apparent > self.age:
            kept = (*(pair for pair in kept if pair[0].lower() != "age"), ("Age", str(apparent)))
        return StoredResponse(self.status, kept, self.body)

    @property
    def age(self) -> int:
        """Its `Age` in seconds; zero if it says none."""
        told = field_values(self.headers, "age")
        if not told or not (told[0].isascii() and told[0].isdigit()):
            return 0
        return min(int(told[0][:12]), _MOST_SECONDS)

    @property
    def content_length(self) -> int | None:
        """Its `Content-Length`; None if it says none, -1 if that makes no sense."""
        told = {each.strip() for each in field_values(self.headers, "content-length")}
        if not told:
            return None
        text = told.pop()
        # Several may say the same (RFC 9110, 8.6); nothing is so long that it has more digits.
        is_number = not told and text.isascii() and text.isdigit() and len(text) < _DIGITS
        return int(text) if is_number else -1

    def to_bytes(self) -> bytes:
        """Its bytes: the same for the same response, in every process and version of Python.

        Raises:
            ValueError: If it could not be sent: its status is not a final one, or a field's
                name or value has characters that none may have.
        """
        self._check()
        head = json.dumps([self.status, self.headers], separators=(",", ":"))
        return b"%b%b\n%b" % (_MAGIC, head.encode("ascii"), self.body)

    @classmethod
    def from_bytes(cls, data: bytes) -> StoredResponse:
        """The response of these bytes.

        Raises:
            ValueError: If they are those of none.
        """
        # JSON writes a line break inside of a text as two characters, so the first one ends it.
        head, found, body = data.partition(b"\n")
        if not found or not head.startswith(_MAGIC):
            raise ValueError("not the bytes of a response")
        try:
            status, headers = json.loads(head[len(_MAGIC) :])
            pairs = tuple((name, value) for name, value in headers)
        except (TypeError, RecursionError) as error:
            raise ValueError("not the bytes of a response") from error
        if type(status) is not int or any(type(text) is not str for each in pairs for text in each):
            raise ValueError("not the bytes of a response")
        response = cls(status, pairs, body)
        response._check()
        return response

    def _check(self) -> None:
        # Who reads bytes from a store does not know who wrote them: a line break in a value
        # would begin a field, or a response, of its own.
        if self.status not in _STATUSES:
            raise ValueError("not the status of a response")
        if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(text) for name, text in self.headers):
            raise ValueError("not the fields of a response")


RESPONSE: Final[Codec[StoredResponse]] = Codec(
    "http1", StoredResponse.to_bytes, StoredResponse.from_bytes, immutable=True, weight=2
)
"""Keeps responses in any cache."""

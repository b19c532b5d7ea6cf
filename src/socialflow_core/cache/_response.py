"""HTTP messages as values, and the bytes under which a response is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from ._interface import Codec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RESPONSE", "CacheRequest", "Headers", "StoredResponse", "field_values", "listed"]

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in the order in which they came; names are compared without case."""

# The number is the version of the form.
_MAGIC = b"http1 "


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
    """

    method: str
    target: tuple[str, ...]
    headers: Headers = ()


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

    def to_bytes(self) -> bytes:
        """Its bytes: the same for the same response, in every process and version of Python."""
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
        return cls(status, pairs, body)


RESPONSE: Final[Codec[StoredResponse]] = Codec(
    "http1", StoredResponse.to_bytes, StoredResponse.from_bytes, immutable=True, weight=2
)
"""Keeps responses in any cache."""

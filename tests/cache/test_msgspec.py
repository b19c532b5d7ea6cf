"""Typed values: they come back as their type, or count as missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict
from uuid import UUID

import msgspec
import pytest

from socialflow_core.cache.memory import MemoryCache
from socialflow_core.cache.msgspec import is_immutable, json_codec, msgpack_codec

if TYPE_CHECKING:
    from socialflow_core.cache import Codec

_HOUR = timedelta(hours=1)


class Colour(Enum):
    """One of a few."""

    RED = "red"


class Profile(msgspec.Struct, frozen=True):
    """Does not change."""

    name: str
    tags: tuple[str, ...]
    friend: Profile | None = None


class Open(msgspec.Struct):
    """Changes."""

    name: str


@dataclass(frozen=True)
class Point:
    """Does not change."""

    x: int
    when: datetime


@dataclass(frozen=True)
class Box:
    """Frozen, but what it holds is not."""

    items: list[int]


@dataclass
class Loose:
    """Changes."""

    x: int


class Row(TypedDict):
    """A dict."""

    x: int


@pytest.mark.parametrize(
    "type_",
    [
        *(int, str, bytes, bool, float, None, UUID, datetime, timedelta, Colour, Profile, Point),
        *(tuple[int, ...], frozenset[str], str | None, Literal["a"], Annotated[int, "x"]),
    ],
)
def test_what_cannot_change(type_: Any) -> None:
    """May be shared."""
    assert is_immutable(type(None) if type_ is None else type_)


@pytest.mark.parametrize(
    "type_",
    [Any, dict, list[int], tuple[list[int]], Open, Box, Loose, Row, Open | None, "Profile"],
)
def test_what_can_change(type_: Any) -> None:
    """May not, nor what nobody knows."""
    assert not is_immutable(type_)


@pytest.mark.parametrize("make", [json_codec, msgpack_codec])
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Profile, Profile("ann", ("a",), Profile("bob", ()))),
        (Open, Open("ann")),
        (Box, Box([1])),
        (list[tuple[int, str]], [(1, "a")]),
    ],
)
def test_a_value_comes_back_as_its_type(make: Any, type_: Any, value: object) -> None:
    """From the cache as from the function."""
    cache, codec = MemoryCache(), make(type_)
    values = iter([value])
    for _ in range(4):
        found = cache.get_or_compute("a", lambda: next(values), ttl=_HOUR, codec=codec)
        assert (found, type(found)) == (value, type(value))
    assert codec.immutable is is_immutable(type_)


def test_a_value_of_another_type_is_a_miss() -> None:
    """It is computed anew, and nobody sees an error."""
    cache = MemoryCache()
    old: Codec[Any] = json_codec(Open)
    new: Codec[Any] = json_codec(Point)
    cache.get_or_compute("a", lambda: Open("ann"), ttl=_HOUR, codec=old)
    point = Point(1, datetime(2026, 1, 1))  # noqa: DTZ001 -- any will do
    for source in ("computed", "memory"):
        cached = cache.lookup("a", lambda: point, ttl=_HOUR, codec=new)
        assert (cached.value, cached.source) == (point, source)

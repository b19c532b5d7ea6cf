"""JSON as a token may hold it: what two readers could read differently is refused.

That is I-JSON (RFC 7493): no member twice, no NaN or Infinity, no number beyond the exact
integers of a double, no half of a surrogate pair. And it is bounded: in depth and in the
number of its values. (Its bytes are bounded by whoever reads the token.)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._interface import Json

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "MAX_VALUES", "Frozen", "freeze", "parse", "write"]

MAX_DEPTH = 8
MAX_INTEGER = 2**53 - 1
MAX_VALUES = 4096

_SURROGATE = re.compile("[\ud800-\udfff]")


class Frozen(Mapping[str, "Json"]):
    """A mapping that does not change, is hashed and pickled, and equals a dict of the same.

    `types.MappingProxyType` can be neither hashed nor pickled.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Json]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str, /) -> Json:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(
        self,
    ) -> tuple[Callable[[Mapping[str, Json]], Frozen], tuple[Mapping[str, Json]]]:
        return Frozen, (self._items,)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse(_: str) -> None:
    raise ValueError("not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)


def parse(text: bytes) -> dict[str, Any] | None:
    """The object that *text* holds; None if it holds none, or one that is refused.

    It answers None and raises nothing, for the errors of the parser hold the text. Numbers
    and strings are judged by `freeze`.
    """
    try:
        value = _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def freeze(members: object) -> Frozen:
    """The same members, unchangeable: lists become tuples, mappings `Frozen`.

    Raises:
        ValueError: If it is no JSON object, or beyond a bound; what it holds is not told.
    """
    if not isinstance(members, Mapping):
        raise ValueError("a mapping is needed")  # noqa: TRY004 -- as all of bad JSON
    return _Freezer().freeze_object(members, MAX_DEPTH)


class _Freezer:
    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def freeze(self, value: object, depth: int) -> Json:
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {MAX_VALUES} values")
        if value is None or isinstance(value, bool | int | float | str):
            return _scalar(value)
        if depth < 1:
            raise ValueError(f"deeper than {MAX_DEPTH} levels")
        if isinstance(value, list | tuple):
            return tuple([self.freeze(each, depth - 1) for each in value])
        if isinstance(value, Mapping):
            return self.freeze_object(value, depth)
        raise ValueError(f"a {type(value).__name__} is no JSON")

    def freeze_object(self, members: Mapping[Any, Any], depth: int) -> Frozen:
        return Frozen({_name(k): self.freeze(v, depth - 1) for k, v in members.items()})


def _scalar(value: bool | float | str | None) -> Json:  # noqa: FBT001 -- any JSON scalar
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that JSON has not")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError("an integer that a double cannot hold")
    return value


def _text(value: str) -> str:
    if _SURROGATE.search(value):
        raise ValueError("half a surrogate pair")
    return value


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"a name is a str, not a {type(name).__name__}")  # noqa: TRY004 -- as all of bad JSON
    return _text(name)


def write(value: Mapping[str, Any]) -> bytes:
    """The shortest text of what `freeze` let pass."""
    text = json.dumps(
        value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=dict
    )
    return text.encode("utf-8")

"""Keys made of parts, so that no two lists of parts ever share an entry."""

from __future__ import annotations

import hashlib
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Part", "digest_of", "key_of", "name_of"]

Part: TypeAlias = object
"""None, bool, int, float, str, bytes, UUID, Decimal, date, datetime, time, timedelta, an Enum's
member, or a tuple or list of these."""

# Long enough for addresses and UUIDs to stay readable in a store.
_MOST_KEY = 200


def key_of(*parts: Part, version: int = 0) -> str:
    """Build a key from *parts* such as `"profile", user_id`.

    Different parts give different keys, also if they only differ in type: 1, True and "1"
    do. Lists and tuples of the same parts are the same. What is stored under a key changes its
    form with the code that computes it: count *version* up then, and old entries are no longer
    found. A key that gets longer than 200 characters is its SHA-256 digest instead.

    Raises:
        ValueError: If there are no parts, or a float is not finite.
        TypeError: If a part is of another type: it has no text that is always the same.

    >>> key_of("profile", 42)
    'v0,s7:profile,i2:42'
    >>> key_of("a", "b,s1:c") == key_of("a", "b", "c")
    False
    """
    if not parts:
        raise ValueError("a key needs at least one part")
    return name_of(f"v{version},{_joined(parts)}")


def name_of(text: str) -> str:
    """*text* if a store can take it as it is, else its digest.

    >>> name_of("profile"), len(name_of("x" * 1000))
    ('profile', 71)
    """
    if len(text) <= _MOST_KEY and text.isascii() and text.isprintable() and text[:7] != "sha256-":
        return text
    # Lone surrogates have no UTF-8, but a path or header may bring them.
    return f"sha256-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def digest_of(tags: tuple[str, ...]) -> str:
    """A short text that tells one set of tags from another."""
    if not tags:
        return "0"
    joined = _joined(tags).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:16]


def _joined(parts: tuple[Part, ...] | list[Part]) -> str:
    written = []
    for part in parts:
        kind, text = _written(part)
        # The length says where the part ends.
        written.append(f"{kind}{len(text)}:{text}")
    return ",".join(written)


def _written(part: Part) -> tuple[str, str]:
    for kind, types, write in _FORMS:
        if isinstance(part, types):
            return kind, write(part)
    raise TypeError(f"a {type(part).__name__} has no text that is always the same")


def _member(part: Enum) -> str:
    # Flags that are joined, or unknown, may have no name.
    told = part.value if isinstance(part, Flag) else part.name
    return f"{type(part).__module__}.{type(part).__qualname__}.{told}"


def _time(part: time) -> str:
    # A zone's offset depends on the day, so a time alone does not tell it.
    return f"{part.isoformat()} {part.fold} {part.tzinfo or ''}"


def _finite(part: float) -> str:
    if not math.isfinite(part):
        raise ValueError("a part of a key is finite")
    return repr(float(part))


_US = timedelta(microseconds=1)
# The first that fits: an Enum's member may be a str too, a bool is an int, a datetime a date.
_FORMS: Final[tuple[tuple[str, type | tuple[type, ...], Callable[[Any], str]], ...]] = (
    ("E", Enum, _member),
    ("s", str, str.__str__),
    ("b", bool, lambda part: str(int(part))),
    ("i", int, lambda part: str(int(part))),
    ("n", type(None), lambda _: ""),
    ("x", bytes, bytes.hex),
    ("f", float, _finite),
    ("u", UUID, lambda part: part.hex),
    ("d", Decimal, str),
    ("D", datetime, lambda part: part.isoformat()),
    ("t", date, lambda part: part.isoformat()),
    ("h", time, _time),
    ("T", timedelta, lambda part: str(part // _US)),
    ("l", (tuple, list), lambda part: _joined(part)),  # noqa: PLW0108 -- defined below
)

"""`Cache-Control`, read and written (RFC 9111, section 5.2).

Reading never fails: what makes no sense is left out, and a number that makes none is zero,
which means stale (RFC 9111, 4.2.1: a cache is encouraged to consider such responses stale).
So is one that something other than a comma follows; what forbids counts there as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CacheControl"]

# token [ "=" ( token / quoted-string ) ], between commas; RFC 9110, 5.6.
_DIRECTIVE = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?([^,]*)(?:,|$)"""
)
_WORD = re.compile(r"[0-9A-Za-z_-]+")
# RFC 9111, 1.2.2: what is larger counts as this.
_MOST = 2**31
_MOST_TEXT = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheControl:
    """The directives of one message; durations in whole seconds, None where there is none.

    `private="..."` and `no-cache="..."` count as if they named no field, as RFC 9111,
    5.2.2.4 and 5.2.2.7, allow. A directive that comes twice counts with its smallest number
    (`min-fresh`: its largest, for it is the stricter). Unknown ones are not kept. More than
    8,192 characters count as `no-store`.

    >>> CacheControl.parse(["max-age=60, private", "S-MaxAge=x"])
    CacheControl(max_age=60, s_maxage=0, private=True)
    >>> str(CacheControl(public=True, max_age=60))
    'max-age=60, public'

    Raises:
        ValueError: If a number is negative.
    """

    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    max_stale: int | None = None
    min_fresh: int | None = None
    no_store: bool = False
    no_cache: bool = False
    private: bool = False
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    no_transform: bool = False
    immutable: bool = False
    only_if_cached: bool = False

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative")

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self._said())
        return f"CacheControl({said})"

    def __str__(self) -> str:
        return ", ".join(
            _name(name) if value is True else f"{_name(name)}={value}"
            for name, value in self._said()
        )

    def _said(self) -> Iterable[tuple[str, int]]:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value is not False:
                yield each.name, value

    @classmethod
    def parse(cls, values: Iterable[str]) -> CacheControl:
        """Read the values of all `Cache-Control` lines of one message."""
        lines = list(values)
        if sum(map(len, lines)) > _MOST_TEXT:
            return cls(no_store=True)  # nobody means that, and reading it would take long
        said: dict[str, int | bool] = {}
        for name, value in _directives(lines):
            if name in _FLAGS:
                said[name] = True
            elif name in _NUMBERS:
                number = _seconds(name, value)
                if name in said:
                    number = (max if name == "min_fresh" else min)(number, said[name])
                said[name] = number
        return cls(**said)  # type: ignore[arg-type]  # -- the names are those of the fields


_FLAGS = frozenset(each.name for each in fields(CacheControl) if each.type == "bool")
_NUMBERS = frozenset(each.name for each in fields(CacheControl)) - _FLAGS
_PROHIBITIONS = frozenset(
    {"no_store", "no_cache", "private", "must_revalidate", "proxy_revalidate"}
)


def _directives(values: Iterable[str]) -> Iterable[tuple[str, str | None]]:
    for line in values:
        at = 0
        while at < len(line):
            found = _DIRECTIVE.match(line, at)
            if found is None:  # nothing that could be a directive up to the next comma
                end = (line.find(",", at) + 1) or len(line)
                yield from _forbidden(line[at:end])
                at = end
                continue
            quoted, plain, rest = found[2], found[3], found[4]
            name, value = _field(found[1]), quoted if quoted is not None else plain
            if rest.strip():  # a comma that was forgotten, or worse
                yield from _forbidden(rest)
            if name in _NUMBERS and (rest.strip() or not (value or "0").isdigit()):
                yield from _forbidden(value or "")
                value = ""
            yield name, value
            at = found.end()


def _forbidden(text: str) -> Iterable[tuple[str, None]]:
    """What text that is no directive would forbid if it were one."""
    for word in _WORD.findall(text):
        if _field(word) in _PROHIBITIONS:
            yield _field(word), None


def _field(directive: str) -> str:
    return directive.lower().replace("-", "_")


def _name(field: str) -> str:
    return field.replace("_", "-")


def _seconds(name: str, value: str | None) -> int:
    if value is None and name == "max_stale":
        return _MOST  # RFC 9111, 5.2.1.2: without a number, however stale
    if value is None or not (value.isascii() and value.isdigit()):
        return 0
    # More digits than that are more than _MOST, and Python refuses to read very many.
    return min(int(value), _MOST) if len(value) < 20 else _MOST  # noqa: PLR2004 -- see above

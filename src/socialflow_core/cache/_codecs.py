"""Codecs that need nothing but Python; those of msgspec are in the adapter of that name."""

from __future__ import annotations

import json
from typing import Any, Final

from ._interface import Codec

__all__ = ["BYTES", "JSON", "TEXT"]


def _bytes(value: bytes) -> bytes:
    if type(value) is not bytes:
        raise TypeError("this codec takes bytes")
    return value


def _same(data: bytes) -> bytes:
    return data


def _text(value: str) -> bytes:
    if type(value) is not str:
        raise TypeError("this codec takes a str")
    return value.encode("utf-8")


def _untext(data: bytes) -> str:
    return data.decode("utf-8")


def _json(value: Any) -> bytes:
    _check(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")


def _check(value: Any) -> None:
    """Refuse what would come back as something else: tuples, keys that are numbers, subclasses."""
    kind = type(value)
    if kind is dict:
        for name, inner in value.items():
            if type(name) is not str:
                raise TypeError("the names of a JSON object are str")
            _check(inner)
    elif kind is list:
        for inner in value:
            _check(inner)
    elif kind not in _SCALARS:
        raise TypeError(f"JSON holds no {kind.__name__}")


_SCALARS = frozenset({str, int, float, bool, type(None)})

BYTES: Final[Codec[bytes]] = Codec("bytes", _bytes, _same, immutable=True, weight=0)
"""bytes as they are."""

TEXT: Final[Codec[str]] = Codec("text", _text, _untext, immutable=True, weight=4)
"""str as UTF-8."""

JSON: Final[Codec[Any]] = Codec("json", _json, json.loads)
"""Exactly what JSON holds: dict with str names, list, str, int, float, bool, None."""

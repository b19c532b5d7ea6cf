"""Typed codecs: values become JSON or MessagePack and come back as the type that was asked for.

Extra `[cache]`.

>>> from socialflow_core.cache.msgspec import json_codec
>>> codec = json_codec(dict[str, int])
>>> codec.decode(codec.encode({"likes": 3}))
{'likes': 3}
"""

from __future__ import annotations

import dataclasses
import types
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from socialflow_core._kit.errors import requires_extra

from ._interface import Codec

with requires_extra("cache"):
    import msgspec

__all__ = ["is_immutable", "json_codec", "msgpack_codec"]

ValueT = TypeVar("ValueT")

_CONSTANT = frozenset(
    {
        *(str, bytes, bool, int, float, type(None), Decimal, UUID),
        *(date, datetime, time, timedelta),
    }
)


def json_codec(type_: type[ValueT]) -> Codec[ValueT]:
    """Values of *type_* as JSON: a msgspec Struct, a dataclass, a TypedDict, list[int], ...

    What is stored and no longer fits *type_* counts as missing.
    """
    encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(type_)
    return Codec("json", encoder.encode, decoder.decode, immutable=is_immutable(type_))


def msgpack_codec(type_: type[ValueT]) -> Codec[ValueT]:
    """The same as MessagePack: smaller, quicker, and not for the eye."""
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(type_)
    return Codec("msgpack", encoder.encode, decoder.decode, immutable=is_immutable(type_))


def is_immutable(type_: Any) -> bool:
    """Whether values of *type_* can be shared by all who ask for them.

    Of a Struct or a dataclass that has to be said with `frozen`, and all fields have to be so too.

    >>> is_immutable(tuple[int, ...]), is_immutable(list[int]), is_immutable(str | None)
    (True, False, True)
    """
    return _is_immutable(type_, ())


def _is_immutable(type_: Any, above: tuple[Any, ...]) -> bool:
    if type_ in above or type_ in _CONSTANT:
        return True  # of a type that holds itself the rest decides
    origin = typing.get_origin(type_)
    if origin is typing.Literal or (isinstance(type_, type) and issubclass(type_, Enum)):
        return True
    parts = typing.get_args(type_) if origin in _MADE_OF_PARTS else _fields(type_)
    if origin is typing.Annotated:
        parts = typing.get_args(type_)[:1]
    return parts is not None and all(
        part is Ellipsis or _is_immutable(part, (*above, type_)) for part in parts
    )


_MADE_OF_PARTS = frozenset({tuple, frozenset, typing.Union, types.UnionType})


def _fields(type_: Any) -> tuple[Any, ...] | None:
    """The types of the fields of a frozen Struct or dataclass; None if it is neither."""
    if not isinstance(type_, type):
        return None
    if issubclass(type_, msgspec.Struct) and type_.__struct_config__.frozen:
        return tuple(field.type for field in msgspec.structs.fields(type_))
    if dataclasses.is_dataclass(type_):
        options = type_.__dataclass_params__  # type: ignore[attr-defined]  # -- typeshed has none
        if options.frozen:
            return tuple(typing.get_type_hints(type_, include_extras=True).values())
    return None

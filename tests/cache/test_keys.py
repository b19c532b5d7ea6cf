"""Keys, codecs and entries: what goes in comes out, and nothing else does."""

from __future__ import annotations

import json
import math
import re
import zlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntFlag, StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.cache import BYTES, JSON, TEXT, TTLS, Codec, Entry, Kind, key_of
from socialflow_core.cache._entry import pack, unpack
from socialflow_core.cache._keys import digest_of, name_of

PARTS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
)
NESTED = st.recursive(PARTS, lambda part: st.lists(part, max_size=3).map(tuple), max_leaves=5)
LISTS = st.lists(NESTED, min_size=1, max_size=4)


class Colour(StrEnum):
    """A member is a text, too."""

    RED = "red"


class Right(IntFlag):
    """Members that are joined, or that others have given, have no name."""

    READ = 1
    WRITE = 2


def test_flags_and_zones_are_told_apart() -> None:
    """Also where neither their names nor their offsets do it."""
    noon, berlin, tokyo = (
        time(12, tzinfo=zone) for zone in (None, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo"))
    )
    parts = [Right(8), Right(16), Right.READ | Right.WRITE, Right.READ, noon, berlin, tokyo]
    parts += [time(2, 30), time(2, 30, fold=1)]
    assert len({key_of(part) for part in parts}) == len(parts)


def told(part: Any) -> str:
    """What tells parts apart: their types as well as their values."""
    if isinstance(part, tuple):
        return f"({' '.join(map(told, part))})"
    return f"{type(part).__name__}={part!r}"


@given(LISTS, LISTS)
def test_different_parts_give_different_keys(one: list[Any], other: list[Any]) -> None:
    """And equal ones equal keys, whatever separators they hold."""
    same = list(map(told, one)) == list(map(told, other))
    assert (key_of(*one) == key_of(*other)) is same


@given(LISTS)
def test_a_key_is_short_and_plain(parts: list[Any]) -> None:
    """Every store takes it, and another version is another key."""
    key = key_of(*parts)
    assert len(key) <= 200
    assert re.fullmatch(r"[ -~]+", key)
    assert key_of(*parts, version=1) != key


def test_parts_of_one_text_are_told_apart() -> None:
    """1, True, "1", b"1" and the rest are different parts."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    parts: list[Any] = [
        *(1, True, "1", b"1", 1.0, Decimal(1), None, (1,), ((1,),), "red", Colour.RED),
        *(moment, date(2026, 1, 2), time(1), timedelta(1), UUID(int=1)),
    ]
    assert len({key_of(part) for part in parts}) == len(parts)


def test_what_has_no_text_is_refused() -> None:
    """An object's address or a set's order changes; so does what is not a number."""
    for part in (object(), {1, 2}, {"a": 1}, len):
        with pytest.raises(TypeError, match="no text that is always the same"):
            key_of(part)
    with pytest.raises(ValueError, match="finite"):
        key_of(math.inf)
    with pytest.raises(ValueError, match="at least one part"):
        key_of()


@given(st.text(), st.text())
def test_names_are_plain_and_differ(one: str, other: str) -> None:
    """Also where one looks like another's digest."""
    assert (name_of(one) == name_of(other)) is (one == other)
    assert name_of(name_of("\n")) != name_of("\n")
    assert len(name_of(one)) <= 200


def test_tags_have_one_digest_whatever_they_hold() -> None:
    """Sets of tags are told apart."""
    sets = [(), ("a",), ("a", "b"), ("a,b",), ("\ud800",)]
    assert len({digest_of(tags) for tags in sets}) == len(sets)


ENTRIES = st.builds(
    Entry,
    st.binary(max_size=3000) | st.text("ab", max_size=5000).map(str.encode),
    st.sampled_from(["json", "x" * 32]),
    *[st.integers(0, 2**63)] * 3,
    st.sampled_from(Kind),
)


@given(ENTRIES, st.integers(1, 6000))
def test_an_entry_comes_back(entry: Entry, compress_above: int) -> None:
    """Compressed or not; and never larger than it has to be."""
    data = pack(entry, compress_above)
    assert unpack(data) == entry
    assert len(data) <= len(entry.payload) + 31 + len(entry.codec)


def test_what_repeats_is_compressed() -> None:
    """Above the threshold only."""
    entry = Entry(b"a" * 10_000, "json", 1, 1, 1)
    assert len(pack(entry, 4096)) < 200
    assert len(pack(entry, 10_000)) > 10_000


@given(st.binary(max_size=200) | ENTRIES.map(lambda entry: pack(entry, 10)), st.data())
def test_garbage_is_no_entry(data: bytes, draw: st.DataObject) -> None:
    """Whatever bytes are there: an entry or None, and no error."""
    at = draw.draw(st.integers(0, len(data)))
    for broken in (data, data[:at], data[:at] + b"\xff" + data[at + 1 :]):
        assert unpack(broken) is None or isinstance(unpack(broken), Entry)


def test_a_bomb_is_not_inflated() -> None:
    """What claims to be small and is not counts as no entry."""
    data = bytearray(pack(Entry(b"a" * 1000, "json", 1, 1, 1), 10))
    data[-len(zlib.compress(b"a" * 1000, 1)) :] = zlib.compress(b"a" * 50_000_000, 1)
    assert unpack(bytes(data)) is None


def test_a_payload_has_an_end() -> None:
    """Its length has to fit into its field."""

    class Huge(bytes):
        def __len__(self) -> int:
            return 2**32

    with pytest.raises(ValueError, match="too large"):
        pack(Entry(Huge(), "json", 1, 1, 1), 10)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=8,
)


@given(PLAIN, st.binary(), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_a_codec_takes_comes_back(value: object, data: bytes, text: str) -> None:
    """Exactly, its types included."""
    assert json.dumps(JSON.decode(JSON.encode(value))) == json.dumps(value)
    assert BYTES.decode(BYTES.encode(data)) == data
    assert TEXT.decode(TEXT.encode(text)) == text


@pytest.mark.parametrize("value", [(1,), {1: 2}, b"", object(), Colour.RED, math.nan, "\ud800"])
def test_json_refuses_what_would_come_back_changed(value: object) -> None:
    """Rather than to hand out another value the second time."""
    with pytest.raises((TypeError, ValueError)):
        JSON.encode([value])


def test_codecs_of_one_type_refuse_another() -> None:
    """Their entries would come back as something else."""
    wrong: Any = 1
    for codec in (BYTES, TEXT):
        with pytest.raises(TypeError):
            codec.encode(wrong)


@pytest.mark.parametrize("name", ["", "x" * 33, "\N{SNOWMAN}", "a\n"])
def test_a_codec_has_a_plain_name(name: str) -> None:
    """It is written into every entry."""
    with pytest.raises(ValueError, match="name must be"):
        Codec(name, bytes, bytes)


def test_weights_are_not_negative() -> None:
    """An entry never takes less than nothing."""
    with pytest.raises(ValueError, match="weight"):
        Codec("name", bytes, bytes, weight=-1)


def test_the_presets() -> None:
    """Those of the system before, in seconds."""
    seconds = {name: ttl.total_seconds() for name, ttl in TTLS.items()}
    expected = {"profile": 300, "org": 300, "org_list": 120, "analytics": 60, "feed": 30}
    assert seconds == expected

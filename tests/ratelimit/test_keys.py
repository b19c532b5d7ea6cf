"""Keys cannot collide, and every store takes them."""

from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from socialflow_core.ratelimit import Limit, Rate, key_of

# Surrogates, NUL and commas included; digits and the marks of the notation more often.
parts = st.lists(
    st.text(st.characters()) | st.text("0123456789:,-ash ") | st.text(min_size=120, max_size=140),
    min_size=1,
    max_size=12,
)


@given(parts, parts)
@example(["a", "b"], ["a,1:b"])
@example(["ab"], ["a", "b"])
@example([""], ["", ""])
@example(["\ud83d\ude00"], ["\U0001f600"])
def test_different_parts_never_share_a_key(one: list[str], other: list[str]) -> None:
    """Two lists of parts have the same key only if they are the same list."""
    assert (key_of(*one) == key_of(*other)) == (one == other)


@given(parts)
def test_every_store_takes_a_key(some: list[str]) -> None:
    """A key has 1 to 1,024 characters, all of them printable ASCII without spaces."""
    key = key_of(*some)
    assert 0 < len(key) <= 1024
    assert key.isascii()
    assert key.isprintable()
    assert " " not in key


def test_a_key_can_be_read() -> None:
    """Ordinary parts stand in the key as they are."""
    assert key_of("user", "alice@example.com") == "4:user,17:alice@example.com"


@pytest.mark.parametrize("part", ["x" * 129, "a b", "a\r\nSet-Cookie: b", "\x00", "é", "\ud800"])
def test_a_part_that_a_store_might_refuse_is_replaced_by_its_digest(part: str) -> None:
    """Long, unprintable, spaced and non-ASCII parts stand in the key by their SHA-256."""
    key = key_of("user", part)
    assert key.startswith("4:user,sha256-")
    assert len(key) == len("4:user,sha256-") + 64


def test_a_digest_cannot_be_forged_by_a_part() -> None:
    """A part that spells another part's digest has a key of its own."""
    digest = key_of("x" * 129)
    assert key_of(digest) != digest
    whole = key_of(*["x" * 128] * 9)
    assert whole.startswith("parts-")
    assert key_of(whole) != whole


def test_ten_megabytes_are_a_part_like_any_other() -> None:
    """A huge part gives a short key, and one character in it matters."""
    huge = "x" * 10_000_000
    assert len(key_of("user", huge)) < 100
    assert key_of("user", huge) != key_of("user", huge[:-1] + "y")


def test_an_enum_of_text_counts_as_its_text() -> None:
    """A part is what it holds, not how its class prints it."""

    class Kind(str, Enum):  # noqa: UP042 -- its str() is not its text, which is the point
        USER = "user"

    assert key_of(Kind.USER, "1") == key_of("user", "1")


def test_a_key_of_nothing_is_refused() -> None:
    """No parts at all would put all callers into one counter."""
    with pytest.raises(ValueError, match="at least one part"):
        key_of()


@pytest.mark.parametrize("part", [None, b"alice", 1])
def test_a_part_that_is_no_text_is_refused(part: Any) -> None:
    """None, bytes and numbers are refused by name of their type, never counted as text."""
    with pytest.raises(TypeError, match=rf"a str, not {type(part).__name__}"):
        key_of("user", part)


@pytest.mark.parametrize(
    "name", ["", "a b", 'a"b', "a;r=1", "a\r\nSet-Cookie: b", "a,b", "é", "-a", "x" * 65]
)
def test_a_limit_cannot_carry_a_header_in_its_name(name: str) -> None:
    """What could end a header's value, or its quotes, is no name of a limit."""
    with pytest.raises(ValueError, match="name must be"):
        Limit(name, Rate.parse("1/s"))

"""What an entry is worth, for every timing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.cache import JSON, Cached, Entry, Kind, Policy, Reply
from socialflow_core.cache._core import (
    Ask,
    Freshness,
    checked_tags,
    eagerness,
    encode,
    encode_error,
    judge,
    sure_us,
)

_US = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def ask(policy: Policy | None = None, ttl: Any = _SECOND, most: int = 1000) -> Ask:
    """A question."""
    return Ask("a", (), ttl, JSON, policy or Policy(), most)


def entry(fresh: int = 100, keep: int = 100, **other: Any) -> Entry:
    """The number 7."""
    return Entry(
        **{"payload": b"7", "codec": "json", "took_us": 0, **other}, fresh_us=fresh, keep_us=keep
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"stale_if_error": -_US},
        {"stale_while_revalidate": -_US},
        {"negative_ttl": -_US},
        {"wait": -_US},
        {"lock_ttl": _US},
        {"early": -0.1},
        {"early": 101},
        {"negative": (KeyError,)},
        {"negative": (KeyError,) * 33, "negative_ttl": _SECOND},
    ],
)
def test_a_policy_makes_sense(wrong: dict[str, Any]) -> None:
    """Or it is refused when it is made."""
    with pytest.raises(ValueError, match=r"must|needs|at most"):
        Policy(**wrong)


def test_tags_are_a_tuple_of_texts() -> None:
    """A text alone is no set of its letters."""
    tags: Any
    for tags in (["x"], "xy", (1,)):
        with pytest.raises(TypeError, match="tuple of str"):
            checked_tags(tags)
    assert checked_tags(("b", "a", "b")) == ("a", "b")


def test_a_cached_value_says_whether_all_is_well() -> None:
    """There is a reason exactly if it is degraded."""
    assert not Cached(1, "redis").degraded
    assert Cached(1, "redis", reason="stale").degraded


@given(st.floats(0.01, 100), st.floats(2**-53, 1))
def test_eagerness_is_never_negative_and_grows(beta: float, uniform: float) -> None:
    """More beta is earlier; and what is sure is sure whatever is drawn."""
    assert 0 <= eagerness(beta, uniform) <= eagerness(2 * beta, uniform)
    one = entry(10**9, took_us=1000)
    left = one.fresh_us - sure_us(one, beta)
    assert left == one.fresh_us or left >= one.took_us * eagerness(beta, uniform)


def test_only_values_are_sure() -> None:
    """An error that was kept is looked at each time."""
    assert sure_us(entry(kind=Kind.NONE), 1.0) == 0
    assert sure_us(entry(fresh=10, took_us=10), 1.0) == 0


@given(*[st.integers(0, 1000)] * 4)
def test_freshness_follows_age(fresh: int, stale: int, spare: int, age: int) -> None:
    """Fresh until its end, then stale, then spare, each for as long as the policy says."""
    policy = Policy(stale_while_revalidate=stale * _US, stale_if_error=spare * _US)
    keep = fresh + max(stale, spare)
    found = judge(Reply(entry(fresh, keep), keep - age), ask(policy))
    if age < fresh:
        expected = Freshness.FRESH
    elif age < fresh + stale:
        expected = Freshness.STALE
    elif age < fresh + spare:
        expected = Freshness.SPARE
    else:
        expected = Freshness.GONE
    assert (Freshness.GONE if found is None else found.freshness) is expected
    assert found is None or (found.value, found.age_us) == (7, age)


def test_what_is_no_value_is_never_stale() -> None:
    """That there was none is no reason not to look again."""
    policy = Policy(stale_while_revalidate=_SECOND, negative_ttl=_SECOND)
    assert judge(Reply(entry(100, 200, kind=Kind.NONE), 50), ask(policy)) is None
    found = judge(Reply(entry(100, 200, kind=Kind.NONE), 150), ask(policy))
    assert found is not None
    assert found.value is None


def test_what_cannot_be_read_is_none() -> None:
    """Another codec, bytes that are no JSON, nothing at all."""
    for reply in (Reply(None), Reply(entry(codec="text")), Reply(entry(payload=b"{"))):
        assert judge(reply, ask()) is None


class OddError(Exception):
    """Cannot be built from its own arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


NEGATIVE = Policy(negative_ttl=_SECOND, negative=(KeyError, OddError))


@given(st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=9), max_size=4))
def test_an_error_comes_back(arguments: list[Any]) -> None:
    """Of the same type, with the same arguments."""
    kept = encode_error(KeyError(*arguments), 5, ask(NEGATIVE))
    assert kept is not None
    found = judge(Reply(kept, kept.keep_us), ask(NEGATIVE))
    assert found is not None
    assert type(found.error) is KeyError
    assert found.error.args == tuple(arguments)
    assert judge(Reply(kept, kept.keep_us), ask()) is None


def test_errors_that_cannot_be_kept_are_not() -> None:
    """Other types, arguments that are no plain values, too many bytes, odd constructors."""
    for error in (ValueError(1), KeyError(object()), KeyError("x" * 2000)):
        assert encode_error(error, 5, ask(NEGATIVE)) is None
    kept = encode_error(OddError("a", "b"), 5, ask(NEGATIVE))
    assert kept is not None
    assert judge(Reply(kept, kept.keep_us), ask(NEGATIVE)) is None


def test_what_becomes_of_a_value() -> None:
    """Kept for as long as was said, or a reason why not."""
    both = Policy(stale_while_revalidate=2 * _SECOND, stale_if_error=3 * _SECOND)
    assert encode(7, 5, ask(both)) == entry(1_000_000, 4_000_000, took_us=5)
    assert encode(None, 5, ask()) == ""
    assert isinstance(encode(None, 5, ask(NEGATIVE)), Entry)
    assert encode(7, 5, ask(ttl=lambda _: None)) == ""
    assert "JSON holds" not in str(encode(object(), 5, ask()))
    assert "TypeError" in str(encode(object(), 5, ask()))
    assert "larger than 3" in str(encode("long", 5, ask(most=3)))
    with pytest.raises(ValueError, match="longer than zero"):
        encode(7, 5, ask(ttl=lambda _: timedelta(0)))

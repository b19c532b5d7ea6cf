"""Which key signs, and until when one verifies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.auth._keys import Terms, check_terms, signing, verifies


@pytest.mark.parametrize(
    "terms",
    [
        Terms("", signs=True),
        Terms("a\n", signs=True),
        Terms("a" * 256, signs=True),
        Terms("a", signs=True, sign_from_us=-1),
        Terms("a", signs=True, sign_from_us=5, retire_us=5),
    ],
)
def test_bad_terms_are_refused(terms: Terms) -> None:
    """A key that is retired before it begins is a mistake."""
    with pytest.raises(ValueError, match=r"kid|sign_from|retired"):
        check_terms(terms)


times = st.integers(0, 20)
terms = st.builds(Terms, st.just("k"), st.booleans(), times, st.none() | st.integers(21, 40))


@given(st.lists(terms, max_size=5), st.integers(0, 45))
def test_the_newest_key_signs(listed: list[Terms], now: int) -> None:
    """One that may sign, has begun, and is not retired; of those the one that began last."""
    chosen = signing([(each, index) for index, each in enumerate(listed)], now)
    able = [
        (-each.sign_from_us, index)
        for index, each in enumerate(listed)
        if each.signs and each.sign_from_us <= now and verifies(each, now)
    ]
    assert chosen == (min(able)[1] if able else None)

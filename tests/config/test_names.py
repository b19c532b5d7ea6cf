"""Which name was probably meant."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.config._names import nearest

# Few letters, so that names are near each other.
names = st.text("ABC_", min_size=1, max_size=12)


@cache
def distance(one: str, other: str) -> int:
    """Slips between two texts, by their definition: the slow way."""
    if not one or not other:
        return len(one) + len(other)
    choices = [
        distance(one[1:], other) + 1,
        distance(one, other[1:]) + 1,
        distance(one[1:], other[1:]) + (one[0] != other[0]),
    ]
    if len(one) > 1 and one[:2] == other[1::-1]:
        choices.append(distance(one[2:], other[2:]) + 1)
    return min(choices)


@given(names, st.lists(names, max_size=4, unique=True))
def test_the_nearest_name_is_suggested(name: str, known: list[str]) -> None:
    """The first of those with the fewest slips, if it has no more than its length allows."""
    slips = {other: distance(name, other) for other in known}
    near = {other: n for other, n in slips.items() if n <= (1 if len(other) <= 8 else 2)}
    assert nearest(name.lower(), known) == min(near, key=near.__getitem__, default=None)

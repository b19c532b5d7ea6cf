"""`Cache-Control`, read and written."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.cache import CacheControl

NUMBERS = ["max_age", "s_maxage", "stale_while_revalidate", "stale_if_error", "max_stale"]
NUMBERS += ["min_fresh"]
FLAGS = [each.name for each in fields(CacheControl) if each.name not in NUMBERS]

controls = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.integers(0, 2**31) for name in NUMBERS},
        **{name: st.booleans() for name in FLAGS},
    },
).map(lambda said: CacheControl(**said))  # type: ignore[arg-type]  # -- as the names say


@given(controls)
def test_what_is_written_is_read_again(control: CacheControl) -> None:
    """Every directive survives, whatever its neighbours."""
    assert CacheControl.parse([str(control)]) == control
    assert eval(repr(control)) == control
    assert CacheControl.parse(str(control).upper().split(", ")) == control


@given(st.lists(st.text(max_size=40), max_size=4))
def test_reading_never_fails(values: list[str]) -> None:
    """Whatever is sent: something is understood, and all of it can be written."""
    control = CacheControl.parse(values)
    assert CacheControl.parse([str(control)]) == control


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (["max-age=60"], CacheControl(max_age=60)),
        (["Max-Age=60, S-MAXAGE=1"], CacheControl(max_age=60, s_maxage=1)),
        (['max-age="60"'], CacheControl(max_age=60)),
        (["max-age=60, max-age=5"], CacheControl(max_age=5)),
        (["max-age=5", "max-age=60"], CacheControl(max_age=5)),
        (["min-fresh=5, min-fresh=60"], CacheControl(min_fresh=60)),
        (["max-age=-1"], CacheControl(max_age=0)),
        (["max-age=1.5, max-age"], CacheControl(max_age=0)),
        (["max-age=\u0663"], CacheControl(max_age=0)),
        (["max-age=99999999999"], CacheControl(max_age=2**31)),
        (["max-age=" + "9" * 5000], CacheControl(max_age=2**31)),
        (["max-stale"], CacheControl(max_stale=2**31)),
        (['private="set-cookie, x", public'], CacheControl(private=True, public=True)),
        (['no-cache="a\\"b, max-age=5"'], CacheControl(no_cache=True)),
        (['private="unfinished, no-store'], CacheControl(private=True, no_store=True)),
        (["no-store=1"], CacheControl(no_store=True)),
        (["no-store ; public"], CacheControl(no_store=True)),
        (["max-age=60 private"], CacheControl(max_age=0, private=True)),
        (["max-age=60\tno-store"], CacheControl(max_age=0, no_store=True)),
        (["max-age=60 public"], CacheControl(max_age=0)),
        (["s-maxage=60, max-age=5;No-Cache"], CacheControl(s_maxage=60, max_age=0, no_cache=True)),
        (['s-maxage="5 private" x'], CacheControl(s_maxage=0, private=True)),
        (["public max-age=60 private"], CacheControl(public=True, private=True)),
        (["max-age=60, @private, s-maxage=5"], CacheControl(max_age=60, s_maxage=5, private=True)),
        (["max-age=60 \t , private"], CacheControl(max_age=60, private=True)),
        (["other=private, max-age=60"], CacheControl(max_age=60)),
        ([",, ,no-store,,"], CacheControl(no_store=True)),
        (["=5, no-store"], CacheControl(no_store=True)),
        (["="], CacheControl()),
        (["unknown, other=5"], CacheControl()),
        (["x" * 8193], CacheControl(no_store=True)),
        ([], CacheControl()),
    ],
)
def test_how_the_unusual_is_read(values: list[str], meant: CacheControl) -> None:
    """Where there is doubt, the stricter reading counts."""
    assert CacheControl.parse(values) == meant


@pytest.mark.parametrize("name", NUMBERS)
def test_a_negative_number_cannot_be_written(name: str) -> None:
    """RFC 9111, 1.2.2: delta-seconds are not negative."""
    with pytest.raises(ValueError, match=name):
        CacheControl(**{name: -1})  # type: ignore[arg-type]  # -- a number's name

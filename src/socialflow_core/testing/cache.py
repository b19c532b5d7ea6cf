"""What every cache and every store of one promises, as tests to run on your own; extra `[testing]`.

```python
from socialflow_core.testing.cache import CacheContract


class TestMine(CacheContract):
    def cache(self):
        return MyCache()
```

An async cache is handed over as `BlockingCache(MyAsyncCache())`, an async store as
`BlockingStore(MyAsyncStore())`.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import requires_extra
from socialflow_core.cache import BYTES, JSON, Cache, Policy

from ._cache import BlockingCache, BlockingStore, StoreContract

with requires_extra("testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["BlockingCache", "BlockingStore", "CacheContract", "StoreContract"]

_HOUR = timedelta(hours=1)
_CALLERS = 20


def _at_once(cache: Any, times: int, key: str, compute: Callable[[], Any], **how: Any) -> list[Any]:
    if isinstance(cache, BlockingCache):
        return cache.at_once(times, key, compute, **how)
    gate = threading.Barrier(times)

    def ask() -> Any:
        gate.wait()
        try:
            return cache.get_or_compute(key, compute, **how)
        except Exception as error:  # noqa: BLE001 -- looked at by the test
            return error

    with ThreadPoolExecutor(times) as pool:
        return [done.result() for done in [pool.submit(ask) for _ in range(times)]]


class CacheContract:
    """Subclass it, say how a cache is built, and run it."""

    def cache(self) -> Cache:
        """Build a fresh, empty cache with the codec JSON; called for each test."""
        raise LookupError("say how a cache is built")

    @pytest.fixture
    def mine(self) -> Iterator[Cache]:
        """A fresh cache, closed at the end if it can be."""
        cache = self.cache()
        yield cache
        getattr(cache, "close", lambda: None)()

    @pytest.fixture
    def number(self) -> Callable[[], int]:
        """Computes 1, then 2, then 3, ..."""
        numbers = itertools.count(1)
        return lambda: next(numbers)

    def test_it_computes_once(self, mine: Cache, number: Callable[[], int]) -> None:
        """The first call computes, the others get the same."""
        assert [mine.get_or_compute("a", number, ttl=_HOUR) for _ in range(5)] == [1] * 5
        assert mine.get_or_compute("b", number, ttl=_HOUR) == 2

    def test_it_says_where_a_value_comes_from(self, mine: Cache, number: Callable[[], int]) -> None:
        """Computed at first, and had from somewhere afterwards, with its age."""
        first, second = (mine.lookup("a", number, ttl=_HOUR) for _ in range(2))
        assert (first.value, first.source, first.age) == (1, "computed", timedelta(0))
        assert (second.value, second.reason, second.degraded) == (1, "", False)
        assert second.source != "computed"
        assert timedelta(0) <= second.age < _HOUR

    @pytest.mark.parametrize("value", [0, "", [], {}, False, "x" * 10_000, {"a": [1, None]}])
    def test_any_value_is_kept(self, mine: Cache, value: object) -> None:
        """Empty ones too, and it comes back as it was."""
        values = iter([value])
        for _ in range(4):
            assert mine.get_or_compute("a", lambda: next(values), ttl=_HOUR) == value

    @pytest.mark.parametrize("key", ["a b", "a\r\nb", "\N{SNOWMAN}", "{a}", "x" * 5000, "\ud800"])
    def test_any_text_is_a_key(self, mine: Cache, key: str, number: Callable[[], int]) -> None:
        """And no two are the same."""
        assert mine.get_or_compute(key, number, ttl=_HOUR) == 1
        assert mine.get_or_compute(f"{key}.", number, ttl=_HOUR) == 2
        assert mine.get_or_compute(key, number, ttl=_HOUR) == 1

    def test_what_changes_is_not_shared(self, mine: Cache) -> None:
        """Who changes the list that was handed out changes it for nobody else."""
        for _ in range(4):
            found = mine.get_or_compute("a", lambda: [1], ttl=_HOUR)
            assert found == [1]
            found.append(2)

    def test_invalidating_a_key(self, mine: Cache, number: Callable[[], int]) -> None:
        """It is computed anew, others are not."""
        for key in "ab":
            mine.get_or_compute(key, number, ttl=_HOUR)
        assert mine.invalidate("a", "unknown")
        assert [mine.get_or_compute(key, number, ttl=_HOUR) for key in "ab"] == [3, 2]

    def test_invalidating_a_tag(self, mine: Cache, number: Callable[[], int]) -> None:
        """Everything with that tag is computed anew, nothing else."""
        tagged = {"a": ("x", "y"), "b": ("y",), "c": ()}

        def values() -> list[int]:
            return [
                mine.get_or_compute(key, number, ttl=_HOUR, tags=tags)
                for key, tags in tagged.items()
            ]

        assert [values(), values()] == [[1, 2, 3]] * 2
        assert mine.invalidate_tags("x", "unknown")
        assert [values(), values()] == [[4, 2, 3]] * 2
        assert mine.invalidate_tags("y")
        assert [values(), values()] == [[5, 6, 3]] * 2

    def test_an_invalidation_overtakes_a_computation(self, mine: Cache) -> None:
        """What was being computed meanwhile is handed to who asked for it, and not kept."""
        if isinstance(mine, BlockingCache):
            return  # its loop stands still while it is asked

        def compute() -> int:
            mine.invalidate("a")
            mine.invalidate_tags("x")
            return 1

        assert mine.get_or_compute("a", compute, ttl=_HOUR, tags=("x",)) == 1
        assert mine.get_or_compute("a", lambda: 2, ttl=_HOUR, tags=("x",)) == 2

    def test_an_error_is_not_kept(self, mine: Cache) -> None:
        """It reaches the caller as it is, and the next call computes."""
        for _ in range(2):
            with pytest.raises(LookupError, match="no such thing"):
                mine.get_or_compute("a", _failing, ttl=_HOUR)
        assert mine.get_or_compute("a", lambda: 1, ttl=_HOUR) == 1

    def test_an_error_is_kept_where_that_was_asked_for(self, mine: Cache) -> None:
        """Of the types that were named, and it is an error of that type again."""
        policy = Policy(negative_ttl=_HOUR, negative=(LookupError,))
        calls = []

        def fail() -> int:
            calls.append(1)
            return _failing()

        for _ in range(3):
            with pytest.raises(LookupError, match="no such thing"):
                mine.get_or_compute("a", fail, ttl=_HOUR, policy=policy)
        assert len(calls) == 1

    def test_none_is_kept_where_that_was_asked_for(self, mine: Cache) -> None:
        """And only there."""
        calls = []
        for policy in (Policy(), Policy(negative_ttl=_HOUR)):
            for _ in range(3):
                found = mine.get_or_compute("a", lambda: calls.append(1), ttl=_HOUR, policy=policy)
                assert found is None
        assert len(calls) == 4

    def test_a_value_decides_how_long_it_is_kept(self, mine: Cache) -> None:
        """None is not at all."""
        numbers = iter(range(1, 9))

        def ttl(value: int) -> timedelta | None:
            return _HOUR if value > 2 else None

        found = [mine.get_or_compute("a", lambda: next(numbers), ttl=ttl) for _ in range(5)]
        assert found == [1, 2, 3, 3, 3]

    def test_what_cannot_be_kept_is_handed_out(self, mine: Cache) -> None:
        """A value that the codec refuses, or that is too large; the reason says so."""
        for value in (object(), "x" * 5_000_000):
            cached = mine.lookup("a", lambda: value, ttl=_HOUR)  # noqa: B023 -- used at once
            assert cached.value is value
            assert cached.reason.startswith("not stored")

    def test_what_cannot_be_read_is_computed(self, mine: Cache) -> None:
        """Bytes of another codec count as missing."""
        assert mine.get_or_compute("a", lambda: b"1", ttl=_HOUR, codec=BYTES) == b"1"
        assert mine.get_or_compute("a", lambda: 2, ttl=_HOUR, codec=JSON) == 2
        assert mine.get_or_compute("a", lambda: 3, ttl=_HOUR, codec=JSON) == 2

    def test_many_who_ask_at_once_compute_once(self, mine: Cache) -> None:
        """They all get the same."""
        calls = []

        def compute() -> int:
            calls.append(1)
            return len(calls)

        assert _at_once(mine, _CALLERS, "a", compute, ttl=_HOUR) == [1] * _CALLERS

    def test_many_who_ask_at_once_hear_the_error(self, mine: Cache) -> None:
        """It reaches every one of them."""
        told = _at_once(mine, _CALLERS, "a", _failing, ttl=_HOUR)
        assert {type(error) for error in told} == {LookupError}

    def test_a_circle_is_refused(self, mine: Cache) -> None:
        """Who waits for themselves hears so, and does not wait for ever."""
        if isinstance(mine, BlockingCache):
            return  # as above

        def compute() -> int:
            return mine.get_or_compute("a", compute, ttl=_HOUR)

        with pytest.raises(RuntimeError):
            mine.get_or_compute("a", compute, ttl=_HOUR)

    def test_nonsense_is_refused(self, mine: Cache, number: Callable[[], int]) -> None:
        """Before anything is computed."""
        wrong: Any = 5
        with pytest.raises(ValueError, match="at least one character"):
            mine.get_or_compute("", number, ttl=_HOUR)
        with pytest.raises(ValueError, match="at least one character"):
            mine.get_or_compute("a", number, ttl=_HOUR, tags=("",))
        with pytest.raises(ValueError, match="longer than zero"):
            mine.get_or_compute("a", number, ttl=timedelta(0))
        with pytest.raises(TypeError):
            mine.get_or_compute(wrong, number, ttl=_HOUR)
        with pytest.raises(TypeError):
            mine.get_or_compute("a", number, ttl=_HOUR, tags=wrong)
        with pytest.raises(TypeError):
            mine.invalidate(wrong)
        assert number() == 1


def _failing() -> int:
    raise LookupError("no such thing")

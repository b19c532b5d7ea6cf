"""`cached`: a function's arguments are its key."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from socialflow_core.cache.decorator import cached
from socialflow_core.cache.memory import AsyncMemoryCache, MemoryCache

_HOUR = timedelta(hours=1)


def test_arguments_by_place_name_or_default_are_the_same() -> None:
    """Whichever way they are given."""
    calls: list[Any] = []

    @cached(MemoryCache(), ttl=_HOUR, name="function")
    def function(a: int, b: int = 2, *, c: int = 3) -> int:
        calls.append((a, b, c))
        return a + b + c

    assert {function(1), function(1, 2), function(a=1, c=3), function(1, b=2)} == {6}
    assert function(1, 3) == 7
    assert calls == [(1, 2, 3), (1, 3, 3)]
    assert function.key(1) == function.key(1, 2, c=3)


def test_any_number_of_arguments() -> None:
    """Those without a name of their own are told apart from those with one."""

    @cached(MemoryCache(), ttl=_HOUR)
    def function(*args: object, **kwargs: object) -> list[Any]:
        return [list(args), kwargs]

    assert function(1, a=2, b=3) == function(1, b=3, a=2) == [[1], {"a": 2, "b": 3}]
    assert function(1, 2) == [[1, 2], {}]
    assert function((1, 2)) == [[(1, 2)], {}]


def test_what_is_not_told_by_its_name_needs_one() -> None:
    """Two closures of one function share a name, and may share nothing else; so do lambdas."""
    cache = MemoryCache()

    def times(factor: int, name: str | None = None) -> Any:
        @cached(cache, ttl=_HOUR, name=name)
        def product(number: int) -> int:
            return factor * number

        return product

    with pytest.raises(ValueError, match=r"product is a lambda or sees variables.* name= of its"):
        times(2)
    with pytest.raises(ValueError, match="name="):
        cached(cache, ttl=_HOUR)(lambda number: number)
    assert (times(2, "twice")(3), times(5, "five times")(3)) == (6, 15)


def test_a_method_that_calls_super_has_a_name() -> None:
    """The class that `super` sees is its own."""

    class One:
        def told(self, number: int) -> int:
            return number

    class Other(One):
        @cached(MemoryCache(), ttl=_HOUR, key=lambda _, number: number)
        def told(self, number: int) -> int:
            return super().told(number) + 1

    assert Other().told(1) == 2


def test_functions_and_versions_do_not_share() -> None:
    """Each has keys of its own."""
    cache = MemoryCache()

    @cached(cache, ttl=_HOUR)
    def one(number: int) -> str:
        return f"one {number}"

    @cached(cache, ttl=_HOUR)
    def other(number: int) -> str:
        return f"other {number}"

    assert (one(1), other(1)) == ("one 1", "other 1")
    newer = cached(cache, ttl=_HOUR, version=1)(other.__wrapped__)  # type: ignore[attr-defined]  # -- as functools.wraps does
    assert newer.key(1) != other.key(1)


def test_methods_name_their_key() -> None:
    """An object has no text that is always the same."""
    cache = MemoryCache()

    class Service:
        def __init__(self, name: str) -> None:
            self.name = name

        @cached(cache, ttl=_HOUR, key=lambda self, number: (self.name, number), tags=("s",))
        def get(self, number: int) -> str:
            return f"{self.name} {number}"

        @cached(cache, ttl=_HOUR)
        def bad(self) -> int:
            return 1

        @cached(cache, ttl=_HOUR, key=lambda self: self.name)
        def whole(self) -> str:
            return self.name

    ann, bob = Service("ann"), Service("bob")
    assert [ann.get(1), bob.get(1), ann.whole()] == ["ann 1", "bob 1", "ann"]
    assert cache.invalidate(Service.get.key(ann, 1))
    with pytest.raises(TypeError, match="no text"):
        ann.bad()


def test_coroutine_functions_and_their_cache() -> None:
    """One kind of cache for one kind of function."""
    cache = AsyncMemoryCache()
    calls = []

    @cached(cache, ttl=_HOUR, name="function")
    async def function(number: int) -> int:
        """Tell."""
        calls.append(number)
        return number

    async def main() -> list[int]:
        return [await function(1), await function(1), await function(2)]

    assert (asyncio.run(main()), calls) == ([1, 1, 2], [1, 2])
    assert function.__doc__ == "Tell."
    wrong: Any = cached(MemoryCache(), ttl=_HOUR)
    with pytest.raises(TypeError, match="needs an async cache"):
        wrong(main)

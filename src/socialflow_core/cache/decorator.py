"""Keep what a function returns, by its arguments.

>>> from datetime import timedelta
>>> from socialflow_core.cache.memory import MemoryCache
>>> cache = MemoryCache()
>>> @cached(cache, ttl=timedelta(minutes=5))
... def square(number: int) -> int:
...     print("computed")
...     return number * number
>>> square(3), square(3)
computed
(9, 9)
>>> cache.invalidate(square.key(3))
True
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from ._interface import DEFAULT_POLICY
from ._keys import key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._interface import AsyncCache, Cache, Codec, Policy, Ttl

__all__ = ["AsyncCachedFunction", "CachedFunction", "cached"]

ParamsT = ParamSpec("ParamsT")
ValueT = TypeVar("ValueT")


class _Keyed:
    """How the arguments of a function become a key.

    Of a function without a *key* of its own every argument is a part of the key, whether it
    is given by place, by name or by default.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        key: Callable[..., Any] | None,
        name: str | None,
        version: int,
    ) -> None:
        self._name = name or _name_of(function)
        self._signature = inspect.signature(function)
        self._key = key
        self._version = version
        kinds = [each.kind for each in self._signature.parameters.values()]
        by_place = all(kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for kind in kinds)
        # With so many arguments, all by place, there is nothing to work out.
        self._places = len(kinds) if by_place else -1
        names = self._signature.parameters
        self._rest = [name for name in names if names[name].kind is inspect.Parameter.VAR_KEYWORD]

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        if self._key is not None:
            parts = self._key(*args, **kwargs)
            if not isinstance(parts, tuple):
                parts = (parts,)
            return key_of(self._name, *parts, version=self._version)
        if not kwargs and len(args) == self._places:
            return key_of(self._name, *args, version=self._version)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        parts = tuple(
            tuple(sorted(value.items())) if name in self._rest else value
            for name, value in bound.arguments.items()
        )
        return key_of(self._name, *parts, version=self._version)


def _name_of(function: Callable[..., Any]) -> str:
    name = f"{function.__module__}.{function.__qualname__}"
    code = getattr(inspect.unwrap(function), "__code__", None)
    seen = set(code.co_freevars) - {"__class__"} if code is not None else set()  # of super()
    if seen or "<lambda>" in name:
        raise ValueError(
            f"{name} is a lambda or sees variables of its surroundings, so that others of that"
            " name may differ from it: give it a name= of its own"
        )
    return name


class CachedFunction(Generic[ParamsT, ValueT]):
    """What `cached` makes of a function; `key` tells the key of some arguments."""

    def __init__(self, function: Callable[ParamsT, ValueT], keyed: _Keyed, get: Any) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._keyed = keyed
        self._get = get

    def __call__(self, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> ValueT:
        """The value for these arguments."""
        compute = functools.partial(self._function, *args, **kwargs)
        return self._get(self._keyed(*args, **kwargs), compute)  # type: ignore[no-any-return]  # -- the function's own

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        # As a function does: called on an instance, that is the first argument.
        return self if instance is None else functools.partial(self, instance)

    def key(self, *args: ParamsT.args, **kwargs: ParamsT.kwargs) -> str:
        """The key of these arguments: to invalidate it."""
        return self._keyed(*args, **kwargs)


class AsyncCachedFunction(CachedFunction[ParamsT, "Awaitable[ValueT]"], Generic[ParamsT, ValueT]):
    """`CachedFunction` of a coroutine function."""


@overload
def cached(
    cache: Cache,
    *,
    ttl: Ttl[Any],
    key: Callable[..., Any] | None = None,
    name: str | None = None,
    tags: tuple[str, ...] = (),
    version: int = 0,
    codec: Codec[Any] | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> Callable[[Callable[ParamsT, ValueT]], CachedFunction[ParamsT, ValueT]]: ...
@overload
def cached(
    cache: AsyncCache,
    *,
    ttl: Ttl[Any],
    key: Callable[..., Any] | None = None,
    name: str | None = None,
    tags: tuple[str, ...] = (),
    version: int = 0,
    codec: Codec[Any] | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> Callable[[Callable[ParamsT, Awaitable[ValueT]]], AsyncCachedFunction[ParamsT, ValueT]]: ...
def cached(
    cache: Any,
    *,
    key: Callable[..., Any] | None = None,
    name: str | None = None,
    version: int = 0,
    **how: Any,
) -> Any:
    """Decorate a function: a coroutine function with an async cache, any other with a sync one.

    Args:
        cache: Where to keep what it returns.
        key: Makes a part, or a tuple of parts, for `key_of` of the function's arguments; for
            methods, and for arguments that have no text of their own.
        name: What its keys begin with, instead of its module and name: where these are not
            its own, as of a function in another one, or of `__main__` in a shared store.
        version: Count it up when what is returned changes its form.
        how: *ttl*, *tags*, *codec* and *policy*, as `Cache.get_or_compute` takes them.

    Raises:
        TypeError: If the cache and the function are not of one kind; when called, if an
            argument has no text that is always the same.
        ValueError: If the function is a lambda, or sees variables of a function around it,
            and has no *name*.
    """
    waits = inspect.iscoroutinefunction(cache.get_or_compute)

    def decorate(function: Callable[..., Any]) -> CachedFunction[Any, Any]:
        if inspect.iscoroutinefunction(function) is not waits:
            raise TypeError("an async function needs an async cache, and a sync one a sync cache")
        get = functools.partial(cache.get_or_compute, **how)
        kind = AsyncCachedFunction if waits else CachedFunction
        return kind(function, _Keyed(function, key, name, version), get)

    return decorate

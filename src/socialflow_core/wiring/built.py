"""`functools.cached_property` for things of which there must be one."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["built"]

BlockT = TypeVar("BlockT")

# Held while a block is built, by whichever thread asks first. One lock for all: a block
# may need another, and building is rare.
_lock = RLock()


class built(Generic[BlockT]):  # noqa: N801 -- a decorator, like property
    """A property that is computed once, also when threads ask for it at the same time.

    `functools.cached_property` dropped its lock in Python 3.12; two rate limiters would
    count apart. Setting the name in the instance's `__dict__` overrides it.
    """

    def __init__(self, build: Callable[[Any], BlockT]) -> None:
        self._build = build
        self._name = build.__name__
        self.__doc__ = build.__doc__

    def __get__(self, owner: object, kind: type | None = None) -> BlockT:
        made = vars(owner)
        with _lock:
            if self._name not in made:
                made[self._name] = self._build(owner)
            block: BlockT = made[self._name]
            return block

"""What holds locks, threads or sockets begins anew in a forked child.

A lock that another thread held during the fork would never be released there, a thread
does not exist there, and a socket is the parent's.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["renew_in_forks"]

OwnerT = TypeVar("OwnerT")

_renewals: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def renew_in_forks(owner: OwnerT, renew: Callable[[OwnerT], None]) -> None:
    """Call *renew* with *owner* in every child forked from now on, as long as it lives.

    An owner has one. It is a function of the class: a bound method would keep it alive.
    """
    _hear_of_forks()
    _renewals[owner] = renew


@cache
def _hear_of_forks() -> None:
    os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for owner, renew in [*_renewals.items()]:
        renew(owner)

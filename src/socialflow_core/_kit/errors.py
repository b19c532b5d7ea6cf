"""The root of every error here, and how a vendor's error becomes one of ours.

```
CoreError
├── MissingExtraError   also an ImportError: an optional package is not installed
└── UnavailableError    a service that the block needs did not answer
```

Each block draws its own branch in the docstring of its `_interface`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["CoreError", "MissingExtraError", "UnavailableError", "requires_extra", "translating"]


class CoreError(Exception):
    """Every error that this library raises on purpose, except `ValueError` for bad arguments.

    Survives pickling with its data, so that it crosses process pools whole.
    """

    def __reduce__(self) -> tuple[Callable[..., CoreError], tuple[object, ...]]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[CoreError], args: tuple[object, ...], data: dict[str, object]) -> CoreError:
    # Not `cls(*args)`: a subclass takes keyword-only data that `args` does not hold.
    error = cls.__new__(cls, *args)
    error.__dict__.update(data)
    return error


class MissingExtraError(CoreError, ImportError):
    """An adapter was imported without the package that it adapts.

    Attributes:
        extra: The extra of socialflow-core that installs it.
    """

    def __init__(self, extra: str) -> None:
        super().__init__(f'This needs an extra: pip install "socialflow-core[{extra}]"')
        self.extra = extra


class UnavailableError(CoreError):
    """A service that the block needs did not answer.

    Attributes:
        service: What was asked, in words: "the rate limit store".
        sent: Whether the request had left this process, so that it may have taken
            effect; None if that is not known.
    """

    def __init__(self, service: str, *, sent: bool | None = None) -> None:
        super().__init__(f"{service} is unavailable")
        self.service = service
        self.sent = sent


class translating:  # noqa: N801 -- reads as a verb in a with statement
    """Turn a vendor's errors into one of ours, at the edge where they enter.

    The vendor's error stays as `__cause__`. A class, not a generator: entering it costs
    a tenth, and it stands on hot paths.

    >>> with translating(OSError, lambda error: UnavailableError("the disk")):
    ...     raise FileNotFoundError
    Traceback (most recent call last):
    ...
    socialflow_core._kit.errors.UnavailableError: the disk is unavailable
    """

    __slots__ = ("_into", "_vendor")

    def __init__(
        self,
        vendor: type[Exception] | tuple[type[Exception], ...],
        into: Callable[[Any], CoreError],
    ) -> None:
        self._vendor = vendor
        self._into = into

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, self._vendor) and not isinstance(error, CoreError):
            raise self._into(error) from error


def requires_extra(extra: str) -> translating:
    """Guard an adapter's imports: a missing package names the *extra* to install.

    >>> with requires_extra("redis"):
    ...     import no_such_package
    Traceback (most recent call last):
    ...
    socialflow_core._kit.errors.MissingExtraError: This needs an extra: pip install "socialflow-core[redis]"
    """
    return translating(ModuleNotFoundError, lambda _: MissingExtraError(extra))

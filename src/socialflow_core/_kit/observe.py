"""How blocks report what happens inside them, whoever listens.

Adapters call `span`, `count` and `fact`. The `tracing` and `logs` blocks, or the
application, `subscribe`. Without a subscriber nothing is imported and next to nothing
is spent; only a degraded or recovered fact becomes one WARNING, so that no loss is silent.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["Fact", "Subscriber", "count", "fact", "span", "subscribe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened inside a block, told once.

    Attributes:
        block: The block's name: "ratelimit".
        state: Whether the block now does less than it should, does all again, or neither.
        name: What it is about: "store".
        reason: Why, in words that hold no secret.
        attributes: Details.
    """

    block: str
    state: Literal["degraded", "recovered", "event"]
    name: str
    reason: str
    attributes: Mapping[str, object] = field(default_factory=dict)


class Subscriber(Protocol):
    """Hears what blocks report. What it raises is logged once and never reaches a block."""

    def on_fact(self, fact: Fact, /) -> None:
        """Hear one fact."""
        ...

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """Add *by* to the counter *name*."""
        ...

    def on_span(
        self, name: str, attributes: Mapping[str, object], /
    ) -> AbstractContextManager[object]:
        """Answer a context manager that is open while the work is done."""
        ...


# The one global of the library. Replaced, never changed: readers need no lock.
_subscribers: tuple[Subscriber, ...] = ()


def subscribe(subscriber: Subscriber) -> Callable[[], None]:
    """Let *subscriber* hear everything from now on; call the answer to end that."""
    global _subscribers  # noqa: PLW0603 -- see above
    _subscribers = (*_subscribers, subscriber)

    def unsubscribe() -> None:
        global _subscribers  # noqa: PLW0603 -- see above
        _subscribers = tuple(other for other in _subscribers if other is not subscriber)

    return unsubscribe


def count(name: str, by: int = 1, /, **attributes: object) -> None:
    """Add *by* to the counter *name*: "ratelimit.refused"."""
    for subscriber in _subscribers:
        try:
            subscriber.on_count(name, by, attributes)
        except Exception as error:  # noqa: BLE001 -- observing must not break what is observed
            _complain(subscriber, error)


def fact(fact: Fact, /) -> None:
    """Tell every subscriber; if there is none, a loss is logged all the same."""
    for subscriber in _subscribers:
        try:
            subscriber.on_fact(fact)
        except Exception as error:  # noqa: BLE001 -- as in `count`
            _complain(subscriber, error)
    if not _subscribers and fact.state != "event":
        _warn(fact.block, "%s %s: %s", fact.name, fact.state, fact.reason)


def span(name: str, /, **attributes: object) -> AbstractContextManager[None]:
    """Answer a context manager to surround work that takes time."""
    if not _subscribers:
        return _NOTHING
    return _Spans(name, attributes)


class _Nothing(AbstractContextManager[None]):
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


_NOTHING = _Nothing()


class _Spans(AbstractContextManager[None]):
    """One span for each subscriber; the work's own exception passes through untouched."""

    __slots__ = ("_attributes", "_name", "_open")

    def __init__(self, name: str, attributes: Mapping[str, object]) -> None:
        self._name = name
        self._attributes = attributes
        self._open: list[tuple[Subscriber, AbstractContextManager[object]]] = []

    def __enter__(self) -> None:
        for subscriber in _subscribers:
            try:
                opened = subscriber.on_span(self._name, self._attributes)
                opened.__enter__()
            except Exception as error:  # noqa: BLE001 -- as in `count`
                _complain(subscriber, error)
            else:
                self._open.append((subscriber, opened))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for subscriber, opened in reversed(self._open):
            try:
                opened.__exit__(kind, error, traceback)
            except Exception as broken:  # noqa: BLE001 -- as in `count`
                _complain(subscriber, broken)


_complained: set[type[Subscriber]] = set()


def _complain(subscriber: Subscriber, error: Exception) -> None:
    if type(subscriber) not in _complained:
        _complained.add(type(subscriber))
        # The class alone: an error's text may hold what it was about.
        kinds = (type(subscriber).__name__, type(error).__name__)
        _warn("observe", "subscriber %s fails with %s; told once", *kinds)


def _warn(block: str, message: str, *values: object) -> None:
    import logging  # noqa: PLC0415 -- a process that loses nothing need not load it

    logging.getLogger(f"socialflow_core.{block}").warning(message, *values)

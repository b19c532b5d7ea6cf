"""A subscriber of `observe` that writes down what it hears."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from socialflow_core._kit.observe import Fact


class Ear:
    """Hears facts; counts and spans are no matter here."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def on_fact(self, fact: Fact, /) -> None:
        """A fact."""
        self.facts.append(fact)

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """A count."""

    def on_span(
        self, name: str, attributes: Mapping[str, object], /
    ) -> AbstractContextManager[None]:
        """A span."""
        del name, attributes
        return nullcontext()

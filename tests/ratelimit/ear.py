"""A subscriber of `observe` that listens to a limiter."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from socialflow_core.ratelimit import Limit, Rate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from socialflow_core._kit.observe import Fact
    from socialflow_core.ratelimit.memory import MemoryRateLimiter

ASKED = Limit("asked", Rate.parse("5/minute"))


class Ear:
    """A subscriber that writes down what it hears, and asks the limiter meanwhile."""

    def __init__(self, limiter: MemoryRateLimiter) -> None:
        self.limiter = limiter
        self.facts: list[Fact] = []
        self.counts: Counter[tuple[str, object]] = Counter()

    def on_fact(self, fact: Fact, /) -> None:
        """A fact."""
        self.facts.append(fact)
        self.limiter.peek("somebody", ASKED)

    def on_count(self, name: str, by: int, attributes: Mapping[str, object], /) -> None:
        """A count."""
        self.counts[name, attributes["limit"]] += by
        self.limiter.peek("somebody", ASKED)

    def on_span(
        self, name: str, attributes: Mapping[str, object], /
    ) -> AbstractContextManager[None]:
        """A span."""
        raise AssertionError(name, attributes)

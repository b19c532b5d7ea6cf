"""Counters as Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socialflow_core.ratelimit import Decision

__all__ = ["Counters"]

_HELP = {
    "http_requests_total": "Requests that the application answered.",
    "rate_limit_decisions_total": "Requests that a rate limit allowed or refused.",
}


class Counters:
    """Counts by name and labels; values of labels are the service's own, so they are few.

    >>> counters = Counters()
    >>> counters.add("http_requests_total", route="/", status="200")
    >>> counters.text().splitlines()[2]
    'http_requests_total{route="/",status="200"} 1'
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def add(self, name: str, **labels: str) -> None:
        """Add one to a counter of `_HELP`."""
        listed = ",".join(f'{label}="{value}"' for label, value in labels.items())
        with self._lock:
            self._counts[name, listed] += 1

    def decided(self, decision: Decision) -> None:
        """Count what a limiter decided."""
        allowed = "true" if decision.allowed else "false"
        self.add("rate_limit_decisions_total", limit=decision.decided_by.name, allowed=allowed)

    def text(self) -> str:
        """Everything, in the text format 0.0.4."""
        with self._lock:
            counts = sorted(self._counts.items())
        lines = []
        for name, about in _HELP.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} counter"]
            lines += [f"{name}{{{labels}}} {n}" for (each, labels), n in counts if each == name]
        return "\n".join([*lines, ""])

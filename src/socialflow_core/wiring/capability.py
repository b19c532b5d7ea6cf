"""What a service can do at the moment, and what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Capability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One thing that a service does, by which engine, and what it lacks.

    Attributes:
        name: "rate-limits".
        state: Whether it does all that it should, less, or nothing.
        engine: What does the work: "memory", "redis".
        reason: Why it does less, and what follows from it; empty if it does all.
    """

    name: str
    state: Literal["enabled", "degraded", "disabled"]
    engine: str
    reason: str = ""

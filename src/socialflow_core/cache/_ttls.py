"""How long answers of each kind are kept, as the system before this one did."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TTLS"]

TTLS: Final[Mapping[str, timedelta]] = MappingProxyType(
    {
        "profile": timedelta(seconds=300),
        "org": timedelta(seconds=300),
        "org_list": timedelta(seconds=120),
        "analytics": timedelta(seconds=60),
        "feed": timedelta(seconds=30),
    }
)
"""By what is kept: "profile", "org", "org_list", "analytics", "feed"."""

"""What every part of a `Core` stands on: the settings, and what has to be closed."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, Any

from .capability import Capability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socialflow_core.config.settings import Settings

__all__ = ["Base"]


class Base:
    """Settings, and the resources of the blocks that were built from them.

    Blocks do not share a connection: a slow answer to one is not an outage of the others.
    """

    def __init__(self, settings: Settings, given: Mapping[str, Any]) -> None:
        self.settings = settings
        self._resources = ExitStack()
        self._loop_resources = AsyncExitStack()
        vars(self).update({name: block for name, block in given.items() if block is not None})

    def _engine(self) -> str:
        """What keeps what has no setting of its own: "redis" where there is one."""
        return "redis" if self.settings.redis.in_use else "memory"

    def _capability(self, name: str, engine: str, blocks: tuple[str, ...], lost: str) -> Capability:
        """What is to be said of *blocks*, of those that are built; *lost* is what is then."""
        built = [vars(self).get(block) for block in blocks]
        away = any(getattr(block, "is_available", True) is False for block in built)
        return Capability(
            name=name,
            state="degraded" if away else "enabled",
            engine=engine,
            reason=lost if away else "",
        )

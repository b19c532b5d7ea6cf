"""Which tier a request counts in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.rate_limit_rules import RateLimitOptions, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from socialflow_core.ratelimit import Decision
    from socialflow_core.wiring import Core

__all__ = ["rate_limits"]


def rate_limits(core: Core, on_decision: Callable[[Decision], object]) -> RateLimitOptions:
    """The three tiers of the API; what stands outside of `/api` is never limited."""
    tiers = core.tiers
    expensive = ("/api/ai", "/api/tts", "/api/translation")
    return RateLimitOptions(
        # The first that fits decides, so the general one comes last.
        rules=(
            Rule("/api/auth", (tiers.auth,)),
            *(Rule(path, (tiers.ai,)) for path in expensive),
            Rule("/api", (tiers.general,)),
        ),
        identity=core.client_identity,
        reset=core.settings.redis.rate_limit_reset,
        on_decision=on_decision,
    )

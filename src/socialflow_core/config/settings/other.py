"""What stands alone."""

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from ._fields import DURATION, MILLISECONDS, choice, variable
from ._group import Group

__all__ = ["ModerationMode", "ModerationSensitivity", "Other"]

ModerationMode: TypeAlias = Literal["fail-closed", "fail-open"]
ModerationSensitivity: TypeAlias = Literal["low", "medium", "high"]


class Other(Group):
    """What stands alone."""

    hmac_timestamp_tolerance_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How old a signed request may be.", "300000"
    )
    dynamic_config_poll_interval_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How often dynamic configuration is fetched.", "60000"
    )
    moderation_mode: Annotated[ModerationMode, choice(ModerationMode)] = variable(
        "What happens to content that cannot be judged.", "fail-closed"
    )
    moderation_sensitivity: Annotated[ModerationSensitivity, choice(ModerationSensitivity)] = (
        variable("How strictly it is judged.", "medium")
    )
    shutdown_timeout: Annotated[timedelta, DURATION] = variable(
        "How long the service may take to stop.", "30s"
    )

"""How long files are kept, and what happens then."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

from ._fields import BOOL, COUNT_OR_ZERO, CRON, DAYS, PATH, PATHS, ZONE, By, choice, variable
from ._group import Group

__all__ = ["MissingPathPolicy", "Retention", "RetentionMode"]

RetentionMode: TypeAlias = Literal["archive", "delete"]
MissingPathPolicy: TypeAlias = Literal["warn", "fail", "ignore"]


class Retention(Group):
    """The pruning of old files."""

    data_pruning_enabled: Annotated[bool, BOOL] = variable(
        "Whether it runs by schedule; by hand it always does.", "false"
    )
    data_pruning_dry_run: Annotated[bool, BOOL] = variable(
        "Whether it only tells what it would do.", "false"
    )
    data_pruning_cron: Annotated[str, CRON] = variable("When it runs.", "0 2 * * *")
    data_pruning_timezone: Annotated[ZoneInfo | None, ZONE] = variable(
        "Of which place the schedule is.", By("the server's local zone", lambda _: None)
    )
    data_retention_mode: Annotated[RetentionMode, choice(RetentionMode)] = variable(
        "What happens to old files.", "archive"
    )
    data_retention_archive_dir: Annotated[Path, PATH] = variable(
        "Where they are moved.", "cold-storage"
    )
    data_retention_log_days: Annotated[timedelta, DAYS] = variable("How long logs are kept.", "30")
    data_retention_analytics_days: Annotated[timedelta, DAYS] = variable(
        "How long analytics are kept.", "90"
    )
    data_retention_log_paths: Annotated[tuple[Path, ...], PATHS] = variable(
        "Where logs are.", "logs"
    )
    data_retention_analytics_paths: Annotated[tuple[Path, ...], PATHS] = variable(
        "Where analytics are.", "data/analytics"
    )
    data_retention_missing_path_policy: Annotated[MissingPathPolicy, choice(MissingPathPolicy)] = (
        variable("What happens if one of these is not there.", "warn")
    )
    data_retention_missing_path_alert_threshold: Annotated[int, COUNT_OR_ZERO] = variable(
        "How many must be missing for an alert; 0 for never.", "3"
    )

"""Backups, and the storage that they go to."""

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from ._fields import BUCKET, COUNT, DAYS, SECONDS, TEXT, URL, choice, variable
from ._group import Group

__all__ = ["Backup", "BackupFormat"]

BackupFormat: TypeAlias = Literal["plain", "custom"]


class Backup(Group):
    """Backups of the database, and S3."""

    s3_backup_bucket: Annotated[str | None, BUCKET] = variable("Where backups are put.")
    s3_endpoint_url: Annotated[str | None, URL] = variable("A store that speaks S3 and is not AWS.")
    aws_region: Annotated[str, TEXT] = variable("The region of the bucket.", "us-east-1")
    backup_format: Annotated[BackupFormat, choice(BackupFormat)] = variable(
        "The format of pg_dump; custom is recommended.", "plain"
    )
    backup_retention_days: Annotated[timedelta, DAYS] = variable("How long backups are kept.", "30")
    backup_keep_min: Annotated[int, COUNT] = variable("How many are kept, however old.", "3")
    s3_presigned_url_expiry_seconds: Annotated[timedelta, SECONDS] = variable(
        "How long a presigned URL works.", "3600"
    )

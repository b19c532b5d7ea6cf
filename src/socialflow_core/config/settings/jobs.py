"""Background jobs."""

from datetime import timedelta
from typing import Annotated

from ._fields import LIST, MILLISECONDS, variable
from ._group import Group

__all__ = ["Jobs"]


class Jobs(Group):
    """The monitor of the workers."""

    worker_monitor_interval_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How often queues are looked at.", "30000"
    )
    worker_monitor_latency_threshold_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How long a job may wait.", "60000"
    )
    worker_monitor_stuck_threshold_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How long a job may run.", "300000"
    )
    worker_monitor_queues: Annotated[tuple[str, ...], LIST] = variable("Which queues.", "")

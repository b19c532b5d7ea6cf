"""PostgreSQL, and the pool of connections to it."""

from datetime import timedelta
from typing import Annotated

from socialflow_core._kit.secrets import Secret
from socialflow_core.config._interface import DatabasePool
from socialflow_core.config._pool import pool_of

from ._fields import BOOL, COUNT, POOL_TIMEOUT, POSTGRES_URL, By, variable
from ._group import Group
from ._rules import Findings, warn

__all__ = ["Database"]


def _nothing_is_left_to_prisma(database_url: Secret) -> Findings:
    # The pool's numbers do not matter here, and neither does the environment.
    known = [name for name, _ in pool_of(database_url, "test").only_prisma]
    if known:
        yield warn(
            "database_url",
            "{database_url} has parameters that only Prisma understands; every other driver"
            f" connects without them: {', '.join(known)}",
        )


def _one_pool_is_enough(db_pgbouncer: bool | None, db_connection_limit: int | None) -> Findings:  # noqa: FBT001 -- named by the field
    if db_pgbouncer and db_connection_limit not in {None, 1}:
        yield warn(
            "db_connection_limit",
            "{db_connection_limit} has no effect: with {db_pgbouncer} the limit is 1",
        )


class Database(Group):
    """PostgreSQL. `pool` and `replica_pool` say how to connect.

    A number of the pool that is None is not set: then the URL's holds, and without one
    that of the environment.
    """

    rules = (_nothing_is_left_to_prisma, _one_pool_is_enough)

    database_url: Annotated[Secret, POSTGRES_URL] = variable(
        "The database.",
        needed="yes",
        placeholder="postgresql://socialflow:development-only@localhost:5432/socialflow",
    )
    database_replica_url: Annotated[Secret | None, POSTGRES_URL] = variable(
        "A copy of it that may be read."
    )
    db_connection_limit: Annotated[int | None, COUNT] = variable(
        "The most open connections of each process; wins over connection_limit in the URL.",
        By("development 5, test 2, production 10", lambda _: None),
    )
    db_pool_timeout: Annotated[timedelta | None, POOL_TIMEOUT] = variable(
        "How long to wait for a free connection; wins over pool_timeout in the URL.",
        By("development 10s, test 10s, production 20s", lambda _: None),
    )
    db_pgbouncer: Annotated[bool | None, BOOL] = variable(
        "Whether PgBouncer in transaction mode is in between: limit 1, nothing prepared on"
        " the server; wins over pgbouncer in the URL.",
        By("false", lambda _: None),
    )

    @property
    def pool(self) -> DatabasePool:
        """The database: its URL without what only poolers understand, and the pool."""
        return self._pool_of(self.database_url)

    @property
    def replica_pool(self) -> DatabasePool | None:
        """The same for the copy, if there is one."""
        if self.database_replica_url is None:
            return None
        return self._pool_of(self.database_replica_url)

    def _pool_of(self, url: Secret) -> DatabasePool:
        return pool_of(
            url,
            self.app_env,
            limit=self.db_connection_limit,
            timeout=self.db_pool_timeout,
            pgbouncer=self.db_pgbouncer,
        )

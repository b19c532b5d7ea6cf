"""How large a pool of connections should be, and what to say of one that is larger."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from socialflow_core._kit.grammar import format_duration
from socialflow_core._kit.secrets import Secret

from ._interface import AppEnv, Caution, DatabasePool, PoolOptions
from ._postgres import check_postgres_url, split_postgres_url

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["POOL_DEFAULTS", "pool_advice", "pool_cautions", "pool_of"]

POOL_DEFAULTS = MappingProxyType[AppEnv, PoolOptions](
    {
        "development": PoolOptions(limit=5, timeout=timedelta(seconds=10)),
        "test": PoolOptions(limit=2, timeout=timedelta(seconds=10)),
        "production": PoolOptions(limit=10, timeout=timedelta(seconds=20)),
    }
)
"""What holds where neither a variable nor the URL says otherwise."""


def pool_of(
    url: Secret,
    app_env: AppEnv,
    *,
    limit: int | None = None,
    timeout: timedelta | None = None,
    pgbouncer: bool | None = None,
) -> DatabasePool:
    """Decide on the pool of the database at *url*.

    What is given wins over what the URL says, and that over the default of the
    environment. Behind PgBouncer the limit is 1 in any case: it does the pooling.

    Raises:
        GrammarError: If it is no PostgreSQL URL that every driver reads.

    >>> pool = pool_of(Secret("postgresql://db/app?connection_limit=3"), "production")
    >>> pool.options.limit, pool.url.reveal()
    (3, 'postgresql://db/app')
    """
    said = split_postgres_url(check_postgres_url(url.reveal()))
    default = POOL_DEFAULTS[app_env]
    through_bouncer = said.pgbouncer if pgbouncer is None else pgbouncer
    return DatabasePool(
        url=Secret(said.url),
        options=PoolOptions(
            limit=1 if through_bouncer else limit or said.limit or default.limit,
            timeout=timeout or said.timeout or default.timeout,
            prepared_statements=not through_bouncer,
        ),
        schema=said.schema,
        only_prisma=said.only_prisma,
    )


def _recommended(options: PoolOptions, cores: int) -> int:
    return 2 * cores + 1 if options.prepared_statements else 1


def pool_advice(options: PoolOptions, *, cores: int) -> str:
    """What the check says of a pool, whether or not there is something to warn of."""
    rule = "2 x CPU cores + 1" if options.prepared_statements else "through PgBouncer"
    return (
        f"Database pool: at most {options.limit} connections in each process,"
        f" {format_duration(options.timeout)} to wait for one.\n"
        f"Guidance: {_recommended(options, cores)} per instance ({rule}), and"
        " limit x instances <= max_connections of PostgreSQL."
    )


def pool_cautions(
    options: PoolOptions,
    *,
    cores: int,
    instances: int | None = None,
    max_connections: int | None = None,
    variable: str = "DB_CONNECTION_LIMIT",
) -> Iterator[Caution]:
    """Warn of a limit above 2 x *cores* + 1, and above *max_connections* / *instances*."""
    most = _recommended(options, cores)
    if options.limit > most:
        yield Caution(variable, f"{variable} is above 2 x CPU cores + 1 = {most} of this machine")
    if instances is not None and max_connections is not None:
        share = max_connections // instances
        if options.limit > share:
            yield Caution(
                variable,
                f"{variable} is above max_connections / instances = {share}:"
                " together they can ask for more connections than PostgreSQL has",
            )

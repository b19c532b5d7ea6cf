"""The environment of a service: its schema, its faults, and what follows from its values.

>>> from datetime import timedelta
>>> from socialflow_core import Secret
>>> from socialflow_core.config import pool_of
>>> pool_of(Secret("postgresql://db/app?pool_timeout=3"), "test").options.timeout
datetime.timedelta(seconds=3)

`socialflow_core.config.settings` reads it, and needs the extra `[config]`.
"""

from ._documents import example, table
from ._drivers import (
    asyncpg_connect,
    asyncpg_leaves_out,
    asyncpg_pool,
    prisma_url,
    psycopg_connect,
    psycopg_pool,
    sqlalchemy_engine,
)
from ._integrations import INTEGRATIONS, SOCIAL_PLATFORMS
from ._interface import (
    AppEnv,
    Caution,
    ConfigError,
    DatabasePool,
    Fault,
    GroupNotLoadedError,
    PoolOptions,
    Variable,
    report,
)
from ._pool import POOL_DEFAULTS, pool_advice, pool_cautions, pool_of

__all__ = [
    "INTEGRATIONS",
    "POOL_DEFAULTS",
    "SOCIAL_PLATFORMS",
    "AppEnv",
    "Caution",
    "ConfigError",
    "DatabasePool",
    "Fault",
    "GroupNotLoadedError",
    "PoolOptions",
    "Variable",
    "asyncpg_connect",
    "asyncpg_leaves_out",
    "asyncpg_pool",
    "example",
    "pool_advice",
    "pool_cautions",
    "pool_of",
    "prisma_url",
    "psycopg_connect",
    "psycopg_pool",
    "report",
    "sqlalchemy_engine",
    "table",
]

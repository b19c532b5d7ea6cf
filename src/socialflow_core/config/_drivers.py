"""A pool in the words of each driver: keyword arguments that it takes as they are.

They hold the password: pass them on, do not keep or log them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from ._postgres import encoded, parameters, partition, with_pairs

if TYPE_CHECKING:
    from ._interface import DatabasePool

__all__ = [
    "asyncpg_connect",
    "asyncpg_leaves_out",
    "asyncpg_pool",
    "prisma_url",
    "psycopg_connect",
    "psycopg_pool",
    "sqlalchemy_engine",
]

# Parameters of PostgreSQL's own library that asyncpg does not know: it would send them to
# the server as settings, which refuses the connection. Providers put some into their URLs.
_ONLY_LIBPQ = frozenset(
    {
        *("channel_binding", "connect_timeout", "fallback_application_name", "gssdelegation"),
        *("gssencmode", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle"),
        *("keepalives_interval", "load_balance_hosts", "max_protocol_version"),
        *("min_protocol_version", "require_auth", "requirepeer", "requiressl", "sslcertmode"),
        *("sslcompression", "sslcrldir", "sslkeylogfile", "sslsni", "tcp_user_timeout"),
    }
)


def psycopg_connect(pool: DatabasePool) -> dict[str, Any]:
    """For `psycopg.connect` and `psycopg.AsyncConnection.connect`."""
    arguments: dict[str, Any] = {**parameters(pool.url.reveal(), schema=pool.schema)}
    if not pool.options.prepared_statements:
        arguments["prepare_threshold"] = None
    return arguments


def psycopg_pool(pool: DatabasePool) -> dict[str, Any]:
    """For `psycopg_pool.ConnectionPool` and `AsyncConnectionPool`."""
    return {
        "kwargs": psycopg_connect(pool),
        "min_size": 1,
        "max_size": pool.options.limit,
        "timeout": pool.options.timeout.total_seconds(),
    }


def asyncpg_connect(pool: DatabasePool) -> dict[str, Any]:
    """For `asyncpg.connect`; see `asyncpg_leaves_out`."""
    url, taken = partition(pool.url.reveal(), _ONLY_LIBPQ)
    base, mark, query = url.partition("?")
    # asyncpg reads a query as that of a form, where a plus is a space; nobody else does.
    arguments: dict[str, Any] = {"dsn": base + mark + query.replace("+", "%2B")}
    # Without a limit, as zero means there, is not on offer: then asyncpg's own holds.
    if wait := int(dict(taken).get("connect_timeout") or 0):
        arguments["timeout"] = float(wait)
    if options := parameters(pool.url.reveal(), schema=pool.schema).get("options"):
        arguments["server_settings"] = {"options": options}
    if not pool.options.prepared_statements:
        arguments["statement_cache_size"] = 0
    return arguments


def asyncpg_leaves_out(pool: DatabasePool) -> tuple[str, ...]:
    """The parameters of the URL that asyncpg has no counterpart of: it connects without them."""
    _, taken = partition(pool.url.reveal(), _ONLY_LIBPQ - {"connect_timeout"})
    return tuple(name for name, _ in taken)


def asyncpg_pool(pool: DatabasePool) -> dict[str, Any]:
    """For `asyncpg.create_pool`; the time to wait goes to each `acquire(timeout=...)`."""
    return {**asyncpg_connect(pool), "min_size": 1, "max_size": pool.options.limit}


def sqlalchemy_engine(
    pool: DatabasePool, *, driver: Literal["psycopg", "asyncpg"] = "psycopg"
) -> dict[str, Any]:
    """For `sqlalchemy.create_engine` and `create_async_engine`.

    The driver gets its own arguments beside an empty URL: in one of SQLAlchemy's, several
    hosts and half of the parameters would be lost, and the password would be in `engine.url`.
    """
    if driver == "psycopg":
        arguments = psycopg_connect(pool)
    else:
        arguments = asyncpg_connect(pool)
        if not pool.options.prepared_statements:
            # SQLAlchemy prepares each statement itself, under a name; an empty one is not kept.
            arguments["prepared_statement_cache_size"] = 0
            arguments["prepared_statement_name_func"] = str
    return {
        "url": f"postgresql+{driver}://",
        "pool_size": pool.options.limit,
        "max_overflow": 0,
        "pool_timeout": pool.options.timeout.total_seconds(),
        "connect_args": arguments,
    }


def prisma_url(pool: DatabasePool) -> str:
    """The URL with the pool in its query, as Prisma and the system's other services read it."""
    pairs = [
        ("connection_limit", str(pool.options.limit)),
        ("pool_timeout", str(math.ceil(pool.options.timeout.total_seconds()))),
    ]
    if not pool.options.prepared_statements:
        pairs.append(("pgbouncer", "true"))
    if pool.schema:
        pairs.append(("schema", encoded(pool.schema)))
    return with_pairs(pool.url.reveal(), [*pairs, *pool.only_prisma])

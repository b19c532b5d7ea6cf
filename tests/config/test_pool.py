"""The pool of a database: whose number holds, and that nothing but the query is rewritten."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core import Secret
from socialflow_core._kit.grammar import GrammarError
from socialflow_core.config import (
    AppEnv,
    Caution,
    DatabasePool,
    PoolOptions,
    asyncpg_connect,
    asyncpg_leaves_out,
    asyncpg_pool,
    pool_advice,
    pool_cautions,
    pool_of,
    prisma_url,
    psycopg_connect,
    psycopg_pool,
    sqlalchemy_engine,
)
from socialflow_core.config.settings import load

SECOND = timedelta(seconds=1)
LIMITS = {
    "development": (5, 10 * SECOND),
    "test": (2, 10 * SECOND),
    "production": (10, 20 * SECOND),
}

app_envs: st.SearchStrategy[AppEnv] = st.sampled_from(["development", "test", "production"])
limits = st.none() | st.integers(1, 1000)
waits = st.none() | st.integers(1, 1000).map(SECOND.__mul__)
bouncers = st.none() | st.booleans()
words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)
kept = st.lists(
    st.tuples(
        st.sampled_from(["sslmode", "application_name", "connect_timeout", "x"]), st.just("7")
    ),
    unique_by=lambda pair: pair[0],
)
bases = st.sampled_from(
    [
        "postgresql://",
        "postgresql:///db",
        "postgres://u:p%40ss%2Fwd@h:5433/db",
        "postgresql://u@h1:1,[::1]:2,h3/db",
        "postgresql://%2Frun%2Fpostgresql/db",
    ]
)


def query(pairs: Sequence[tuple[str, object]]) -> str:
    """The query of a URL with these pairs, those of None left out."""
    texts = [f"{name}={value}" for name, value in pairs if value is not None]
    return f"?{'&'.join(texts)}" if texts else ""


@given(app_envs, limits, limits, waits, waits, bouncers, bouncers)
def test_the_order_of_precedence(  # noqa: PLR0913, PLR0917 -- two sources of three numbers
    app_env: AppEnv,
    limit: int | None,
    url_limit: int | None,
    timeout: timedelta | None,
    url_timeout: timedelta | None,
    pgbouncer: bool | None,  # noqa: FBT001 -- drawn
    url_pgbouncer: bool | None,  # noqa: FBT001 -- a row of a table
) -> None:
    """A variable wins over the URL, that over the default; behind PgBouncer the limit is 1."""
    said = [
        ("connection_limit", url_limit),
        ("pool_timeout", url_timeout and url_timeout // SECOND),
        ("pgbouncer", None if url_pgbouncer is None else str(url_pgbouncer).lower()),
    ]
    url = Secret(f"postgresql://h/db{query(said)}")
    options = pool_of(url, app_env, limit=limit, timeout=timeout, pgbouncer=pgbouncer).options
    bouncer = bool(url_pgbouncer if pgbouncer is None else pgbouncer)
    assert options.limit == (1 if bouncer else limit or url_limit or LIMITS[app_env][0])
    assert options.timeout == (timeout or url_timeout or LIMITS[app_env][1])
    assert options.prepared_statements is not bouncer


@given(bases, kept, limits, words | st.none())
def test_only_the_query_is_edited(
    base: str, others: list[tuple[str, str]], limit: int | None, schema: str | None
) -> None:
    """What only poolers know is taken out, and put back for Prisma; the rest stays as written."""
    pairs = [("connection_limit", limit), *others, ("schema", schema and quote(schema, safe=""))]
    pool = pool_of(Secret(base + query(pairs)), "test")
    assert pool.url.reveal() == base + query([*others])
    assert pool.schema == (schema or "")
    again = pool_of(Secret(prisma_url(pool)), "production")
    assert (again, again.url) == (pool, pool.url)


def test_parameters_of_prisma_go_back_to_prisma_alone() -> None:
    """They are not lost for the service that understands them."""
    url = "postgresql://h/db?sslaccept=strict&sslmode=require&pool%5Ftimeout=7&connection_limit="
    pool = pool_of(Secret(url), "test")
    assert pool.url.reveal() == "postgresql://h/db?sslmode=require"
    assert pool.only_prisma == (("sslaccept", "strict"),)
    assert prisma_url(pool) == (
        "postgresql://h/db?sslmode=require&connection_limit=2&pool_timeout=7&sslaccept=strict"
    )


def test_a_replica_has_a_pool_of_its_own() -> None:
    """Its URL is judged by itself; the variables hold for both."""
    environ = {
        "DATABASE_URL": "postgresql://h/db?connection_limit=3",
        "DATABASE_REPLICA_URL": "postgresql://r/db?connection_limit=4&pool_timeout=5",
        "DB_POOL_TIMEOUT": "6",
    }
    database = load(["database"], environ=environ, env_file=None).database
    assert database.pool.options == PoolOptions(limit=3, timeout=6 * SECOND)
    assert database.replica_pool == DatabasePool(
        url=Secret("postgresql://r/db"), options=PoolOptions(limit=4, timeout=6 * SECOND)
    )
    del environ["DATABASE_REPLICA_URL"]
    assert load(["database"], environ=environ, env_file=None).database.replica_pool is None


def test_a_url_that_drivers_read_differently_has_no_pool() -> None:
    """`pool_of` checks what it is given, also outside of settings."""
    with pytest.raises(GrammarError, match="percent-encoded"):
        pool_of(Secret("postgresql://u:p@ss/wd@h/db"), "test")
    with pytest.raises(GrammarError, match="its pool_timeout must be a duration of at least 1s"):
        pool_of(Secret("postgresql://h/db?pool_timeout=0"), "test")


@pytest.mark.parametrize(("limit", "timeout"), [(0, SECOND), (1, timedelta(0))])
def test_options_check_themselves(limit: int, timeout: timedelta) -> None:
    """A pool of nothing, and one without patience, cannot be built."""
    with pytest.raises(ValueError, match="must be"):
        PoolOptions(limit=limit, timeout=timeout)


@given(
    limits.filter(bool), st.integers(1, 64), st.integers(1, 64), st.integers(1, 500), st.booleans()
)
def test_too_large_a_pool_is_warned_of(
    limit: int,
    cores: int,
    instances: int,
    most: int,
    direct: bool,  # noqa: FBT001 -- drawn
) -> None:
    """Above 2 x cores + 1 (behind PgBouncer: 1), and above max_connections / instances."""
    options = PoolOptions(limit=limit, timeout=SECOND, prepared_statements=direct)
    recommended = 2 * cores + 1 if direct else 1
    expected = []
    if limit > recommended:
        expected.append(f"above 2 x CPU cores + 1 = {recommended} ")
    assert said(pool_cautions(options, cores=cores), expected)
    if limit * instances > most:
        expected.append(f"above max_connections / instances = {most // instances}:")
    found = pool_cautions(options, cores=cores, instances=instances, max_connections=most)
    assert said(found, expected)


def said(found: Iterable[Caution], expected: list[str]) -> bool:
    """Whether there are as many warnings as expected, each with its words."""
    texts = list(map(str, found))
    return len(texts) == len(expected) and all(map(str.__contains__, texts, expected))


def test_advice_is_given_in_any_case() -> None:
    """The check prints the rule, whether or not it is broken."""
    options = PoolOptions(limit=5, timeout=10 * SECOND)
    assert pool_advice(options, cores=2) == (
        "Database pool: at most 5 connections in each process, 10s to wait for one.\n"
        "Guidance: 5 per instance (2 x CPU cores + 1), and limit x instances <= max_connections"
        " of PostgreSQL."
    )
    bounced = PoolOptions(limit=1, timeout=SECOND, prepared_statements=False)
    assert "Guidance: 1 per instance (through PgBouncer)," in pool_advice(bounced, cores=8)


def pool_for(url: str, *, pgbouncer: bool | None = None) -> DatabasePool:
    """The pool of a database in tests."""
    return pool_of(Secret(url), "test", pgbouncer=pgbouncer)


def test_psycopg_gets_keywords() -> None:
    """Decoded, each host with its port, nothing that is not said."""
    assert psycopg_connect(
        pool_for("postgresql://u:p%40s@h1:1,[::1],h3:3/d%20b?sslmode=require")
    ) == {
        "user": "u",
        "password": "p@s",
        "host": "h1,::1,h3",
        "port": "1,,3",
        "dbname": "d b",
        "sslmode": "require",
    }
    assert psycopg_connect(pool_for("postgresql://", pgbouncer=True)) == {"prepare_threshold": None}
    assert psycopg_pool(pool_for("postgresql://h")) == {
        "kwargs": {"host": "h"},
        "min_size": 1,
        "max_size": 2,
        "timeout": 10.0,
    }


def test_asyncpg_gets_a_dsn() -> None:
    """Without what only libpq knows, which is named; a plus stays a plus."""
    url = (
        "postgresql://h/db?channel_binding=require&connect_timeout=3&application_name=a+b&sslsni=1"
    )
    assert asyncpg_connect(pool_for(url)) == {
        "dsn": "postgresql://h/db?application_name=a%2Bb",
        "timeout": 3.0,
    }
    assert asyncpg_leaves_out(pool_for(url)) == ("channel_binding", "sslsni")
    assert asyncpg_connect(pool_for("postgresql://h?connect_timeout=0")) == {
        "dsn": "postgresql://h"
    }
    assert asyncpg_pool(pool_for("postgresql://h", pgbouncer=True)) == {
        "dsn": "postgresql://h",
        "statement_cache_size": 0,
        "min_size": 1,
        "max_size": 1,
    }


def test_sqlalchemy_gets_a_url_without_password() -> None:
    """The URL of the engine is shown by SQLAlchemy: the account is beside it."""
    pool = pool_for("postgresql://u:hunter2@h/db")
    assert sqlalchemy_engine(pool) == {
        "url": "postgresql+psycopg://",
        "pool_size": 2,
        "max_overflow": 0,
        "pool_timeout": 10.0,
        "connect_args": psycopg_connect(pool),
    }
    assert sqlalchemy_engine(pool, driver="asyncpg")["connect_args"] == asyncpg_connect(pool)


def test_prisma_gets_one_url() -> None:
    """With everything in the query, and whole seconds, rounded up."""
    pool = pool_of(
        Secret("postgres://h/db?schema=a%20b"), "test", timeout=1.5 * SECOND, pgbouncer=True
    )
    assert dict(parse_qsl(urlsplit(prisma_url(pool)).query)) == {
        "connection_limit": "1",
        "pool_timeout": "2",
        "pgbouncer": "true",
        "schema": "a b",
    }

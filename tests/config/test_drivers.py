"""What the real drivers do with a pool, against a real PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import asyncpg  # type: ignore[import-untyped]  # -- it ships none
import psycopg
import pytest
import sqlalchemy
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine

from socialflow_core import Secret
from socialflow_core.config import (
    DatabasePool,
    asyncpg_connect,
    asyncpg_pool,
    pool_of,
    prisma_url,
    psycopg_connect,
    psycopg_pool,
    sqlalchemy_engine,
)
from socialflow_core.testing.servers.postgres import PostgresServer

# What a URL of this system may hold; drivers refuse half of it, or forward it to the server.
QUERY = (
    "?connection_limit=1&pool_timeout=1&schema=My%20%22Sc%5Chema&application_name=a+b"
    "&connect_timeout=5&channel_binding=prefer&keepalives=1&options=-cstatement_timeout%3D9s"
    "&socket_timeout=3"
)
SEARCH_PATH = '"My ""Sc\\hema"'
STATE = "select current_setting('search_path'), current_setting('application_name'), current_setting('statement_timeout')"
PREPARED = "select count(*) from pg_prepared_statements"

Ask = Callable[[DatabasePool, list[str]], list[tuple[Any, ...]]]


def with_psycopg(pool: DatabasePool, statements: list[str]) -> list[tuple[Any, ...]]:
    """The first row of each statement, by psycopg."""
    with psycopg.connect(**psycopg_connect(pool)) as connection:
        rows = [connection.execute(each.encode()).fetchone() for each in statements]
    return [tuple(row or ()) for row in rows]


def with_asyncpg(pool: DatabasePool, statements: list[str]) -> list[tuple[Any, ...]]:
    """The same by asyncpg."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(**asyncpg_connect(pool))
        try:
            return [tuple(await connection.fetchrow(each) or ()) for each in statements]
        finally:
            await connection.close()

    return asyncio.run(ask())


def with_sqlalchemy(pool: DatabasePool, statements: list[str]) -> list[tuple[Any, ...]]:
    """The same by SQLAlchemy's sync engine."""
    engine = sqlalchemy.create_engine(**sqlalchemy_engine(pool))
    with engine.connect() as connection:
        rows = [connection.execute(sqlalchemy.text(each)).one() for each in statements]
    engine.dispose()
    return [tuple(row) for row in rows]


def with_async_sqlalchemy(driver: Any) -> Ask:
    """The same by its async engine, over this driver."""

    async def ask(pool: DatabasePool, statements: list[str]) -> list[tuple[Any, ...]]:
        engine = create_async_engine(**sqlalchemy_engine(pool, driver=driver))
        async with engine.connect() as connection:
            rows = [(await connection.execute(sqlalchemy.text(each))).one() for each in statements]
        await engine.dispose()
        return [tuple(row) for row in rows]

    return lambda pool, statements: asyncio.run(ask(pool, statements))


DRIVERS: dict[str, Ask] = {
    "psycopg": with_psycopg,
    "asyncpg": with_asyncpg,
    "sqlalchemy": with_sqlalchemy,
    "sqlalchemy async, psycopg": with_async_sqlalchemy("psycopg"),
    "sqlalchemy async, asyncpg": with_async_sqlalchemy("asyncpg"),
}


@pytest.fixture(params=DRIVERS)
def ask(request: pytest.FixtureRequest) -> Ask:
    """Every driver that there is a rendering for."""
    return DRIVERS[request.param]


def test_each_driver_connects_with_what_it_understands(server: PostgresServer, ask: Ask) -> None:
    """Parameters of poolers, of Prisma and of libpq trip no driver; what is left is obeyed."""
    pool = pool_of(Secret(server.url + QUERY), "production")
    assert ask(pool, [STATE]) == [(SEARCH_PATH, "a+b", "9s")]
    assert ask(pool_of(Secret(prisma_url(pool)), "test"), [STATE]) == [(SEARCH_PATH, "a+b", "9s")]


@pytest.mark.parametrize("pgbouncer", [False, True])
def test_nothing_is_prepared_behind_pgbouncer(
    server: PostgresServer,
    ask: Ask,
    pgbouncer: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    """After a statement was run again and again the server holds none: else it holds some."""
    pool = pool_of(Secret(server.url), "production", pgbouncer=pgbouncer)
    *_, (count,) = ask(pool, [*["select 1"] * 8, PREPARED])
    assert (count == 0) is pgbouncer


@pytest.mark.parametrize(
    "form",
    [
        "postgresql:///postgres?host={folder}&port={port}&user=postgres&password={password}",
        "postgresql://postgres:{password}@{quoted}:{port}/postgres",
        "postgresql://postgres:{password}@/postgres?host={quoted}&port={port}",
        "postgres://postgres:{password}@127.0.0.1:1,127.0.0.1:{port}/postgres?connection_limit=2",
    ],
)
def test_sockets_and_several_hosts(server: PostgresServer, ask: Ask, form: str) -> None:
    """URLs that are often broken by being taken apart reach the server, with every driver."""
    folder = str(server.sockets)
    url = form.format(
        folder=folder, quoted=quote(folder, safe=""), port=server.port, password=server.password
    )
    assert ask(pool_of(Secret(url), "test"), ["select 1"]) == [(1,)]


@pytest.fixture(scope="module")
def odd_account(server: PostgresServer) -> Iterator[str]:
    """The URL of a user and a database whose names and password need every escape."""
    name, password = "ö@:/?#[ ]%", "p@ss/wd:?#[]%&=+ \N{KEY}'\\"
    as_name, as_text = name.replace('"', '""'), password.replace("'", "''").replace("\\", "\\\\")
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        connection.execute(f"create user \"{as_name}\" password E'{as_text}'".encode())
        connection.execute(f'create database "{as_name}"'.encode())
        account = f"{quote(name, safe='')}:{quote(password, safe='')}"
        yield f"postgresql://{account}@127.0.0.1:{server.port}/{quote(name, safe='')}"
        connection.execute(f'drop database "{as_name}" with (force)'.encode())
        connection.execute(f'drop user "{as_name}"'.encode())


def test_odd_names_and_passwords_arrive(odd_account: str, ask: Ask) -> None:
    """Percent-encoded they mean the same to every driver."""
    pool = pool_of(Secret(odd_account + "?pool_timeout=3"), "test")
    assert ask(pool, ["select current_user = current_database()"]) == [(True,)]


def test_the_pool_of_psycopg_holds_the_limit(server: PostgresServer) -> None:
    """One connection, and a second caller waits no longer than pool_timeout."""
    pool = pool_of(Secret(server.url + QUERY), "production")
    with ConnectionPool(**psycopg_pool(pool), open=True) as connections, connections.connection():
        assert connections.max_size == 1
        with pytest.raises(PoolTimeout, match=r"1\.00 sec"):
            connections.getconn()


def test_the_pool_of_asyncpg_holds_the_limit(server: PostgresServer) -> None:
    """One connection, and a second caller waits as long as it says."""
    pool = pool_of(Secret(server.url + QUERY), "production")

    async def second_caller() -> int:
        async with asyncpg.create_pool(**asyncpg_pool(pool)) as connections, connections.acquire():
            with pytest.raises(TimeoutError):
                await connections.acquire(timeout=pool.options.timeout.total_seconds() / 10)
            return int(connections.get_max_size())

    assert asyncio.run(second_caller()) == 1


def test_the_pool_of_sqlalchemy_holds_the_limit(server: PostgresServer) -> None:
    """One connection without overflow, and a second caller waits no longer than pool_timeout."""
    pool = pool_of(Secret(server.url + QUERY), "production")
    engine = sqlalchemy.create_engine(**sqlalchemy_engine(pool))
    with engine.connect(), pytest.raises(sqlalchemy.exc.TimeoutError, match=r"timeout 1\.00"):
        engine.connect()
    assert server.password not in repr(engine.url)
    engine.dispose()


def test_without_all_this_the_drivers_refuse(server: PostgresServer) -> None:
    """The reason for renderings: the URL of the system, as it stands, connects nowhere."""

    async def connect() -> None:
        await asyncpg.connect(server.url + QUERY)

    with pytest.raises(psycopg.ProgrammingError, match="invalid URI query parameter"):
        psycopg.connect(server.url + QUERY)
    with pytest.raises(asyncpg.UndefinedObjectError, match="unrecognized configuration parameter"):
        asyncio.run(connect())

"""PostgreSQL URLs: checked, and their parameters taken apart and put together.

Only the query is ever rewritten. `urlunsplit` would turn `postgresql:///db?host=/run` into
`postgresql:/db?host=/run`, which PostgreSQL's own library refuses.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote, unquote

from socialflow_core._kit.grammar import GrammarError, parse_bool

from ._texts import check_authority, duration, split_url, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

__all__ = [
    "Pairs",
    "SplitUrl",
    "check_postgres_url",
    "encoded",
    "parameters",
    "partition",
    "pool_timeout",
    "split_postgres_url",
    "with_pairs",
]

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values of a query, percent-encoded as they were written."""

ResultT = TypeVar("ResultT")

_SCHEMES = ("postgresql", "postgres")
# What Prisma's connector understands and PostgreSQL's own library refuses, beside the
# parameters of the pool. https://www.prisma.io/docs/orm/core-concepts/supported-databases/postgresql
_ONLY_PRISMA = frozenset(
    {"single_use_connections", "socket_timeout", "sslaccept", "sslidentity", "statement_cache_size"}
)
_OF_POOL = frozenset({"connection_limit", "pgbouncer", "pool_timeout", "schema"})

pool_timeout = duration(timedelta(seconds=1), "a duration of at least 1s")
_limit = whole(1)


class SplitUrl(NamedTuple):
    """A URL, and what it said of the pool before that was taken out of it."""

    url: str
    limit: int | None
    timeout: timedelta | None
    pgbouncer: bool | None
    schema: str
    only_prisma: Pairs


def check_postgres_url(text: str) -> str:
    """Answer *text* if every driver reads it, and reads the same in it.

    Raises:
        GrammarError: If not. Among others for an unescaped "@" or "/" in the password,
            of which drivers make a host and ask the network for it.
    """
    _, authority, _, query = split_url(text, _SCHEMES)
    user, at, hosts = authority.rpartition("@")
    if at and not user:
        raise GrammarError("must name a user in front of the @")
    for host in filter(None, hosts.split(",")):
        # A folder of Unix sockets may stand there, percent-encoded.
        check_authority(re.sub("%[0-9A-Fa-f]{2}", "_", host))
    for pair in query[1:].split("&") if query else ():
        # libpq refuses a second "=", asyncpg an empty pair.
        if pair.count("=") != 1 or pair.startswith("="):
            raise GrammarError("must have name=value pairs behind the ?, a further = written %3D")
    _read("connect_timeout", _decoded(_query(text)[1]), whole(0))
    split_postgres_url(text)
    return text


def split_postgres_url(url: str) -> SplitUrl:
    """Take the parameters that only poolers understand out of *url*."""
    cleaned, taken = partition(url, _OF_POOL | _ONLY_PRISMA)
    decoded = _decoded(taken)
    return SplitUrl(
        url=cleaned,
        limit=_read("connection_limit", decoded, _limit),
        timeout=_read("pool_timeout", decoded, pool_timeout),
        pgbouncer=_read("pgbouncer", decoded, parse_bool),
        schema=decoded.get("schema", ""),
        only_prisma=tuple(pair for pair in taken if pair[0] in _ONLY_PRISMA),
    )


def _decoded(pairs: Pairs) -> dict[str, str]:
    return {unquote(name): unquote(value) for name, value in pairs}


def _read(name: str, decoded: dict[str, str], parse: Callable[[str], ResultT]) -> ResultT | None:
    if not decoded.get(name):
        return None
    try:
        return parse(decoded[name])
    except GrammarError as error:
        reason = str(error)
    raise GrammarError(f"its {name} {reason}")


def _query(url: str) -> tuple[str, Pairs]:
    base, _, query = url.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return base, tuple((name, value) for name, _, value in pairs)


def partition(url: str, names: Container[str]) -> tuple[str, Pairs]:
    """*url* without the parameters of these *names*, and what was taken out."""
    base, pairs = _query(url)
    taken = tuple(pair for pair in pairs if unquote(pair[0]) in names)
    kept = [pair for pair in pairs if pair not in taken]
    return with_pairs(base, kept), tuple((unquote(name), value) for name, value in taken)


def with_pairs(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """*url* with these percent-encoded *pairs* behind those that it has."""
    base, had = _query(url)
    query = "&".join(f"{name}={value}" for name, value in (*had, *pairs))
    return f"{base}?{query}" if query else base


def parameters(url: str, *, schema: str = "") -> dict[str, str]:
    """What PostgreSQL's own library takes as keywords, decoded.

    With a *schema*, the search path begins with it.

    >>> parameters("postgresql://u:p%40ss@h1:1,h2/db?sslmode=require") == {
    ...     "user": "u",
    ...     "password": "p@ss",
    ...     "host": "h1,h2",
    ...     "port": "1,",
    ...     "dbname": "db",
    ...     "sslmode": "require",
    ... }
    True
    """
    base, pairs = _query(url)
    _, authority, path, _ = split_url(base, _SCHEMES)
    account, _, hosts = authority.rpartition("@")
    user, _, password = account.partition(":")
    # The colon of a port is the one behind the last bracket of an IPv6 address.
    ends = [re.fullmatch(r"(\[[^\]]*\]|[^:]*):?([0-9]*)", host) for host in hosts.split(",")]
    named = {
        "user": user,
        "password": password,
        "host": ",".join(end[1].strip("[]") for end in ends if end),
        "port": ",".join(end[2] for end in ends if end),
        "dbname": path[1:],
        **dict(pairs),
    }
    decoded = {unquote(name): unquote(value) for name, value in named.items() if value.strip(",")}
    if schema:
        decoded["options"] = (
            f"{decoded.get('options', '')} -csearch_path={_identifier(schema)}".strip()
        )
    return decoded


def _identifier(name: str) -> str:
    """*name*, quoted for SQL and then for the options of a session, which split at spaces."""
    quoted = '"' + name.replace('"', '""') + '"'
    return re.sub(r"([\\\s])", r"\\\1", quoted)


def encoded(text: str) -> str:
    """*text* as it may stand in a query."""
    return quote(text, safe="")

"""How the fields of a group are declared: each has a type, and a kind that reads it from text."""

# Annotations are evaluated here and in the groups, by pydantic: no `from __future__`.
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.grammar import (
    GrammarError,
    check_cron,
    parse_bool,
    parse_list,
    parse_networks,
)
from socialflow_core._kit.secrets import Secret
from socialflow_core.config._interface import Variable
from socialflow_core.config._postgres import check_postgres_url, pool_timeout
from socialflow_core.config._texts import (
    as_headers,
    as_hosts,
    as_index,
    as_rate,
    as_secrets,
    as_text,
    bucket,
    check_redis_url,
    count_of,
    duration,
    each_of,
    number,
    one_of,
    url,
    whole,
)

with requires_extra("config"):
    from pydantic import Field, GetCoreSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema, core_schema

__all__ = [
    "BOOL",
    "BUCKET",
    "COUNT",
    "COUNT_OR_ZERO",
    "CRON",
    "DAYS",
    "DURATION",
    "FRACTION",
    "HEADERS",
    "HOSTS",
    "INDEX",
    "LIST",
    "MILLISECONDS",
    "NETWORKS",
    "PATH",
    "PATHS",
    "PERCENT",
    "POOL_TIMEOUT",
    "PORT",
    "POSTGRES_URL",
    "RATE",
    "REDIS_URL",
    "SECONDS",
    "SECRET",
    "SECRETS",
    "SECRET_URL",
    "TEXT",
    "URL",
    "WEBHOOK_URL",
    "ZONE",
    "By",
    "Kind",
    "choice",
    "describe",
    "kind_of",
    "some_of",
    "variable",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a variable holds, in the words of the schema, and how its text is read.

    As part of a field's annotation it makes pydantic read texts; values pass as they are.
    """

    name: str
    parse: Callable[[str], object]

    def __get_pydantic_core_schema__(
        self, source: type[object], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def _read(self, given: object) -> object:
        return self.parse(given) if isinstance(given, str) else given


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # KeyError: not found
        raise GrammarError(
            "must be an IANA time zone that this machine knows, such as Europe/Paris"
        ) from None


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(map(Path, parse_list(text)))


TEXT = Kind("text", as_text)
LIST = Kind("list", parse_list)
BOOL = Kind("bool", parse_bool)
PORT = Kind("port 1-65535", whole(1, 65_535))
COUNT = Kind("int >= 1", whole(1))
COUNT_OR_ZERO = Kind("int >= 0", whole(0))
PERCENT = Kind("number > 0, <= 100", number("a number above 0, up to 100", lambda n: 0 < n <= 100))  # noqa: PLR2004 -- percent
FRACTION = Kind("number 0-1", number("a number from 0 to 1", lambda n: n <= 1))
DURATION = Kind("duration > 0", duration())
POOL_TIMEOUT = Kind("duration >= 1s", pool_timeout)
MILLISECONDS = Kind("milliseconds > 0", count_of(timedelta(milliseconds=1), "milliseconds"))
SECONDS = Kind("seconds >= 1", count_of(timedelta(seconds=1), "seconds"))
DAYS = Kind("days >= 1", count_of(timedelta(days=1), "days"))
RATE = Kind("rate", as_rate)
NETWORKS = Kind("list of addresses and CIDR blocks", parse_networks)
HOSTS = Kind("list of host names", as_hosts)
CRON = Kind("cron, five fields", check_cron)
ZONE = Kind("IANA zone", _zone)
PATH = Kind("path", Path)
PATHS = Kind("list of paths", _paths)
BUCKET = Kind("bucket name", bucket)
INDEX = Kind("index name", as_index)
SECRET = Kind("secret", Secret)
SECRETS = Kind("secret, or a list of them", as_secrets)
HEADERS = Kind("secret: name=value,name=value", as_headers)
URL = Kind("URL", url("http", "https", answer=str))
SECRET_URL = Kind("URL, kept secret", url("http", "https", answer=Secret))
WEBHOOK_URL = Kind("secret URL, https", url("https", answer=Secret))
POSTGRES_URL = Kind(
    "secret: postgresql:// or postgres:// URL", lambda text: Secret(check_postgres_url(text))
)
REDIS_URL = Kind(
    "secret: redis:// rediss:// unix:// valkey:// URL", lambda text: Secret(check_redis_url(text))
)


def choice(literal: object) -> Kind:
    """One of the names of a `Literal`."""
    names = get_args(literal)
    return Kind(" | ".join(names), one_of(names))


def some_of(names: tuple[str, ...]) -> Kind:
    """A list of these *names*."""
    return Kind(f"list of {', '.join(names)}", each_of(names))


@dataclass(frozen=True, slots=True)
class By:
    """A default that depends on the group's other values; *shown* puts the rule in words."""

    shown: str
    decide: Callable[[Mapping[str, Any]], object]

    def __call__(self, values: dict[str, Any]) -> object:
        """The default beside these *values*, as pydantic calls a `default_factory`."""
        return self.decide(values)


def variable(
    about: str,
    default: str | By | None = None,
    *,
    needed: str = "",
    placeholder: str = "",
    alias: str = "",
) -> Any:
    """Declare a field.

    Args:
        about: What it is for.
        default: As an operator would write it; None if it has none.
        needed: "yes" if it has to be set; when, if a rule of the group decides.
        placeholder: What `.env.example` sets; refused in production.
        alias: A second name that means the same.
    """
    extra: dict[str, Any] = {"needed": needed, "placeholder": placeholder, "alias": alias}
    if isinstance(default, By):
        return Field(default_factory=default, description=about, json_schema_extra=extra)
    given = ... if needed == "yes" else default
    return Field(given, description=about, json_schema_extra=extra)


def kind_of(field: FieldInfo) -> Kind:
    """How the text of *field* is read."""
    return next(each for each in field.metadata if isinstance(each, Kind))


def describe(name: str, field: FieldInfo) -> Variable:
    """What the docs say of the variable of a field."""
    extra: Any = field.json_schema_extra
    by = field.default_factory
    default = by.shown if isinstance(by, By) else field.default
    return Variable(
        name=name.upper(),
        kind=kind_of(field).name,
        about=str(field.description),
        default=default if isinstance(default, str) else "",
        literal=by is None,
        **extra,
    )

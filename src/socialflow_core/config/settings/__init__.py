"""The whole environment of the system, validated at the start. Needs the extra `[config]`.

>>> from socialflow_core.config.settings import load
>>> settings = load(["redis"], environ={"RATE_LIMIT_AUTH": "5/1m"}, env_file=None)
>>> settings.redis.rate_limit_auth.limit
5
"""

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Generic, NoReturn, Self, TypedDict, TypeVar, Unpack, overload

from socialflow_core.config._interface import (
    Caution,
    ConfigError,
    Fault,
    GroupNotLoadedError,
    Variable,
    report,
)

from ._fields import describe
from ._group import Group
from ._reading import Reading, fields_of, read
from ._sources import DEFAULT_FILE, FilePath, Variables, env_file_texts, secret_texts
from .alerts import Alerts
from .auth import Auth
from .backup import Backup
from .billing import Billing
from .database import Database
from .jobs import Jobs
from .logs import Logs
from .other import Other
from .providers import Providers
from .redis import Redis
from .retention import Retention
from .search import Search
from .service import Service
from .social import Social
from .tracing import Tracing

__all__ = ["GROUPS", "Group", "Settings", "Sources", "load", "load_or_exit", "schema"]

GroupT = TypeVar("GroupT", bound=Group)


class _Loaded(Generic[GroupT]):
    """An attribute that answers a group, or says that it was not loaded."""

    def __init__(self, group: type[GroupT]) -> None:
        self.group = group

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self.__doc__ = self.group.__doc__

    @overload
    def __get__(self, settings: None, owner: type) -> Self: ...
    @overload
    def __get__(self, settings: "Settings", owner: type) -> GroupT: ...
    def __get__(self, settings: "Settings | None", owner: type) -> Self | GroupT:
        if settings is None:
            return self
        group = settings.groups.get(self._name)
        if not isinstance(group, self.group):
            raise GroupNotLoadedError(self._name)
        return group

    def __set__(self, settings: "Settings", value: GroupT) -> NoReturn:
        raise AttributeError("settings do not change")


class Settings:
    """The groups that were loaded, each as an attribute.

    One that was not raises `GroupNotLoadedError`.
    """

    __slots__ = ("_groups", "_warnings")

    service = _Loaded(Service)
    database = _Loaded(Database)
    auth = _Loaded(Auth)
    redis = _Loaded(Redis)
    social = _Loaded(Social)
    providers = _Loaded(Providers)
    billing = _Loaded(Billing)
    tracing = _Loaded(Tracing)
    logs = _Loaded(Logs)
    alerts = _Loaded(Alerts)
    retention = _Loaded(Retention)
    backup = _Loaded(Backup)
    jobs = _Loaded(Jobs)
    search = _Loaded(Search)
    other = _Loaded(Other)

    def __init__(self, groups: Mapping[str, Group], *, warnings: Iterable[Caution] = ()) -> None:
        self._groups = dict(groups)
        self._warnings = tuple(warnings)

    @property
    def groups(self) -> Mapping[str, Group]:
        """By name, those that were loaded."""
        return self._groups

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """What the operator should know of this environment."""
        return self._warnings

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={group!r}' for name, group in self._groups.items())})"


GROUPS: Mapping[str, type[Group]] = {
    name: attribute.group
    for name, attribute in vars(Settings).items()
    if isinstance(attribute, _Loaded)
}
"""All groups in schema order."""


class Sources(TypedDict, total=False):
    """Where `load` looks, as its keyword arguments."""

    environ: Mapping[str, str] | None
    env_file: FilePath | None
    secrets_dir: FilePath | None
    prefix: str


def load(
    groups: Iterable[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: FilePath | None = DEFAULT_FILE,
    secrets_dir: FilePath | None = None,
    prefix: str = "",
) -> Settings:
    """Read and validate the environment.

    The environment wins over the file, that over the directory, and that over defaults.

    Args:
        groups: Which groups; None for all. Only their variables are looked at, and
            APP_ENV, on which defaults and rules depend.
        environ: Taken instead of the environment of the process.
        env_file: A file of NAME=value lines, taken as they stand. `.env` need not exist.
        secrets_dir: A directory with one file for each variable.
        prefix: In front of all names of the schema.

    Raises:
        ConfigError: With every fault that was found. Neither it nor its traceback holds
            the value of a variable.
        ValueError: If there is no group of such a name.
    """
    reading = _read(_chosen(groups), environ, env_file, secrets_dir, prefix)
    del environ  # for tracebacks that show the locals of frames
    if reading.faults:
        raise ConfigError(reading.faults, warnings=reading.cautions)
    return Settings(reading.groups, warnings=reading.cautions)


def load_or_exit(groups: Iterable[str] | None = None, **sources: Unpack[Sources]) -> Settings:
    """`load`, for the first line of a program.

    Prints warnings to stderr; with faults, prints those as well and exits with status 1.
    """
    found: Settings | ConfigError
    try:
        found = load(groups, **sources)
    except ConfigError as error:
        found = error
    said = [str(found)] if isinstance(found, ConfigError) else []
    if found.warnings:
        said.append(report("Environment warnings:", found.warnings))
    sys.stderr.writelines(f"{each}\n" for each in said)
    if isinstance(found, ConfigError):
        sys.exit(1)
    return found


def schema(groups: Iterable[str] | None = None) -> dict[str, tuple[Variable, ...]]:
    """What the schema says of each variable, by group; None for all groups."""
    return {
        name: tuple(
            describe(field, info)
            for field, info in group.model_fields.items()
            # Every group has it, and the first one tells of it.
            if field != "app_env" or name == "service"
        )
        for name, group in _chosen(groups).items()
    }


def _chosen(groups: Iterable[str] | None) -> dict[str, type[Group]]:
    asked = set(GROUPS if groups is None else groups)
    if unknown := asked - GROUPS.keys():
        raise ValueError(
            f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}"
        )
    return {name: group for name, group in GROUPS.items() if name in asked}


def _read(
    groups: dict[str, type[Group]],
    environ: Mapping[str, str] | None,
    env_file: FilePath | None,
    secrets_dir: FilePath | None,
    prefix: str,
) -> Reading:
    faults: list[Fault] = []
    layers = [os.environ if environ is None else environ]
    known = Variables([], prefix=prefix)
    if env_file is not None:
        layers.append(env_file_texts(env_file, faults))
    if secrets_dir is not None:
        layers.append(secret_texts(secrets_dir, known.all_names(fields_of(groups)), faults))
    return read(
        groups,
        Variables(layers, prefix=prefix),
        elsewhere=known.all_names(fields_of(GROUPS)),
        faults=faults,
    )

"""What config promises: the values that it answers and the errors that it raises.

```
CoreError
├── ConfigError            the environment has faults: all of them, in one error
└── GroupNotLoadedError    also an AttributeError: a group was used that `load` was not asked for
```

Nothing here, nor the text of anything here, holds the value of a variable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from socialflow_core._kit.errors import CoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from socialflow_core._kit.secrets import Secret

__all__ = [
    "AppEnv",
    "Caution",
    "ConfigError",
    "DatabasePool",
    "Fault",
    "GroupNotLoadedError",
    "PoolOptions",
    "Variable",
    "report",
]

AppEnv: TypeAlias = Literal["development", "test", "production"]

_BULLET = "\n  \N{BULLET} "


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the service cannot start: completes "VARIABLE: reason".

    Attributes:
        variable: The name that the operator has to change, with prefix, or as alias if
            that is in use; for a file that cannot be read, its path.
        reason: What is expected of it.
    """

    variable: str
    reason: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Caution:
    """What the operator should know, although the service can start.

    Attributes:
        variable: The name that it is about.
        message: The whole sentence, the name included.
    """

    variable: str
    message: str

    def __str__(self) -> str:
        return self.message


def report(heading: str, findings: Iterable[object]) -> str:
    """The lines that are printed for *findings*; the form of the list is fixed."""
    return _BULLET.join([heading, *map(str, findings)])


class ConfigError(CoreError):
    """The environment has faults; the text lists all of them.

    Attributes:
        faults: In the order of the schema.
        warnings: What was noticed besides, above all misspelt names.
    """

    def __init__(self, faults: Iterable[Fault], *, warnings: Iterable[Caution] = ()) -> None:
        self.faults = tuple(faults)
        self.warnings = tuple(warnings)
        super().__init__(report("Environment validation failed:", self.faults))


class GroupNotLoadedError(CoreError, AttributeError):
    """A group of settings was used that `load` was not asked for.

    Attributes:
        group: Its name.
    """

    def __init__(self, group: str) -> None:
        super().__init__(
            f'the settings group "{group}" was not loaded: name it in load(groups=...)'
        )
        self.group = group


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What the schema says of one variable: a line of the docs and of `.env.example`.

    Attributes:
        name: Without prefix.
        kind: What it holds, in the words of the schema: "duration".
        about: What it is for.
        default: As it would be written, or in words where it depends; empty if there is none.
        needed: "yes", or when; empty if it may always be left out.
        alias: A second name that means the same; empty if there is none.
        placeholder: What `.env.example` holds for a variable that is needed; refused in production.
        literal: Whether *default* can be written as it stands.
    """

    name: str
    kind: str
    about: str
    default: str = ""
    needed: str = ""
    alias: str = ""
    placeholder: str = ""
    literal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """How many connections a process may hold to the database, and how long one is waited for.

    Attributes:
        limit: The most connections that are open at the same time.
        timeout: How long a caller waits for a free one.
        prepared_statements: Whether the driver may prepare statements on the server;
            behind PgBouncer in transaction mode the next one runs on another connection.
    """

    limit: int
    timeout: timedelta
    prepared_statements: bool = True

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError("limit must be 1 or more")
        if self.timeout <= timedelta(0):
            raise ValueError("timeout must be longer than zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePool:
    """A database and how to pool its connections, before a driver's own words for it.

    Attributes:
        url: The URL without the parameters that only poolers understand, otherwise as it
            was written: PostgreSQL's own library takes it.
        options: What those parameters, or the environment, ask for.
        schema: First in the search path; empty for the server's default.
        only_prisma: Parameters that were taken out because no other driver knows them,
            percent-encoded as they were.
    """

    url: Secret
    options: PoolOptions
    schema: str = field(default="", repr=False)
    only_prisma: tuple[tuple[str, str], ...] = field(default=(), repr=False)

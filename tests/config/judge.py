"""What `load` says of an environment."""

from typing import Any

from socialflow_core.config import ConfigError
from socialflow_core.config.settings import load


def judged(environ: dict[str, str], *groups: str, **sources: Any) -> tuple[list[str], list[str]]:
    """The faults and the warnings, as the operator reads them; of all groups if none is named."""
    try:
        found = load(groups or None, **{"environ": environ, "env_file": None, **sources})
    except ConfigError as error:
        return list(map(str, error.faults)), list(map(str, error.warnings))
    return [], list(map(str, found.warnings))


def faults(environ: dict[str, str], *groups: str, **sources: Any) -> list[str]:
    """The faults alone."""
    return judged(environ, *groups, **sources)[0]


def warnings(environ: dict[str, str], *groups: str, **sources: Any) -> list[str]:
    """The warnings of an environment that has no faults."""
    found, told = judged(environ, *groups, **sources)
    assert not found
    return told

"""Values for a service that somebody just wants to see run; never for production."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from socialflow_core.config import ConfigError
from socialflow_core.config.settings import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from socialflow_core.config.settings import Settings

__all__ = ["generated_values", "load_settings"]


def generated_values() -> dict[str, str]:
    """A value for each variable without which a service does not start; new ones each time."""
    password, *others = (secrets.token_hex(32) for _ in range(5))
    names = ("JWT_SECRET", "JWT_REFRESH_SECRET", "TWITTER_API_KEY", "TWITTER_API_SECRET")
    url = f"postgresql://development:{password}@127.0.0.1:5432/development"
    return {"DATABASE_URL": url, **dict(zip(names, others, strict=True))}


def load_settings(environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """Load all settings; what is missing is generated, outside of production.

    Answers the names of what was generated, too.

    Raises:
        ConfigError: With every fault that remains.
    """
    try:
        return load(environ=environ), ()
    except ConfigError as error:
        # Only what stands nowhere, not in `.env` either: a wrong value stays a fault.
        missing = {fault.variable for fault in error.faults if fault.reason == "required, missing"}
        generated = {n: value for n, value in generated_values().items() if n in missing}
        if not generated or _may_be_production(environ):
            raise
    return load(environ={**environ, **generated}), tuple(generated)


def _may_be_production(environ: Mapping[str, str]) -> bool:
    try:
        return load(["service"], environ=environ).service.app_env == "production"
    except ConfigError:
        return True

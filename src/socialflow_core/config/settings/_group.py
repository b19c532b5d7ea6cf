"""What the groups have in common."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from socialflow_core._kit.errors import requires_extra
from socialflow_core._kit.secrets import redact_url
from socialflow_core.config._interface import AppEnv

from ._fields import choice, variable
from ._rules import Rule

with requires_extra("config"):
    from pydantic_settings import (
        BaseSettings,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
    )

__all__ = ["Group"]


class Group(BaseSettings):
    """A group of variables, frozen; every one knows the environment that it was read in.

    Built by `load`. Built by hand it takes arguments alone and reads nothing.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    app_env: Annotated[AppEnv, choice(AppEnv)] = variable(
        "Which rules and defaults apply.", "development", alias="NODE_ENV"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- pydantic-settings passes all of them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments alone: `load` reads the sources, to find all faults at once."""
        return (init_settings,)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            # Whatever is secret is a Secret; but any URL may hold a password.
            yield name, redact_url(value) if isinstance(value, str) else value

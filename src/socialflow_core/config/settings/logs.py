"""Log records, and where they go."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from socialflow_core._kit.secrets import Secret
from socialflow_core.config._interface import AppEnv

from ._fields import BOOL, INDEX, PATH, SECRET, SECRET_URL, TEXT, By, choice, variable
from ._group import Group
from ._rules import Findings, pair, refuse

__all__ = ["LogFormat", "LogLevel", "Logs"]

LogLevel: TypeAlias = Literal["error", "warn", "info", "http", "verbose", "debug", "silly"]
LogFormat: TypeAlias = Literal["json", "console"]


def _certificates_are_checked(
    app_env: AppEnv,
    elasticsearch_tls_reject_unauthorized: bool,  # noqa: FBT001 -- named by the field
) -> Findings:
    if app_env == "production" and not elasticsearch_tls_reject_unauthorized:
        yield refuse("elasticsearch_tls_reject_unauthorized", "must not be false in production")


class Logs(Group):
    """Logs: the console, files, Elasticsearch."""

    rules = (
        pair("elasticsearch_username", "elasticsearch_password"),
        _certificates_are_checked,
    )

    log_level: Annotated[LogLevel, choice(LogLevel)] = variable(
        "The least severe that is written.", "info"
    )
    log_format: Annotated[LogFormat, choice(LogFormat)] = variable(
        "How the console is written.",
        By(
            "console in development, else json",
            lambda values: "console" if values["app_env"] == "development" else "json",
        ),
    )
    elasticsearch_url: Annotated[Secret | None, SECRET_URL] = variable("Where records are shipped.")
    elasticsearch_username: Annotated[str | None, TEXT] = variable(
        "Its user.", needed="with ELASTICSEARCH_PASSWORD"
    )
    elasticsearch_password: Annotated[Secret | None, SECRET] = variable(
        "The user's password.", needed="with ELASTICSEARCH_USERNAME"
    )
    elasticsearch_api_key: Annotated[Secret | None, SECRET] = variable(
        "Instead of user and password."
    )
    elasticsearch_index: Annotated[str, INDEX] = variable("The index.", "socialflow-logs")
    elasticsearch_tls_reject_unauthorized: Annotated[bool, BOOL] = variable(
        "Whether its certificate is checked; production refuses false.", "true"
    )
    log_dir: Annotated[Path | None, PATH] = variable(
        "A folder for rotating files beside the console.",
        By(
            "logs in production, else none",
            lambda values: Path("logs") if values["app_env"] == "production" else None,
        ),
    )

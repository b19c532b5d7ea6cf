"""Alerts, and the health that they tell of."""

from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from socialflow_core._kit.secrets import Secret
from socialflow_core.config._integrations import INTEGRATIONS, missing
from socialflow_core.config._interface import AppEnv

from ._fields import (
    COUNT,
    HOSTS,
    MILLISECONDS,
    PERCENT,
    SECRET,
    WEBHOOK_URL,
    some_of,
    variable,
)
from ._group import Group
from ._rules import Findings, refuse, warn

__all__ = ["Alerts"]

_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")


def _slack_is_told(slack_webhook_url: Secret | None) -> Findings:
    if slack_webhook_url is None:
        yield warn("slack_webhook_url", "{slack_webhook_url} is not set: no alert reaches Slack")


def _alerts_go_to_slack(
    slack_webhook_url: Secret | None, slack_webhook_hosts: tuple[str, ...]
) -> Findings:
    if slack_webhook_url is None:
        return
    host = urlsplit(slack_webhook_url.reveal()).hostname
    if host not in {*_SLACK_HOSTS, *slack_webhook_hosts}:
        yield refuse(
            "slack_webhook_url",
            f"must have the host {' or '.join(_SLACK_HOSTS)}, or one of {{slack_webhook_hosts}}",
        )


def _required_is_configured(
    app_env: AppEnv,
    require_integrations: tuple[str, ...],
    given: AbstractSet[str],
    loaded: AbstractSet[str],
) -> Findings:
    for integration in require_integrations:
        if app_env == "production" and integration in {"redis", "queue"}:
            continue  # used there in any case, by default on this host
        for field in missing(integration, given):
            if field in loaded:
                yield refuse(field, "required by {require_integrations}, missing")


def _required_tracing_is_on(require_integrations: tuple[str, ...], otel_exporter: str) -> Findings:
    if "tracing" in require_integrations and otel_exporter == "none":
        yield refuse("otel_exporter", "must choose an exporter: {require_integrations} asks for it")


class Alerts(Group):
    """Alerts and health."""

    rules = (
        *(_slack_is_told, _alerts_go_to_slack),
        *(_required_is_configured, _required_tracing_is_on),
    )

    slack_webhook_url: Annotated[Secret | None, WEBHOOK_URL] = variable(
        "The channel in Slack, at hooks.slack.com or hooks.slack-gov.com; without it a warning."
    )
    slack_webhook_hosts: Annotated[tuple[str, ...], HOSTS] = variable(
        "Further hosts that it may be at: proxies, tests.", ""
    )
    pagerduty_integration_key: Annotated[Secret | None, SECRET] = variable(
        "The service at PagerDuty."
    )
    alert_error_rate_percent: Annotated[float, PERCENT] = variable(
        "The share of failed requests that is worth an alert.", "10"
    )
    alert_response_time_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "The response time that is.", "5000"
    )
    alert_consecutive_failures: Annotated[int, COUNT] = variable(
        "How often in a row a check must fail.", "3"
    )
    alert_cooldown_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How long the same alert is not repeated.", "300000"
    )
    health_check_interval_ms: Annotated[timedelta, MILLISECONDS] = variable(
        "How often health is checked.", "300000"
    )
    require_integrations: Annotated[tuple[str, ...], some_of(tuple(INTEGRATIONS))] = variable(
        "The integrations that must be configured, and healthy.", ""
    )

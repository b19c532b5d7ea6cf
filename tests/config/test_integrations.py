"""Integrations: which are used, which are required, and what each needs."""

import pytest

from socialflow_core.config.settings import load
from tests.config.judge import judged
from tests.config.oracle import HOOK, LEAST

SLACK = "hooks.slack.com or hooks.slack-gov.com"
INTEGRATIONS = (
    "redis, postgres, twitter, facebook, instagram, youtube, tiktok, linkedin, stripe, deepl,"
    " google-translate, elevenlabs, google-tts, slack, pagerduty, elasticsearch, meilisearch, s3,"
    " ffmpeg, images, queue, tracing"
)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("twitter",)),
        ({"FACEBOOK_APP_ID": "i", "FACEBOOK_APP_SECRET": "s"}, ("twitter", "facebook")),
        (
            {
                "FACEBOOK_APP_ID": "i",
                "FACEBOOK_APP_SECRET": "s",
                "INSTAGRAM_REDIRECT_URI": "http://h",
            },
            ("twitter", "facebook", "instagram"),
        ),
        ({"TIKTOK_CLIENT_KEY": "i", "TIKTOK_CLIENT_SECRET": "s"}, ("twitter", "tiktok")),
    ],
)
def test_platforms_are_used_when_their_keys_are_there(
    environ: dict[str, str], expected: tuple[str, ...]
) -> None:
    """Without SOCIAL_PLATFORMS: twitter, and every one whose pair is set."""
    found = load(["social"], environ={**LEAST, **environ}, env_file=None)
    assert found.social.social_platforms == expected


def test_platforms_that_are_named_need_their_keys() -> None:
    """Twitter needs its keys unless it is left out; the others when they are named."""
    assert judged({}, "social")[0] == [
        "TWITTER_API_KEY: required, missing",
        "TWITTER_API_SECRET: required, missing",
    ]
    assert judged({"SOCIAL_PLATFORMS": "[]"}, "social") == ([], [])
    assert judged({"SOCIAL_PLATFORMS": "facebook,instagram"}, "social")[0] == [
        "FACEBOOK_APP_ID: required by SOCIAL_PLATFORMS, missing",
        "FACEBOOK_APP_SECRET: required by SOCIAL_PLATFORMS, missing",
        "INSTAGRAM_REDIRECT_URI: required by SOCIAL_PLATFORMS, missing",
    ]
    assert judged({"SOCIAL_PLATFORMS": "myspace"}, "social")[0] == [
        "SOCIAL_PLATFORMS: must be a list of twitter, facebook, instagram, youtube, tiktok, linkedin"
    ]


@pytest.mark.parametrize(
    ("hosts", "url", "fits"),
    [
        ("", HOOK, True),
        ("", "https://hooks.slack-gov.com/services/x", True),
        ("", "https://HOOKS.slack.com:443/x", True),
        ("", "https://hooks.slack.com.evil.example/x", False),
        ("", "https://hooks.slack.com@evil.example/x", False),
        ("", "https://evil.example/hooks.slack.com", False),
        ("Proxy.local", "https://proxy.local/x", True),
        ("::1", "https://[::1]:8443/x", True),
        ("proxy.local", HOOK, True),
    ],
)
def test_alerts_go_to_slack_alone(hosts: str, url: str, fits: bool) -> None:  # noqa: FBT001 -- a column
    """The host is Slack's, or one that SLACK_WEBHOOK_HOSTS adds."""
    faults, warnings = judged({"SLACK_WEBHOOK_URL": url, "SLACK_WEBHOOK_HOSTS": hosts}, "alerts")
    assert not warnings
    assert faults == (
        []
        if fits
        else [f"SLACK_WEBHOOK_URL: must have the host {SLACK}, or one of SLACK_WEBHOOK_HOSTS"]
    )


def test_a_service_without_slack_is_warned() -> None:
    """In every environment: alerts that reach nobody are noticed too late."""
    expected = ["SLACK_WEBHOOK_URL is not set: no alert reaches Slack"]
    assert judged({}, "alerts") == judged({"APP_ENV": "production"}, "alerts") == ([], expected)


def test_required_integrations_are_configured() -> None:
    """Each that lacks a variable is told by that variable, once, if its group is looked at."""
    environ = {**LEAST, "REQUIRE_INTEGRATIONS": INTEGRATIONS, "OTEL_EXPORTER": "none"}
    by = "required by REQUIRE_INTEGRATIONS, missing"
    assert judged(environ)[0] == [
        f"REDIS_URL: {by}",
        *(f"FACEBOOK_APP_{each}: {by}" for each in ("ID", "SECRET")),
        f"INSTAGRAM_REDIRECT_URI: {by}",
        *(f"YOUTUBE_CLIENT_{each}: {by}" for each in ("ID", "SECRET")),
        *(f"TIKTOK_CLIENT_{each}: {by}" for each in ("KEY", "SECRET")),
        *(f"LINKEDIN_CLIENT_{each}: {by}" for each in ("ID", "SECRET")),
        *(
            f"{each}_API_KEY: {by}"
            for each in ("DEEPL", "GOOGLE_TRANSLATE", "ELEVENLABS", "GOOGLE_TTS")
        ),
        f"STRIPE_SECRET_KEY: {by}",
        "OTEL_EXPORTER: must choose an exporter: REQUIRE_INTEGRATIONS asks for it",
        f"ELASTICSEARCH_URL: {by}",
        f"SLACK_WEBHOOK_URL: {by}",
        f"PAGERDUTY_INTEGRATION_KEY: {by}",
        f"S3_BACKUP_BUCKET: {by}",
        f"MEILISEARCH_HOST: {by}",
    ]
    assert judged(environ, "alerts", "redis")[0] == [
        f"REDIS_URL: {by}",
        f"SLACK_WEBHOOK_URL: {by}",
        f"PAGERDUTY_INTEGRATION_KEY: {by}",
    ]


def test_required_redis_is_there_in_production() -> None:
    """Production uses Redis in any case; elsewhere either of two variables turns it on."""
    environ = {"REQUIRE_INTEGRATIONS": "redis,queue"}
    for more in (
        {"APP_ENV": "production"},
        {"REDIS_HOST": "127.0.0.1"},
        {"REDIS_URL": "redis://h"},
    ):
        assert judged({**environ, **more}, "redis", "alerts")[0] == []
        assert load(["redis"], environ=more, env_file=None).redis.in_use


def test_required_tracing_with_an_exporter() -> None:
    """Tracing is configured unless it is turned off."""
    assert judged({"REQUIRE_INTEGRATIONS": "tracing"}, "tracing", "alerts")[0] == []


def test_an_unknown_integration_is_a_fault() -> None:
    """A misspelt requirement would never be checked; the known ones are named."""
    assert judged({"REQUIRE_INTEGRATIONS": "redis,slak"}, "alerts")[0] == [
        f"REQUIRE_INTEGRATIONS: must be a list of {INTEGRATIONS}"
    ]

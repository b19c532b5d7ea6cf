"""The parts of the system that a service can do without, and what enables each."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["INTEGRATIONS", "SOCIAL_PLATFORMS", "missing"]

SOCIAL_PLATFORMS = ("twitter", "facebook", "instagram", "youtube", "tiktok", "linkedin")

_REDIS = (("redis_url", "redis_host"),)

INTEGRATIONS = MappingProxyType[str, tuple[tuple[str, ...], ...]](
    {
        "redis": _REDIS,
        "postgres": (("database_url",),),
        "twitter": (("twitter_api_key",), ("twitter_api_secret",)),
        "facebook": (("facebook_app_id",), ("facebook_app_secret",)),
        # Instagram's accounts are reached through the application at Facebook.
        "instagram": (("facebook_app_id",), ("facebook_app_secret",), ("instagram_redirect_uri",)),
        "youtube": (("youtube_client_id",), ("youtube_client_secret",)),
        "tiktok": (("tiktok_client_key",), ("tiktok_client_secret",)),
        "linkedin": (("linkedin_client_id",), ("linkedin_client_secret",)),
        "stripe": (("stripe_secret_key",),),
        "deepl": (("deepl_api_key",),),
        "google-translate": (("google_translate_api_key",),),
        "elevenlabs": (("elevenlabs_api_key",),),
        "google-tts": (("google_tts_api_key",),),
        "slack": (("slack_webhook_url",),),
        "pagerduty": (("pagerduty_integration_key",),),
        "elasticsearch": (("elasticsearch_url",),),
        "meilisearch": (("meilisearch_host",),),
        "s3": (("s3_backup_bucket",),),
        # Programs and codecs of the machine: no variable can tell.
        "ffmpeg": (),
        "images": (),
        "queue": _REDIS,
        "tracing": (),
    }
)
"""What must be set explicitly for each: one field of every tuple."""


def missing(integration: str, given: Collection[str]) -> Iterator[str]:
    """The fields that *integration* lacks when these are *given*."""
    for alternatives in INTEGRATIONS[integration]:
        if not any(field in given for field in alternatives):
            yield alternatives[0]

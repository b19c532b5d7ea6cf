"""The platforms that are published to."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

from socialflow_core._kit.secrets import Secret
from socialflow_core.config._integrations import INTEGRATIONS, SOCIAL_PLATFORMS, missing

from ._fields import CRON, SECRET, TEXT, URL, By, some_of, variable
from ._group import Group
from ._rules import Findings, pair, refuse

__all__ = ["Social"]


def _platforms_have_keys(social_platforms: tuple[str, ...], given: AbstractSet[str]) -> Findings:
    for platform in social_platforms:
        for field in missing(platform, given):
            by = "" if platform == "twitter" else " by {social_platforms}"
            yield refuse(field, f"required{by}, missing")


def _usable(values: Mapping[str, Any]) -> tuple[str, ...]:
    given = {name for name, value in values.items() if value is not None}
    return tuple(
        platform
        for platform in SOCIAL_PLATFORMS
        if platform == "twitter" or not any(missing(platform, given))
    )


class Social(Group):
    """The social platforms and their applications."""

    rules = (
        *(
            pair(*map("".join, INTEGRATIONS[name]))
            for name in SOCIAL_PLATFORMS
            if name != "instagram"
        ),
        _platforms_have_keys,
    )

    twitter_api_key: Annotated[Secret | None, SECRET] = variable(
        "The application at Twitter.",
        needed="unless SOCIAL_PLATFORMS leaves twitter out",
        placeholder="development-only-key",
    )
    twitter_api_secret: Annotated[Secret | None, SECRET] = variable(
        "Its secret.",
        needed="unless SOCIAL_PLATFORMS leaves twitter out",
        placeholder="development-only-secret",
    )
    social_platforms: Annotated[tuple[str, ...], some_of(SOCIAL_PLATFORMS)] = variable(
        "The platforms that this service uses; [] for none.",
        By("twitter, and every one whose pair is set", _usable),
    )
    facebook_app_id: Annotated[str | None, TEXT] = variable("The application at Facebook.")
    facebook_app_secret: Annotated[Secret | None, SECRET] = variable(
        "Its secret; both or none.", needed="with FACEBOOK_APP_ID"
    )
    facebook_redirect_uri: Annotated[str | None, URL] = variable("Where Facebook sends users back.")
    instagram_redirect_uri: Annotated[str | None, URL] = variable(
        "Where Instagram sends users back; its application is the one at Facebook."
    )
    youtube_client_id: Annotated[str | None, TEXT] = variable("The client at YouTube.")
    youtube_client_secret: Annotated[Secret | None, SECRET] = variable(
        "Its secret; both or none.", needed="with YOUTUBE_CLIENT_ID"
    )
    youtube_redirect_uri: Annotated[str | None, URL] = variable("Where YouTube sends users back.")
    tiktok_client_key: Annotated[str | None, TEXT] = variable("The client at TikTok.")
    tiktok_client_secret: Annotated[Secret | None, SECRET] = variable(
        "Its secret; both or none.", needed="with TIKTOK_CLIENT_KEY"
    )
    tiktok_redirect_uri: Annotated[str | None, URL] = variable("Where TikTok sends users back.")
    linkedin_client_id: Annotated[str | None, TEXT] = variable("The client at LinkedIn.")
    linkedin_client_secret: Annotated[Secret | None, SECRET] = variable(
        "Its secret; both or none.", needed="with LINKEDIN_CLIENT_ID"
    )
    linkedin_redirect_uri: Annotated[str | None, URL] = variable("Where LinkedIn sends users back.")
    youtube_sync_cron: Annotated[str, CRON] = variable(
        "When numbers are fetched from YouTube.", "0 */6 * * *"
    )

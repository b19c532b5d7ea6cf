"""Where Redis is: by one URL, or by its parts."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.config.settings import load


def url(**environ: str) -> str:
    """The URL that these variables make."""
    return load(["redis"], environ=environ, env_file=None).redis.url.reveal()


def test_the_url_wins_over_the_parts() -> None:
    """REDIS_URL is taken as it stands."""
    assert url(REDIS_URL="valkey://cache:1/2", REDIS_HOST="other") == "valkey://cache:1/2"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "redis://127.0.0.1:6379/0"),
        ({"REDIS_HOST": "cache", "REDIS_PORT": "1", "REDIS_DB": "2"}, "redis://cache:1/2"),
        ({"REDIS_HOST": "cache", "REDIS_TLS": "true"}, "rediss://cache:6379/0"),
        ({"REDIS_HOST": "::1"}, "redis://[::1]:6379/0"),
    ],
)
def test_the_parts_make_a_url(environ: dict[str, str], expected: str) -> None:
    """Each part has its place, and what is left out its default."""
    assert url(**environ) == expected


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_any_password_survives(password: str) -> None:
    """However odd it is, whoever reads the URL gets the password that was set."""
    made = url(REDIS_PASSWORD=password)
    assert unquote(urlsplit(made).password or "") == password

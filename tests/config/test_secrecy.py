"""No value of any variable is ever shown: not by faults, warnings, tracebacks or settings."""

import string
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socialflow_core.config import ConfigError
from socialflow_core.config.settings import load
from tests.config.oracle import LEAST, LINES

# Long enough not to occur by chance; with what breaks URLs, lists, numbers and terminals.
secrets = st.text(string.ascii_letters + string.digits, min_size=14, max_size=30).map(
    lambda text: f"Zq{text}"
)
ODD = [
    "",
    "@",
    "/",
    "#",
    "?",
    "%",
    "[",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "\x07",
    "\udcff",
    ",",
    '"',
    " ",
]
shapes = st.sampled_from(
    [
        "{0}",
        "{1}{0}{1}",
        "postgresql://user:{0}{1}@db/app?connection_limit={0}",
        "postgresql://user:{0}@db/app?connection_limit=3&{0}",
        "redis://:{0}{1}@cache:6379/{0}",
        "https://user:{0}@host{1}/{0}?token={0}#{1}",
        "https://hooks.slack.com{1}/services/{0}",
        '["{0}", 1{1}]',
        "{0}=x,{1}{0}",
        "1{0}",
    ]
)
values = st.builds(
    lambda shape, odd, secret: shape.format(secret, odd),
    shapes,
    st.sampled_from(ODD),
    st.just("{0}"),
)
variables = st.sampled_from([line.variable for _, line in LINES] + ["NODE_ENV", "DATABSE_URL"])


def shown_by(error: BaseException) -> str:
    """All that a program, a log or an error tracker could print of *error*."""
    parts = [str(error), repr(error), repr(error.args), repr(vars(error))]
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    # Our frames: the test's own hold the secret, of course.
    parts += [repr(frame.locals) for frame in report.stack if "tests" not in frame.filename]
    for chained in (error.__cause__, error.__context__):
        if chained is not None:
            parts.append(shown_by(chained))
    return "\n".join(parts)


@settings(max_examples=300)
@given(st.dictionaries(variables, values, max_size=8), secrets)
def test_nothing_shows_a_value(templates: dict[str, str], secret: str) -> None:
    """Whatever is set, to whatever secret, alone or inside a URL: no text about it holds that secret."""
    environ = {**LEAST, **{name: value.replace("{0}", secret) for name, value in templates.items()}}
    texts = []
    try:
        found = load(environ=environ, env_file=None)
    except ConfigError as error:
        texts = [shown_by(error), *map(repr, error.faults), *map(repr, error.warnings)]
    else:
        texts = [*map(repr, found.warnings)]
    assert not [text for text in texts if secret in text]


@settings(max_examples=100)
@given(secrets, st.data())
def test_settings_show_no_secret(secret: str, data: st.DataObject) -> None:
    """The repr of settings holds neither secrets nor the user information of any URL."""
    environ = dict(LEAST)
    for _, line in LINES:
        if type(line.value).__name__ == "Secret" and "://" not in line.text:
            environ[line.variable] = secret + line.variable
        elif "://" in line.text and data.draw(st.booleans()):
            environ[line.variable] = line.text.replace("://", f"://user:{secret}@", 1)
    environ |= {
        "DATABASE_URL": f"postgresql://u:{secret}@db/app?schema={secret}",
        "REDIS_URL": f"redis://:{secret}@h",
        "ELASTICSEARCH_URL": f"https://u:{secret}@h",
        "DATABASE_REPLICA_URL": f"postgresql://u:{secret}@db/app",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={secret}",
        "STRIPE_WEBHOOK_SECRET": f"{secret},{secret}",
        **dict.fromkeys(("FACEBOOK_APP_ID", "YOUTUBE_CLIENT_ID", "TIKTOK_CLIENT_KEY"), "id"),
        **dict.fromkeys(("LINKEDIN_CLIENT_ID", "ELASTICSEARCH_USERNAME"), "id"),
    }
    found = load(environ=environ, env_file=None)
    texts = [
        repr(found),
        str(found),
        *(repr(group) + str(group) for group in found.groups.values()),
    ]
    texts += [repr(found.database.pool), str(found.database.replica_pool), repr(found.warnings)]
    assert not [text for text in texts if secret in text]


def test_the_traceback_of_a_failed_start_has_one_error() -> None:
    """Nothing is chained to it: a cause would be where a vendor keeps the value."""
    with pytest.raises(ConfigError) as caught:
        load(environ={"BACKEND_PORT": "x"}, env_file=None)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_file_that_is_no_text_stays_unseen(tmp_path: Any) -> None:
    """The decoder's error holds all of a secret's file: it does not get out."""
    (tmp_path / "JWT_SECRET").write_bytes(b"hunter2\xff")
    (tmp_path / ".env").write_bytes(b"JWT_REFRESH_SECRET=hunter2\xff")
    with pytest.raises(ConfigError) as caught:
        load(["auth"], environ={}, env_file=tmp_path / ".env", secrets_dir=tmp_path)
    assert "hunter2" not in shown_by(caught.value)

"""What each kind of variable takes, and that it refuses the rest without repeating it."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socialflow_core import Secret
from socialflow_core._kit.grammar import GrammarError
from socialflow_core.config._texts import as_text
from socialflow_core.config.settings import _fields
from socialflow_core.config.settings._fields import Kind, choice, some_of
from socialflow_core.config.settings.auth import JwtAlgorithm

KINDS: dict[str, Kind] = {
    **{name: each for name, each in vars(_fields).items() if isinstance(each, Kind)},
    "choice": choice(JwtAlgorithm),
    "some_of": some_of(("one", "two")),
}

# Texts that look like something, and those of no shape at all.
odd = st.text() | st.text(
    "0123456789.:/@%[]?=&#,+-eE_* \t\N{ARABIC-INDIC DIGIT ONE}abchtps", max_size=30
)
shaped = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        ["http://", "https://", "postgresql://", "redis://", "unix://", "[", '["a"', ""]
    ),
    odd,
    st.sampled_from(["@", "?", "/", "]", ""]),
    odd,
)


def refusal(kind: Kind, text: str) -> str | None:
    """Why *kind* refuses *text*, if it does: as `load` would read it."""
    try:
        kind.parse(as_text(text))
    except GrammarError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60)
@given(text=odd | shaped)
def test_every_text_is_read_or_refused(name: str, text: str) -> None:
    """No text ends in another error than the refusal, which is the same whatever was given."""
    reason = refusal(KINDS[name], text)
    assert reason in REASONS | {None, refusal(KINDS[name], "! : *")}


# Reasons that a kind gives beside the one that says what it is.
REASONS = {
    "must be UTF-8 text",
    "must not contain control characters",
    "must not be finer than a microsecond",
    "must be longer than zero",
    "must be a duration of at least 1s",
    "must allow at least 1 in a period longer than zero",
    "must be a smaller rate: number x period in microseconds below 2**53",
    "must be a comma-separated list or a JSON list of strings",
    "must hold at least one secret",
    "must name a host, and behind its colon a port",
    "must have a port from 1 to 65535",
    "must name a user in front of the @",
    "must have name=value pairs behind the ?, a further = written %3D",
    "must have the special characters of user name and password percent-encoded",
    "must name the socket behind unix://, such as unix:///run/redis.sock",
    "must have nothing but the number of a database as its path",
    "must be a URL that begins with http:// or https://, with special characters percent-encoded",
    "must be a URL that begins with https://, with special characters percent-encoded",
    (
        "must be a URL that begins with postgresql:// or postgres://,"
        " with special characters percent-encoded"
    ),
    (
        "must be a URL that begins with redis:// or rediss:// or unix:// or valkey://,"
        " with special characters percent-encoded"
    ),
    *(
        f"must be a cron expression of five fields such as 0 2 * * *: the {field} is wrong"
        for field in ("minute", "hour", "day of month", "month", "day of week")
    ),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60)
@given(text=odd | shaped)
def test_what_is_read_once_is_read_the_same_again(name: str, text: str) -> None:
    """A group built from what was read equals one built from text: pydantic reads texts again."""
    kind = KINDS[name]
    if refusal(kind, text) is None:
        value = kind.parse(as_text(text))
        assert not isinstance(value, str) or kind.parse(value) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("PORT", each) for each in ["0", "65536", "-1", "+1", "1.0", "8o", "٣", "1" * 5000]),
        *(("COUNT", each) for each in ["0", "1e3", "1_000", "1" * 13]),
        *(("BOOL", each) for each in ["2", "tru", "enabled", "y"]),
        *(("FRACTION", each) for each in ["1.1", "-0", "nan", "inf", ".5", "1e-1"]),
        *(("PERCENT", each) for each in ["0", "0.0", "100.5"]),
        *(("DURATION", each) for each in ["0", "15 m", "1y", "-1s", "999999999999w"]),
        *(("POOL_TIMEOUT", each) for each in ["0", "999ms"]),
        *(("MILLISECONDS", each) for each in ["0", "5s", "1.5"]),
        *(("DAYS", each) for each in ["0", "1d", "999999999999"]),
        *(("RATE", each) for each in ["0/m", "10", "10/0s", "9007199254740993/1us", "10/fortnight"]),
        *(("NETWORKS", each) for each in ["10.0.0.1/8", "10.0.0.0/33", "proxy", "1.2.3"]),
        *(("CRON", each) for each in ["0 2 * *", "60 * * * *", "* * * * * *", "@daily"]),
        *(("ZONE", each) for each in ["Mars/Phobos", "../etc/passwd", "Europe", "x" * 5000, "zone.tab"]),
        *(("BUCKET", each) for each in ["ab", "a" * 64, "Abc", "a_b", "a..b", "-ab", "ab-", "1.2.3.4"]),
        *(("INDEX", each) for each in ["Logs", "a b", "-a", "_a", "+a", "..", ".", "a" * 256, "a,b", "a*"]),
        *(("HOSTS", each) for each in ["https://a", "a:80", "a b", "ä"]),
        *(("HEADERS", each) for each in ["a", "=a", "a b=c", "a=%0a"]),
        *(("SECRETS", each) for each in [",", "[]", '["a", 1]']),
        *(("LIST", each) for each in ["[1]", "[", "[" * 100_000]),
        *(("URL", each) for each in ["localhost:1", "ftp://h", "http://", "http:///p", "http://h:0"]),
        *(("URL", each) for each in ["http://h:x", "http://h:65536", "http://a b", "http://u@h@g"]),
        *(("URL", each) for each in ["http://[::g]", "http://[1.2.3.4]", "http://h\\@g", "http://h#f"]),
        *(("URL", each) for each in ["http://h/%zz", "http://h/%00", "http://h:123456", "HTTP://h"]),
        *(("WEBHOOK_URL", each) for each in ["http://hooks.slack.com/x", "hooks.slack.com/x"]),
        *(("REDIS_URL", each) for each in ["http://h", "redis://", "redis://h/x", "redis://p@ss/w@h"]),
        *(("REDIS_URL", each) for each in ["unix://", "unix:///", "unix://h/s", "redis://h:0"]),
        *(("POSTGRES_URL", each) for each in ["mysql://h/db", "h/db", "postgresql:/db", "Postgres://h"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://u:p@ss/wd@h/db", "postgresql://u:p@s@h/db"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://u:p?s@h/db", "postgresql://u:p#s@h/db"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://u:p[s@h/db", "postgresql://u:100%@h/db"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://u:%00@h/db", "postgresql://@h/db"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://h:0/db", "postgresql://h:99999/db"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://h,[::x]/db", "postgresql://h:1:2/db"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://h/db?a", "postgresql://h/db?a=b&", "postgresql://h?=b"]),
        *(("POSTGRES_URL", each) for each in ["postgresql://h/db?options=-ca=b", "postgresql://h/d b"]),
        ("POSTGRES_URL", "postgresql://h/db?connection_limit=0"),
        ("POSTGRES_URL", "postgresql://h/db?pool_timeout=0"),
        ("POSTGRES_URL", "postgresql://h/db?pgbouncer=maybe"),
        ("POSTGRES_URL", "postgresql://h/db?connect_timeout=soon"),
        ("TEXT", "a\x00b"),
        ("SECRET", "a\nb"),
        ("SECRET", "\udcff"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(kind: str, text: str) -> None:
    """Every rule of the schema, by an example that breaks it."""
    assert refusal(KINDS[kind], text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("URL", "http://[::1]:80/x?y#".rstrip("#")),
        ("URL", "https://user:p%40ss@host.example"),
        ("URL", "http://bücher.example/"),
        ("REDIS_URL", "redis://:p%40ss@host:6379/15?protocol=3"),
        ("REDIS_URL", "valkey://[::1]"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("REDIS_URL", "unix://:pass@/run/redis.sock"),
        ("POSTGRES_URL", "postgresql:///db?host=/run/postgresql"),
        ("POSTGRES_URL", "postgresql://%2Frun%2Fpostgresql/db"),
        ("POSTGRES_URL", "postgresql://"),
        ("POSTGRES_URL", "postgresql:///db?user=me@tenant"),
        ("POSTGRES_URL", "postgres://u:a:b@h1:1,[::1]:2,h3/db?target_session_attrs=any"),
        ("BUCKET", "a" * 63),
        ("INDEX", "a" * 255),
        ("ZONE", "UTC"),
        ("SECRET", "ключ \N{KEY}"),
    ],
)
def test_what_is_right_is_taken(kind: str, text: str) -> None:
    """What works in the field is not refused for being unusual."""
    assert refusal(KINDS[kind], text) is None


@given(st.text(string.printable, min_size=1).map(str.strip).filter(bool))
def test_white_space_around_a_value_is_not_part_of_it(text: str) -> None:
    """Neither a space behind the value nor the newline of a file gets into a secret."""
    if refusal(KINDS["SECRET"], text) is None:
        assert Secret(as_text(f" \t{text}\n")) == Secret(text)

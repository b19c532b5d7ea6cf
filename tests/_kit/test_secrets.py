"""What is secret stays so, whatever is done to it."""

import copy
import dataclasses
import json
import logging
import pickle
import string
import timeit
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core import Secret
from socialflow_core._kit.secrets import MASK, is_secret_name, redact_text, redact_url

# Free of what ends a part of a URL or of a sentence.
secrets = st.text(string.ascii_letters + string.digits + "-._~", min_size=12, max_size=60).filter(
    lambda text: text.strip(string.punctuation) == text
)


@dataclasses.dataclass
class Holder:
    """Something that carries a secret among other things."""

    name: str
    secret: Secret


def shown(value: str) -> list[str]:
    """Every usual way in which a value ends up as text."""
    secret = Secret(value)
    holder = Holder("x", secret)
    record = logging.makeLogRecord({"msg": "%s %r", "args": (secret, secret)})
    return [
        *(repr(secret), str(secret), f"{secret:>40}", f"{secret!r}", f"{secret:20}"),
        *(repr(holder), repr([secret]), repr({secret: secret}), repr(vars(holder))),
        *(record.getMessage(), repr(ValueError(secret)), repr(dataclasses.asdict(holder))),
    ]


@given(st.text())
def test_nothing_that_shows_a_value_shows_a_secret(value: str) -> None:
    """Repr, str, format, logs, dataclasses and exceptions look the same for every secret."""
    assert shown(value) == shown("hunter2")


@pytest.mark.parametrize("write", [pickle.dumps, json.dumps])
@given(value=secrets)
def test_it_is_neither_pickled_nor_dumped_as_json(
    write: Callable[[object], object], value: str
) -> None:
    """Serialisers refuse it instead of writing it or a mask, and their errors hide it."""
    with pytest.raises(TypeError) as caught:
        write({"secret": Secret(value)})
    assert str(caught.value) in {
        "a Secret is not pickled: pass reveal() where that is meant",
        "Object of type Secret is not JSON serializable",
    }


@given(st.text(), st.text())
def test_secrets_compare_and_hash_by_value(one: str, other: str) -> None:
    """Equal texts are equal secrets, also as keys of a dict."""
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert bool(Secret(one)) == bool(one)
    assert Secret(one) != one


@given(st.text())
def test_a_copy_is_the_secret_itself(value: str) -> None:
    """`copy`, `deepcopy` and `replace` work on values that hold one."""
    secret = Secret(value)
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert dataclasses.replace(Holder("x", secret), name="y").secret.reveal() == value


def test_a_secret_does_not_change() -> None:
    """It is a value: nothing can be set on it."""
    with pytest.raises(AttributeError):
        Secret("x")._value = "y"


def test_only_text_can_be_secret() -> None:
    """Bytes or None are a mistake at the door, and the error shows the type alone."""
    with pytest.raises(TypeError, match="not bytes"):
        Secret(b"hunter2")  # type: ignore[arg-type]  # -- the mistake under test


@pytest.mark.parametrize(
    "name",
    [
        *("password", "DB_PASSWORD", "JWT_SECRET", "accessToken", "X-Api-Key", "apikey"),
        *(
            "Authorization",
            "Set-Cookie",
            "STRIPE_SECRET_KEY",
            "MEILISEARCH_ADMIN_KEY",
            "client_key",
        ),
        *(
            "HONEYCOMB_API_KEY",
            "privateKey",
            "refresh_token",
            "xApiKey",
            "PAGERDUTY_INTEGRATION_KEY",
        ),
    ],
)
def test_names_of_secrets(name: str) -> None:
    """Names in every usual spelling are known."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["key", "cache_key", "keyboard", "user", "", "passage", "tokenizer"]
)
def test_names_of_other_things(name: str) -> None:
    """A word inside another word makes no secret, nor does "key" alone."""
    assert not is_secret_name(name)


@given(
    secrets,
    st.sampled_from(
        [
            *(
                "redis://:{}@cache:6379/0",
                "postgresql://user:{}@db/app?x=1",
                "https://h/?api_key={}&a=b",
            ),
            *("https://hooks.slack.com/services/{}", "https://h/p?a=1&key={}", "amqp://u:{}@h"),
            *("https://h/?a=1;access_token={}", "https://hooks.slack-gov.com/services/T/B/{}"),
        ]
    ),
)
def test_urls_are_cleaned(secret: str, url: str) -> None:
    """No form in which a URL carries a secret survives, and the rest stays readable."""
    cleaned = redact_url(url.format(secret))
    assert cleaned == redact_url(url.format("another-secret"))
    assert cleaned.count(MASK) == 1
    assert cleaned.startswith(url.partition("://")[0])


def test_a_password_with_an_at_sign_is_cleaned_whole() -> None:
    """An unescaped @ does not leave half of the password behind."""
    assert redact_url("postgres://u:p@ss@host/db") == f"postgres://{MASK}@host/db"


@given(
    secrets,
    st.sampled_from(
        [
            *(
                "password={}",
                "password: {}",
                '{{"password": "{}"}}',
                "api-key='{}' next",
                "token = {}",
            ),
            *(
                "Authorization: Bearer {}",
                "see Bearer {}",
                "authorization: bearer {}",
                "Authorization: ApiKey {}, x",
                "error authorization=digest {}",
                "at redis://:{}@cache",
                "JWT_SECRET={},A=1",
                "error: password={}",
                "error: user: token: {}",
                "password='x {} y' next",
                'secret="\\"{}" next',
            ),
        ]
    ),
)
def test_free_text_is_cleaned(secret: str, text: str) -> None:
    """Assignments, headers and URLs in a sentence lose their secret."""
    assert redact_text(text.format(secret)) == redact_text(text.format("another-secret"))
    assert "another-secret" not in redact_text(text.format("another-secret"))


@pytest.mark.parametrize(
    "token",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        *("sk_live_abcdefgh12345678", "whsec_abcdefgh12345678", "AKIAABCDEFGHIJKLMNOP"),
        *("xoxb-123456789012-abcdef", "-----BEGIN RSA PRIVATE KEY-----\nabc\n"),
    ],
)
def test_known_forms_of_tokens_are_cleaned(token: str) -> None:
    """Tokens that show by their form what they are need no name beside them."""
    assert token.strip() not in redact_text(f"got {token} here")


@pytest.mark.parametrize(
    "text",
    [
        "key=1 user=bob",
        "GET /items?page=2",
        "cache_key: abc",
        "password=",
        "no token: //host/path",
        "https://example.org/a?b=c",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    """What is no secret stays readable."""
    assert redact_text(text) == text


@given(st.text())
def test_cleaning_takes_any_text(text: str) -> None:
    """No input makes it fail, and what is clean stays as it is."""
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "a",
            "a-",
            "aA",
            "a:",
            "a=",
            "a: ",
            "a=b;",
            "?a=b&",
            "password=",
            "password='",
            "http://",
        ),
        *(
            "eyJ",
            "eyJabc.",
            "eyJaaaaaaaa-",
            "Bearer ",
            "a@",
            "://",
            "-----BEGIN PRIVATE KEY-----",
            "\\",
            '"',
        ),
    ],
)
def test_cleaning_costs_as_much_as_the_text_is_long(unit: str) -> None:
    """Whoever can have a long text logged cannot stop the process with it.

    Time is compared with itself: ten times the text may take thirty times as long, not a hundred.
    """

    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        return min(timeit.repeat(lambda: redact_text(text), number=1, repeat=5))

    assert seconds(40_000) < 30 * seconds(4_000) + 0.01

"""The compact form, its header and its JSON: one spelling, and bounds."""

from __future__ import annotations

import json
import pickle
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.auth import TokenError
from socialflow_core.auth._compact import decode64, encode64, header_of, parts_of, read_header
from socialflow_core.auth._json import MAX_DEPTH, MAX_INTEGER, MAX_VALUES, freeze, parse, write


def deep(levels: int) -> object:
    """A list in a list in a list."""
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def test_depth_and_size_are_bounded() -> None:
    """So is the work that a value makes, also one that holds itself."""
    freeze({"a": deep(MAX_DEPTH - 1)})
    with pytest.raises(ValueError, match="deeper"):
        freeze({"a": deep(MAX_DEPTH)})
    with pytest.raises(ValueError, match="more than"):
        freeze({"a": [0] * MAX_VALUES})
    itself: dict[str, Any] = {}
    itself["a"] = itself
    with pytest.raises(ValueError, match="deeper"):
        freeze(itself)
    wide: Any = [0] * 100
    for _ in range(6):
        wide = [wide] * 100
    with pytest.raises(ValueError, match="more than"):
        freeze({"a": wide})
    with pytest.raises(ValueError, match="mapping"):
        freeze([1])


def test_what_is_frozen_stays_so() -> None:
    """It equals what it was made of, and does not change with it."""
    inner = [1, {"b": [2]}]
    made = {"a": inner, "n": MAX_INTEGER}
    frozen = freeze(made)
    inner.append(3)
    assert frozen == {"a": (1, {"b": (2,)}), "n": MAX_INTEGER}
    assert len({frozen, freeze(frozen)}) == 1
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    assert repr(frozen) == repr({"a": (1, frozen["a"][1]), "n": MAX_INTEGER})  # type: ignore[index]  # -- it is a tuple
    assert json.loads(write(frozen)) == {"a": [1, {"b": [2]}], "n": MAX_INTEGER}


@pytest.mark.parametrize(
    "text",
    [
        b'{"sub":"ann","sub":"bob"}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"[1]",
        b"7",
        b"",
        b"{",
        b'{"a":1}x',
        b"\xff",
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_ambiguous_json_is_none(text: bytes) -> None:
    """What two parsers may read differently, or what is a bomb, is not read."""
    assert parse(text) is None


@given(st.binary(max_size=60))
def test_base64_has_one_spelling(data: bytes) -> None:
    """What is written is read, and no other text is the same."""
    text = encode64(data)
    assert decode64(text) == data
    others = [text + "=", text + "A", text + "\n", " " + text, text.replace("-", "+") + "\u0101"]
    others.extend(text[:-1] + chr(other) for other in range(128) if text and chr(other) != text[-1])
    for other in others:
        if encode64(_lenient(other)) != other:
            with pytest.raises(TokenError) as caught:
                decode64(other)
            assert caught.value.reason == "malformed"
            assert caught.value.__context__ is None
        else:
            assert decode64(other) != data


def _lenient(text: str) -> bytes:
    """What a decoder makes of it that skips whatever it does not know."""
    known = "".join(each for each in text if each.isascii() and (each.isalnum() or each in "-_"))
    return urlsafe_b64decode(known[: len(known) - (len(known) % 4 == 1)] + "==")


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e"])
def test_a_token_has_three_parts(token: str) -> None:
    """Neither two (RFC 7515) nor five (RFC 7516)."""
    with pytest.raises(TokenError) as caught:
        parts_of(token)
    assert caught.value.reason == "malformed"
    assert parts_of("a.b.c") == ("a.b", "a", "b", "c")


def test_a_header_is_read_back() -> None:
    """What is written is read; what it need not say is left out."""
    assert read_header(header_of("HS256", "k1", "at+jwt")) == ("HS256", "k1", "at+jwt")
    assert read_header(header_of("HS256", "k1", "")) == ("HS256", "k1", "")
    assert read_header(b'{"alg":"HS256","typ":"application/AT+JWT"}') == ("HS256", None, "at+jwt")


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("[]", ""),
        ("{}", "alg"),
        ('{"alg":1}', "alg"),
        ('{"alg":""}', "alg"),
        ('{"alg":"HS256","alg":"none"}', ""),
        ('{"alg":"HS256","kid":null}', "kid"),
        ('{"alg":"HS256","kid":""}', "kid"),
        ('{"alg":"HS256","kid":["a"]}', "kid"),
        ('{"alg":"HS256","typ":0}', "typ"),
        ('{"alg":"HS256","crit":["exp"],"exp":1}', "crit"),
        ('{"alg":"HS256","crit":[]}', "crit"),
        ('{"alg":"HS256","b64":false}', "b64"),
        ('{"alg":"' + "a" * 256 + '"}', "alg"),
    ],
)
def test_bad_headers_are_malformed(text: str, claim: str) -> None:
    """Also those that say what we do not understand (RFC 7515, 4.1.11)."""
    with pytest.raises(TokenError) as caught:
        read_header(text.encode())
    assert (caught.value.reason, caught.value.claim) == ("malformed", claim)


def test_base64_of_others_is_refused() -> None:
    """Neither padding nor the other alphabet."""
    for text in (urlsafe_b64encode(b"a").decode(), "+/+/"):
        with pytest.raises(TokenError):
            decode64(text)

"""Claims and rules: what holds for all of them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.auth import Claims, KindRules, TokenError, TokenKind, TokenRules
from socialflow_core.auth._claims import REGISTERED, ClaimRules, own_claims, payload_of, window_of
from socialflow_core.auth._json import parse, write
from socialflow_core.testing import auth as drawn

NOW_US = 1_800_000_000_000_000
RULES = TokenRules(issuer="me", audience=("api", "web"), leeway=timedelta(seconds=3))
LEEWAY_US = 3_000_000
moments = st.integers(1, 2**32 * 1_000_000 - 1)  # until 2106, to the microsecond
kinds = st.sampled_from(TokenKind)


@st.composite
def claims(draw: st.DrawFn) -> Claims:
    """Any claims that can be said."""
    issued, expires = sorted([draw(moments), draw(moments)])
    return Claims(
        kind=draw(kinds),
        subject=draw(drawn.names),
        issued_us=issued,
        expires_us=expires,
        starts_us=draw(st.just(0) | st.integers(1, expires)),
        token_id=draw(drawn.names),
        session=draw(st.just("") | drawn.names),
        issuer="me",
        audience=draw(st.sampled_from([("api",), ("x", "web"), ("web", "api", "y")])),
        own=own_claims(draw(drawn.own_claims)),
    )


def told(**changes: Any) -> dict[str, Any]:
    """A good payload, changed; a claim that is None is left out."""
    seconds = NOW_US // 1_000_000
    good: dict[str, Any] = {
        "iss": "me",
        "sub": "ann",
        "aud": "api",
        "iat": seconds,
        "exp": seconds + 60,
        "jti": "1",
    }
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def reason_of(payload: dict[str, Any], rules: TokenRules = RULES) -> tuple[str, str]:
    """Why it is refused, and which claim is at fault."""
    with pytest.raises(TokenError) as caught:
        ClaimRules(rules, TokenKind.ACCESS).read(payload, NOW_US)
    assert caught.value.__context__ is None
    return caught.value.reason, caught.value.claim


@given(claims())
def test_claims_come_back_as_they_were(said: Claims) -> None:
    """Written, sent and read: the same claims, to the microsecond; and again the same."""
    rules = ClaimRules(RULES, said.kind)
    payload = parse(write(rules.write(said)))
    assert payload is not None
    window = window_of(said, LEEWAY_US)
    read = rules.read(payload, max(window.from_us, 0))
    assert read == said
    assert hash(read) == hash(said)
    assert pickle.loads(pickle.dumps(read)) == said
    assert write(rules.write(read)) == write(rules.write(said))


@given(claims(), st.integers(-2, 2))
def test_the_window_is_when_it_is_read(said: Claims, around: int) -> None:
    """A token is believed exactly in its window: what a memory of it may rely on."""
    rules = ClaimRules(RULES, said.kind)
    window = window_of(said, LEEWAY_US)
    for edge in window:
        now = edge + around
        if window.from_us <= now < window.until_us:
            assert rules.read(payload_of(said), now) == said
        else:
            with pytest.raises(TokenError) as caught:
                rules.read(payload_of(said), now)
            assert caught.value.reason in {"expired", "not_yet_valid"}


@given(st.integers(0, 253_402_300_799))
def test_whole_seconds_are_whole_numbers(seconds: int) -> None:
    """A moment without a fraction is written without one, as everybody expects it."""
    said = Claims(
        kind=TokenKind.ACCESS,
        subject="ann",
        issued_us=seconds * 1_000_000,
        expires_us=seconds * 1_000_000,
    )
    payload = payload_of(said)
    assert payload["iat"] == seconds
    assert type(payload["iat"]) is int


@pytest.mark.parametrize(
    ("change", "reason", "claim"),
    [
        ({"iss": None}, "missing_claim", "iss"),
        ({"sub": None}, "missing_claim", "sub"),
        ({"aud": None}, "missing_claim", "aud"),
        ({"iat": None}, "missing_claim", "iat"),
        ({"exp": None}, "missing_claim", "exp"),
        ({"jti": None}, "missing_claim", "jti"),
        ({"iss": "you"}, "wrong_issuer", "iss"),
        ({"iss": ["me"]}, "malformed", "iss"),
        ({"aud": "other"}, "wrong_audience", "aud"),
        ({"aud": ["other", "else"]}, "wrong_audience", "aud"),
        ({"aud": []}, "malformed", "aud"),
        ({"aud": ["api"] * 33}, "malformed", "aud"),
        ({"aud": {"api": 1}}, "malformed", "aud"),
        ({"aud": ["api", 1]}, "malformed", "aud"),
        ({"sub": 7}, "malformed", "sub"),
        ({"sub": ""}, "malformed", "sub"),
        ({"sub": "a" * 256}, "malformed", "sub"),
        ({"sub": "a\nb"}, "malformed", "sub"),
        ({"jti": 7}, "malformed", "jti"),
        ({"sid": {}}, "malformed", "sid"),
        ({"iat": "1"}, "malformed", "iat"),
        ({"iat": True}, "malformed", "iat"),
        ({"iat": -1}, "malformed", "iat"),
        ({"exp": float("inf")}, "malformed", "exp"),
        ({"exp": float("nan")}, "malformed", "exp"),
        ({"exp": 10**30}, "malformed", "exp"),
        ({"exp": [1]}, "malformed", "exp"),
        ({"nbf": "soon"}, "malformed", "nbf"),
        ({"nbf": NOW_US // 10**6 + 4}, "not_yet_valid", "nbf"),
        ({"iat": NOW_US / 10**6 + 10.5}, "not_yet_valid", "iat"),
        ({"exp": NOW_US // 10**6 - 3}, "expired", "exp"),
        ({"own": 2**53}, "malformed", ""),
        ({"own": float("inf")}, "malformed", ""),
        ({"own": "\ud800"}, "malformed", ""),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], reason: str, claim: str) -> None:
    """Each claim is checked, and the error names it, and holds no other error."""
    assert reason_of(told(**change)) == (reason, claim)


def test_the_good_one_is_good() -> None:
    """The payload that is changed above is believed."""
    read = ClaimRules(RULES, TokenKind.ACCESS).read(told(nbf=NOW_US // 10**6 + 3), NOW_US)
    assert (read.subject, read.audience, read.session, dict(read.own)) == ("ann", ("api",), "", {})


def test_nobody_is_addressed_by_chance() -> None:
    """Who has no audience refuses a token that is for somebody (RFC 7519, 4.1.3)."""
    rules = TokenRules()
    assert reason_of(told(), rules) == ("wrong_audience", "aud")
    ClaimRules(rules, TokenKind.ACCESS).read(told(aud=None), NOW_US)


def test_tokens_of_others_may_lack_what_ours_have() -> None:
    """Without required claims, a token needs an owner, a beginning and an end."""
    others = KindRules(lifetime=timedelta(hours=1), types=("",), required=())
    read = ClaimRules(TokenRules(access=others), TokenKind.ACCESS).read(
        told(aud=None, jti=None, iss=None), NOW_US
    )
    assert (read.token_id, read.issuer) == ("", "")


SAID = Claims(
    kind=TokenKind.ACCESS,
    subject="ann",
    issued_us=NOW_US,
    expires_us=NOW_US + 1,
    token_id="1",
    issuer="me",
    audience=("api",),
)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"subject": ""}, "sub"),
        ({"subject": 7}, "sub"),
        ({"session": "a\nb"}, "sid"),
        ({"token_id": ""}, "jti"),
        ({"token_id": "a" * 256}, "jti"),
        ({"issuer": ""}, "iss"),
        ({"issuer": "you"}, "issuer of the rules"),
        ({"audience": ()}, "aud"),
        ({"audience": ("",)}, "aud"),
        ({"audience": ("other",)}, "audience of the rules"),
        ({"audience": ("api",) * 33}, "aud"),
        ({"issued_us": -1}, "iat"),
        ({"expires_us": 2**34 * 10**6 + 1}, "exp"),
        ({"expires_us": 10**30}, "exp"),
        ({"starts_us": -5}, "nbf"),
        ({"own": {"exp": 1}}, "exp"),
        ({"own": {"a": object()}}, "object"),
        ({"own": {1: "a"}}, "int"),
        ({"own": {"a": {1: 2}}}, "int"),
        ({"own": {"a": "\udfff"}}, "surrogate"),
        ({"own": {"\udfff": 1}}, "surrogate"),
        ({"own": {"a": float("nan")}}, "JSON"),
        ({"own": {"a": b"x"}}, "bytes"),
    ],
)
def test_what_cannot_be_said_is_not(change: dict[str, Any], text: str) -> None:
    """What would be refused, or read otherwise, is refused when it is written."""
    with pytest.raises(ValueError, match=text):
        ClaimRules(RULES, TokenKind.ACCESS).write(replace(SAID, **change))


def test_without_an_audience_none_is_written() -> None:
    """A token that its own verifier would refuse is not made."""
    rules = ClaimRules(TokenRules(), TokenKind.ACCESS)
    with pytest.raises(ValueError, match="aud"):
        rules.write(SAID)
    assert "aud" not in rules.write(replace(SAID, audience=()))


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_own_claims_are_nobody_elses(name: str) -> None:
    """A registered name is not taken."""
    with pytest.raises(ValueError, match=name):
        own_claims({"a": 1, name: 1})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"issuer": "a\n"}, "issuer"),
        ({"audience": ("",)}, "audience"),
        ({"audience": "api"}, "tuple"),
        ({"leeway": timedelta(seconds=-1)}, "leeway"),
        ({"max_bytes": 10}, "max_bytes"),
        ({"access": TokenRules().refresh}, "in common"),
    ],
)
def test_bad_rules_are_refused(options: dict[str, Any], text: str) -> None:
    """Rules check themselves when they are built."""
    with pytest.raises(ValueError, match=text):
        TokenRules(**options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lifetime": timedelta(0)}, "lifetime"),
        ({"types": ()}, "types"),
        ({"types": ("AT+JWT",)}, "types"),
        ({"types": ("application/at+jwt",)}, "types"),
        ({"required": ("",)}, "claim"),
    ],
)
def test_bad_rules_of_a_kind_are_refused(options: dict[str, Any], text: str) -> None:
    """So do those of one kind."""
    good: dict[str, Any] = {"lifetime": timedelta(minutes=1), "types": ("at+jwt",)}
    with pytest.raises(ValueError, match=text):
        KindRules(**{**good, **options})


def test_leeway_is_within_what_revocations_are_kept_longer() -> None:
    """Else a token would be believed again when its revocation is forgotten."""
    assert TokenRules(leeway=timedelta(minutes=5)).leeway_us == 300 * 10**6
    with pytest.raises(ValueError, match="leeway must be at most 5 minutes"):
        TokenRules(leeway=timedelta(minutes=5, microseconds=1))

"""What a shared cache keeps of HTTP, for how long, and under which key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.cache import (
    RESPONSE,
    CacheRequest,
    HttpPolicy,
    StoredResponse,
    age_of,
    cache_status,
    freshness_of,
    http_date,
    http_key,
    http_tag,
    may_store,
    why_not_asked,
    why_not_stored,
)

SECOND = timedelta(seconds=1)
TARGET = ("http", "example.org", "/a", "q=1")
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
values = st.text(st.characters(codec="latin-1", exclude_characters="\0\r\n"), max_size=20)
headers = st.lists(st.tuples(names, values), max_size=5).map(tuple)
responses = st.builds(StoredResponse, st.integers(200, 599), headers, st.binary(max_size=50))


def get(**fields: str) -> CacheRequest:
    """A request with these fields, `_` for `-`."""
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return CacheRequest("GET", TARGET, named)


def ok(*fields: tuple[str, str], status: int = 200, body: bytes = b"") -> StoredResponse:
    """A response with these fields."""
    return StoredResponse(status, fields, body)


def says(control: str, *more: tuple[str, str]) -> StoredResponse:
    """A response with this `Cache-Control`."""
    return ok(("Cache-Control", control), *more)


FRESH = says("max-age=60")


@given(responses)
def test_a_response_is_its_bytes(response: StoredResponse) -> None:
    """They come back as they were, and are the same each time."""
    data = response.to_bytes()
    assert StoredResponse.from_bytes(data) == response
    assert StoredResponse.from_bytes(data).to_bytes() == data == RESPONSE.encode(response)


def test_the_bytes_are_those_of_yesterday() -> None:
    """What another version of this wrote can be read: the form changes with its number alone."""
    response = StoredResponse(200, (("ETag", '"é"'),), b"a\nb")
    assert response.to_bytes() == b'http1 [200,[["ETag","\\"\\u00e9\\""]]]\na\nb'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"http1 [200,[]]",
        b"http2 [200,[]]\n",
        b"http1 {}\n",
        b"http1 [200]\n",
        b"http1 [true,[]]\n",
        b'http1 ["200",[]]\n',
        b"http1 [200,[[1,2]]]\n",
        b'http1 [200,["abc"]]\n',
        b"http1 [200,5]\n",
        b"http1 [-5,[]]\n",
        b"http1 [199,[]]\n",
        b"http1 [99999999999999999999,[]]\n",
        b'http1 [200,[["X","a\\r\\nSet-Cookie: s=1"]]]\n',
        b'http1 [200,[["X","\\u0000"]]]\n',
        b'http1 [200,[["X","\\u2603"]]]\n',
        b'http1 [200,[["X: a","b"]]]\n',
        b"http1 [200,[5]]\n",
        b"http1 \xff\n",
        b"http1 " + b"[" * 100_000 + b"\n",
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    """By one error, whatever is wrong with them."""
    with pytest.raises(ValueError):  # noqa: PT011 -- also that of json, which is one
        StoredResponse.from_bytes(data)


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(data: bytes) -> None:
    """They are those of a response, or refused."""
    for each in (data, b"http1 " + data, b"http1 [200,[]]\n" + data):
        try:
            StoredResponse.from_bytes(each)
        except (ValueError, json.JSONDecodeError):
            continue


@pytest.mark.parametrize(
    ("request_", "policy", "reason"),
    [
        (get(), {}, ""),
        (CacheRequest("HEAD", TARGET), {}, "method"),
        (CacheRequest("POST", TARGET), {}, "method"),
        (get(Authorization="Bearer x"), {}, "authorization"),
        (get(Authorization="Bearer x"), {"keep_authorized": True}, ""),
        (get(cookie="a=b"), {}, "cookie"),
        (get(cookie="a=b"), {"keep_cookies": True}, ""),
        (get(Range="bytes=0-1"), {}, "range"),
        (get(Content_Length="5"), {}, "content"),
        (get(Content_Length="0"), {}, ""),
        (get(Transfer_Encoding="chunked"), {}, "content"),
        (get(Cache_Control="no-cache"), {}, ""),
        (get(Cache_Control="no-cache"), {"obey_requests": True}, "request"),
        (get(Cache_Control="no-store"), {"obey_requests": True}, "request"),
        (get(Cache_Control="max-age=0"), {"obey_requests": True}, "request"),
        (get(Cache_Control="max-age=5"), {"obey_requests": True}, ""),
    ],
)
def test_who_is_not_answered(request_: CacheRequest, policy: dict[str, Any], reason: str) -> None:
    """Whoever may get something of his own, and whoever the policy lets pass."""
    assert why_not_asked(request_, HttpPolicy(**policy)) == reason
    mine = HttpPolicy(**policy, vary=("Authorization",))
    assert may_store(request_, FRESH, mine) == (not reason)


@pytest.mark.parametrize(
    ("response", "policy", "reason"),
    [
        (FRESH, {}, ""),
        (ok(), {}, "freshness"),
        (ok(), {"ttl": SECOND}, ""),
        (says("max-age=0"), {"ttl": SECOND}, "freshness"),
        (says("max-age=60, no-store"), {}, "no-store"),
        (says("max-age=60, no-cache"), {}, "no-cache"),
        (says("max-age=60, private"), {}, "private"),
        (says("max-age=60, private"), {"keep_private": True}, ""),
        (says("max-age=60", ("Set-Cookie", "a=b")), {}, "set-cookie"),
        (says("max-age=60", ("set-cookie", "a=b")), {"keep_set_cookie": True}, ""),
        (says("max-age=60, must-revalidate"), {}, ""),
        (says("max-age=60, must-revalidate"), {"serves_stale": True}, "revalidate"),
        (says("max-age=60, proxy-revalidate"), {"serves_stale": True}, "revalidate"),
        (says("s-maxage=60"), {"serves_stale": True}, "revalidate"),
        (says("max-age=60", ("Vary", "*")), {}, "vary"),
        (says("max-age=60", ("Vary", "Accept-Encoding, Origin")), {}, "vary"),
        (says("max-age=60", ("Vary", "accept-encoding"), ("Vary", "Origin")), {}, "vary"),
        (says("max-age=60", ("Vary", "accept-encoding, ")), {}, ""),
        (ok(("Cache-Control", "max-age=60"), status=500), {}, "status"),
        (ok(("Cache-Control", "max-age=60"), status=206), {}, "status"),
        (ok(("Cache-Control", "max-age=60"), status=404), {}, ""),
        (ok(("Cache-Control", "max-age=60"), body=b"123"), {"max_body": 2}, "size"),
    ],
)
def test_what_is_not_kept(response: StoredResponse, policy: dict[str, Any], reason: str) -> None:
    """What is for one alone, what forbids it, what cannot be found again, what says nothing."""
    assert why_not_stored(get(), response, HttpPolicy(**policy)) == reason
    assert may_store(get(), response, HttpPolicy(**policy)) == (not reason)


@pytest.mark.parametrize(
    ("control", "vary", "reason"),
    [
        ("max-age=60", (), "authorization"),
        ("max-age=60", ("Authorization",), ""),
        ("max-age=60, public", (), ""),
        ("s-maxage=60", (), ""),
        ("max-age=60, must-revalidate", (), ""),
    ],
)
def test_what_is_kept_of_who_is_authorized(
    control: str, vary: tuple[str, ...], reason: str
) -> None:
    """Told to, what says that it is for all (RFC 9111, 3.5), or each for itself."""
    policy = HttpPolicy(keep_authorized=True, vary=vary)
    asked = get(Authorization="Bearer x")
    assert why_not_stored(asked, says(control), policy) == reason
    assert why_not_stored(asked, says(control), HttpPolicy()) == "authorization"


@given(
    headers,
    headers,
    st.integers(100, 599),
    st.sampled_from([("Set-Cookie", "a=b"), ("Cache-Control", "private")]),
)
def test_what_is_private_is_never_kept(
    asked: Any, told: Any, status: int, private: tuple[str, str]
) -> None:
    """Whatever else the two say."""
    response = StoredResponse(status, (*told, ("Cache-Control", "max-age=60"), private))
    assert not may_store(CacheRequest("GET", TARGET, asked), response, HttpPolicy())


DAY = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ([("Cache-Control", "max-age=60, s-maxage=5")], 5),
        ([("Cache-Control", "max-age=60"), ("Expires", "0")], 60),
        ([("Cache-Control", "max-age=60"), ("Age", "20")], 40),
        ([("Cache-Control", "max-age=60"), ("Age", "x")], 60),
        ([("Cache-Control", "max-age=60"), ("Age", "99999999999999999")], 0),
        ([("Cache-Control", "max-age=99999999")], 86_400),
        ([("Date", http_date(DAY)), ("Expires", http_date(DAY + 9 * SECOND))], 9),
        ([("Date", http_date(DAY)), ("Expires", http_date(DAY - 9 * SECOND))], 0),
        ([("Date", http_date(DAY)), ("Expires", "0")], 0),
        ([("Expires", http_date(DAY))], 0),
        ([("Date", "x"), ("Expires", http_date(DAY))], 0),
        ([("Date", http_date(DAY)), *[("Expires", http_date(DAY + SECOND))] * 2], 0),
        ([], 7),
    ],
)
def test_how_long_it_is_fresh(fields: list[tuple[str, str]], seconds: int) -> None:
    """RFC 9111, 4.2.1, and never longer than the policy allows."""
    policy = HttpPolicy(ttl=timedelta(seconds=7))
    assert freshness_of(ok(*fields), policy) == seconds * SECOND


def test_ages_add_up() -> None:
    """What it was old when it came, and the time since; in whole seconds (RFC 9111, 5.1)."""
    assert age_of(ok(("Age", "5")), timedelta(seconds=2, microseconds=999_999)) == 7
    assert age_of(ok(), timedelta(0)) == 0
    assert age_of(ok(("Age", "9" * 50)), SECOND) == 2**31


def test_keys_tell_apart_what_the_policy_names() -> None:
    """And nothing else; accept fields without case and spaces, others to the letter."""
    policy = HttpPolicy(vary=("Accept-Encoding", "Authorization"))
    key = http_key(get(Accept_Encoding="gzip, BR", Origin="a", Authorization="Bearer x"), policy)
    assert key == http_key(get(accept_encoding="GZIP,br", Authorization="Bearer x"), policy)
    others = [
        get(accept_encoding="gzip", Authorization="Bearer x"),
        get(accept_encoding="gzip, br", Authorization="bearer x"),
        get(accept_encoding="gzip, br"),
        get(),
        CacheRequest("GET", ("http", "example.org", "/a", "q=2"), ()),
        CacheRequest("GET", ("http", "example.or", "g/a", "q=1"), ()),
    ]
    keys = [key, *(http_key(other, policy) for other in others)]
    assert len(set(keys)) == len(keys)
    assert len({http_tag(other) for other in others}) == 3


@given(st.text())
def test_a_key_shows_nothing(rest: str) -> None:
    """A query or a field may hold a token."""
    secret = f"s3cret-{rest}"
    asked = CacheRequest("GET", ("http", "h", "/", secret), (("Authorization", secret),))
    policy = HttpPolicy(vary=("Authorization",))
    for name in (http_key(asked, policy), http_tag(asked)):
        assert "s3cret" not in name
        assert name.isascii()


def test_what_a_cache_did_is_one_line() -> None:
    """RFC 9211, in the order of its sections."""
    assert (
        cache_status("a", fwd="miss", stored=True, ttl=5 * SECOND) == "a; fwd=miss; ttl=5; stored"
    )
    assert cache_status("a", fwd="bypass", detail="cookie") == "a; fwd=bypass; detail=cookie"
    assert cache_status("a", hit=True, ttl=-SECOND) == "a; hit; ttl=-1"
    assert cache_status("a", fwd="miss", collapsed=True) == "a; fwd=miss; collapsed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": timedelta(0)},
        {"max_ttl": timedelta(0)},
        {"max_body": 0},
        {"statuses": frozenset({206})},
        {"statuses": frozenset({304})},
        {"statuses": frozenset({100})},
        {"vary": ("*",)},
        {"vary": (" ",)},
    ],
)
def test_a_policy_checks_itself(wrong: dict[str, Any]) -> None:
    """When it is built."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HttpPolicy(**wrong)

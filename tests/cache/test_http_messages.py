"""What belongs to a message as it was sent: its length, its way here, its spelling, its sender."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.cache import (
    CacheRequest,
    HttpPolicy,
    StoredResponse,
    field_values,
    freshness_of,
    http_date,
    http_key,
    http_tag,
    may_store,
    why_not_asked,
    why_not_stored,
)

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
TARGET = ("http", "example.org", "/a", "q=1")
FRESH = ("Cache-Control", "max-age=60")
GET = CacheRequest("GET", TARGET)
POLICY = HttpPolicy()
hosts = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)


def ok(*fields: tuple[str, str], body: bytes = b"") -> StoredResponse:
    """A fresh response with these fields."""
    return StoredResponse(200, (FRESH, *fields), body)


@pytest.mark.parametrize(
    ("lengths", "body", "reason"),
    [
        ((), b"abc", ""),
        (("3",), b"abc", ""),
        (("3", " 3"), b"abc", ""),
        (("100",), b"abc", "incomplete"),
        (("2",), b"abc", "incomplete"),
        (("0",), b"abc", "incomplete"),
        (("3", "4"), b"abc", "incomplete"),
        (("x",), b"abc", "incomplete"),
        (("-3",), b"abc", "incomplete"),
        (("\u0663",), b"abc", "incomplete"),
        (("9" * 5000,), b"abc", "incomplete"),
        (("1048577",), b"abc", "size"),
    ],
)
def test_what_is_incomplete_is_not_kept(lengths: tuple[str, ...], body: bytes, reason: str) -> None:
    """Nor what is longer than it says (RFC 9111, 3.3), or says two lengths."""
    response = ok(*(("Content-Length", each) for each in lengths), body=body)
    assert why_not_stored(GET, response, POLICY) == reason


def test_what_has_just_begun_is_judged_by_its_fields() -> None:
    """Its content is still to come; a length that is too large or makes no sense is known."""
    for length, fits in (("100", True), ("1048577", False), ("x", False)):
        begun = ok(("Content-Length", length))
        assert may_store(GET, begun, POLICY, is_whole=False) == fits


@pytest.mark.parametrize(
    ("coding", "reason"), [("chunked", ""), ("Chunked", ""), ("gzip, chunked", "coding")]
)
def test_a_coding_that_would_be_lost_is_not_kept(coding: str, reason: str) -> None:
    """What only this field names could not be read without it."""
    assert why_not_stored(GET, ok(("Transfer-Encoding", coding)), POLICY) == reason


def test_what_is_for_one_connection_is_not_kept() -> None:
    """RFC 9110, 7.6.1, and RFC 9111, 3.1; whatever `Connection` names goes, too."""
    gone = [
        ("connection", "close, X-One"),
        ("Connection", "x-two"),
        ("x-one", "1"),
        ("X-Two", "2"),
        ("Keep-Alive", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Proxy-Connection", "close"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("Proxy-Authorization", "x"),
    ]
    kept = [("ETag", '"1"'), ("X-Three", "3")]
    response = ok(*gone, *kept, body=b"abc")
    assert response.received(NOW) == ok(*kept, body=b"abc")


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        ({"Date": http_date(NOW - timedelta(hours=1))}, "3600"),
        ({"Date": http_date(NOW - timedelta(hours=1)), "Age": "5"}, "3600"),
        ({"Date": http_date(NOW - timedelta(seconds=5)), "age": "9"}, "9"),
        ({"Date": http_date(NOW)}, ""),
        ({"Date": http_date(NOW + timedelta(hours=1))}, ""),
        ({"Date": "x"}, ""),
        ({}, ""),
        ({"Age": "5"}, "5"),
    ],
)
def test_what_was_sent_long_ago_is_old(fields: dict[str, str], age: str) -> None:
    """Its age is the larger one of `Age` and the time since `Date` (RFC 9111, 4.2.3)."""
    got = ok(*fields.items()).received(NOW)
    assert field_values(got.headers, "age") == ([age] if age else [])
    left = max(0, 60 - int(age or 0))
    assert freshness_of(got, POLICY) == timedelta(seconds=left)
    assert got.received(NOW) == got


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 2**31))
def test_nothing_grows_younger(sent: datetime, age: int) -> None:
    """Whatever its `Date` says."""
    date = ("Date", http_date(sent))
    got = ok(("Age", str(age)), date).received(NOW)
    assert int(field_values(got.headers, "age")[0]) >= age


@pytest.mark.parametrize(
    ("control", "policy", "reason"),
    [
        ("max-age=60", {}, "authorization"),
        ("max-age=60, public", {}, "authorization"),
        ("max-age=60", {"keep_authorized": True}, "authorization"),
        ("max-age=60", {"keep_authorized": True, "vary": ("Authorization",)}, "authorization"),
        ("max-age=60, public", {"keep_authorized": True}, ""),
        ("max-age=60, must-revalidate", {"keep_authorized": True}, ""),
        ("s-maxage=60", {"keep_authorized": True}, ""),
    ],
)
@pytest.mark.parametrize("fields", [(), (("Authorization", "Bearer x"),)])
def test_who_is_known_otherwise_counts_as_authorized(
    control: str, policy: dict[str, Any], reason: str, fields: tuple[tuple[str, str], ...]
) -> None:
    """RFC 9111, 3.5; no field tells such clients apart, so `vary` does not help."""
    known = CacheRequest("GET", TARGET, fields, is_authenticated=True)
    told = StoredResponse(200, (("Cache-Control", control),))
    rules = HttpPolicy(**policy)
    assert why_not_stored(known, told, rules) == reason
    assert (why_not_asked(known, rules) == "") == rules.keep_authorized


@given(hosts)
def test_a_host_is_one_however_it_is_spelt(host: str) -> None:
    """Case and the scheme's own port do not matter (RFC 9110, 4.2.3); other ports do."""
    plain = CacheRequest("GET", ("http", host, "/", ""))
    for other in (host.upper(), host.lower(), f"{host}:80", f"{host}:"):
        again = CacheRequest("GET", ("HTTP", other, "/", ""))
        assert http_key(again, POLICY) == http_key(plain, POLICY)
        assert http_tag(again) == http_tag(plain)
    for other in (f"{host}:8080", f"{host}:443"):
        apart = CacheRequest("GET", ("http", other, "/", ""))
        assert http_key(apart, POLICY) != http_key(plain, POLICY)
        assert http_tag(apart) != http_tag(plain)


def test_a_change_by_one_scheme_drops_what_is_kept_of_both() -> None:
    """Their answers are kept apart, for an application may redirect one to the other."""
    plain = CacheRequest("GET", ("http", "x", "/", ""))
    for scheme, host in (("https", "x"), ("https", "x:443"), ("ws", "x:")):
        secure = CacheRequest("GET", (scheme, host, "/", ""))
        assert http_key(secure, POLICY) != http_key(plain, POLICY)
        assert http_tag(secure) == http_tag(plain)


def test_an_escaped_path_is_another_one() -> None:
    """Where an application looks at what was sent; a change drops both."""
    paths = ["", "/a%2Fb", "/a/b"]
    asked = [CacheRequest("GET", ("http", "x", "/a/b", ""), raw_path=path) for path in paths]
    assert len({http_key(each, POLICY) for each in asked}) == 3
    assert len({http_tag(each) for each in asked}) == 1


def test_no_field_is_not_an_empty_one() -> None:
    """RFC 9110, 12.5.3: without it any coding will do, with an empty one none."""
    fields = [(), (("Accept-Encoding", ""),), (("Accept-Encoding", "gzip"),)]
    keys = {http_key(CacheRequest("GET", TARGET, each), POLICY) for each in fields}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("status", "field"),
    [(99, ("A", "b")), (600, ("A", "b")), (200, ("A", "b\r\nC: d")), (200, ("", "b"))],
)
def test_what_could_not_be_sent_has_no_bytes(status: int, field: tuple[str, str]) -> None:
    """So it is not kept, and nobody else gets it."""
    with pytest.raises(ValueError, match="not the"):
        StoredResponse(status, (field,)).to_bytes()
    assert StoredResponse.from_bytes(StoredResponse(0).to_bytes()) == StoredResponse(0)

"""Entity tags, dates, and 304."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.cache import (
    CacheRequest,
    StoredResponse,
    etag_of,
    field_values,
    http_date,
    not_modified,
    parse_http_date,
    with_etag,
)
from socialflow_core.cache._conditional import is_same

opaque = st.text(st.characters(codec="latin-1", exclude_characters='"\x7f', min_codepoint=0x21))
opaque = opaque.filter(lambda text: not any("\x7f" <= each < "\x80" for each in text))
tags = st.builds(lambda weak, text: f'{weak}"{text}"', st.sampled_from(["", "W/"]), opaque)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001 -- strategies want it so
    lambda moment: moment.replace(microsecond=0)
)


def ask(*headers: tuple[str, str], method: str = "GET") -> CacheRequest:
    """A request with conditions."""
    return CacheRequest(method, ("http", "h", "/", ""), headers)


def told(*headers: tuple[str, str], status: int = 200) -> StoredResponse:
    """A response with validators."""
    return StoredResponse(status, headers, b"body")


@given(st.binary(), st.binary())
def test_other_bytes_have_another_tag(one: bytes, other: bytes) -> None:
    """And the same have the same."""
    assert (etag_of(one) == etag_of(other)) == (one == other)
    assert not etag_of(one).startswith("W/")


@given(tags, st.lists(tags, max_size=3), st.lists(tags, max_size=3))
def test_a_tag_is_found_in_its_list(tag: str, before: list[str], after: list[str]) -> None:
    """Wherever it stands, on one line or several, weak or not: the answer is 304."""
    response = told(("ETag", tag))
    for lines in ([", ".join([*before, tag, *after])], [*before, tag, *after]):
        asked = ask(*(("If-None-Match", line) for line in lines))
        brief = not_modified(asked, response)
        assert brief is not None
        assert (brief.status, brief.body) == (304, b"")
        assert field_values(brief.headers, "etag") == [tag]


@given(tags, st.lists(tags, max_size=3))
def test_a_tag_that_is_not_there_matches_nothing(tag: str, others: list[str]) -> None:
    """Also if a date would match: the tag wins."""
    asked = [each for each in others if not is_same(each, tag)] or ['"other one"']
    day = http_date(datetime(2027, 1, 1, tzinfo=UTC))
    since = ("If-Modified-Since", day)
    response = told(("ETag", tag), ("Last-Modified", day))
    if not is_same(tag, '"other one"'):
        assert not_modified(ask(("If-None-Match", ",".join(asked)), since), response) is None


@given(moments, st.integers(-3, 3))
def test_a_date_is_compared_to_the_second(last: datetime, off: int) -> None:
    """304 exactly if nothing changed since then."""
    try:
        since = last + timedelta(seconds=off)
    except OverflowError:
        return
    response = told(("Last-Modified", http_date(last)))
    brief = not_modified(ask(("If-Modified-Since", http_date(since))), response)
    assert (brief is not None) == (off >= 0)


@given(moments)
def test_dates_are_read_as_they_are_written(moment: datetime) -> None:
    """In any zone."""
    assert parse_http_date(http_date(moment)) == moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sun Nov  6 08:49:37 1994", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("0", None),
        ("", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 99999 08:49:37 GMT", None),
        ("Fri, 31 Dec 9999 23:00:00 -2300", None),
    ],
)
def test_all_three_forms_are_read(text: str, moment: datetime | None) -> None:
    """RFC 9110, 5.6.7; anything else is no date."""
    assert parse_http_date(text) == moment


@given(st.text(max_size=30))
def test_what_is_no_date_raises_nothing(text: str) -> None:
    """It is None, or some moment in UTC."""
    moment = parse_http_date(text)
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("asked", "response"),
    [
        (ask(), told(("ETag", '"1"'))),
        (ask(("If-None-Match", '"1"')), told()),
        (ask(("If-None-Match", '"1"'), method="POST"), told(("ETag", '"1"'))),
        (ask(("If-None-Match", '"1"')), told(("ETag", '"1"'), status=404)),
        (ask(("If-None-Match", "1")), told(("ETag", '"1"'))),
        (ask(("If-None-Match", 'nonsense, "1"')), told(("ETag", '"1"'))),
        (ask(("If-None-Match", '"a" "1"')), told(("ETag", '"1"'))),
        (ask(("If-Modified-Since", "0")), told(("Last-Modified", "0"))),
        (ask(("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")), told()),
        (
            ask(*[("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT")] * 2),
            told(("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")),
        ),
    ],
)
def test_in_doubt_all_is_sent(asked: CacheRequest, response: StoredResponse) -> None:
    """A 304 too many would leave a browser with the wrong content."""
    assert not_modified(asked, response) is None


def test_a_star_matches_whatever_there_is() -> None:
    """RFC 9110, 13.1.2; a HEAD is answered so, too."""
    for method in ("GET", "HEAD"):
        assert not_modified(ask(("If-None-Match", "*"), method=method), told()) is not None


def test_a_304_keeps_what_is_not_about_the_content() -> None:
    """RFC 9110, 15.4.5; the date of the last change goes where a tag is."""
    kept = [
        ("ETag", '"1"'),
        ("Cache-Control", "max-age=5"),
        ("Vary", "Accept"),
        ("Set-Cookie", "a"),
    ]
    gone = [("Content-Type", "a/b"), ("content-length", "4"), ("Last-Modified", "x")]
    brief = not_modified(ask(("If-None-Match", '"1"')), told(*kept, *gone))
    assert brief is not None
    assert list(brief.headers) == kept
    day = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")
    brief = not_modified(ask(("If-Modified-Since", day[1])), told(day))
    assert brief is not None
    assert brief.headers == (day,)


def test_only_a_200_without_a_tag_gets_one() -> None:
    """What the application says of its content, it knows better."""
    assert field_values(with_etag(told()).headers, "etag") == [etag_of(b"body")]
    for response in (told(("etag", 'W/"1"')), told(status=404)):
        assert with_etag(response) is response

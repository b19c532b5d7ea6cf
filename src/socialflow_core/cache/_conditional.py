"""Conditional requests (RFC 9110, sections 8.8 and 13): entity tags, dates, and 304.

Judged are `If-None-Match` and, where there is none, `If-Modified-Since`, for GET and HEAD.
`If-Match`, `If-Unmodified-Since` and `If-Range` are the application's own affair.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from ._dates import http_date, parse_http_date
from ._response import StoredResponse, field_values

if TYPE_CHECKING:
    from ._response import CacheRequest, Headers

__all__ = ["etag_of", "http_date", "is_same", "not_modified", "parse_http_date", "with_etag"]

_SUCCESS = 200
_NOT_MODIFIED = 304
# entity-tag; RFC 9110, 8.8.3.
_TAG = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
# What describes the content, which a 304 does not have; RFC 9110, 15.4.5.
_OF_THE_CONTENT = frozenset(
    {
        *("content-encoding", "content-language", "content-length", "content-md5"),
        *("content-range", "content-type", "trailer", "transfer-encoding"),
    }
)


def etag_of(body: bytes) -> str:
    """A strong entity tag: other bytes have another one.

    >>> etag_of(b"hello")
    '"LPJNul-wow4m6DsqxbninhsWHlwfp0Je"'
    """
    digest = hashlib.sha256(body).digest()[:24]
    return f'"{base64.urlsafe_b64encode(digest).decode("ascii")}"'


def is_same(one: str, other: str) -> bool:
    """Whether two entity tags match by the weak comparison of RFC 9110, 8.8.3.2.

    >>> is_same('W/"1"', '"1"'), is_same('"1"', '"2"')
    (True, False)
    """
    return one.removeprefix("W/") == other.removeprefix("W/")


def with_etag(response: StoredResponse) -> StoredResponse:
    """*response* with a strong entity tag, if it is a 200 that has none."""
    if response.status != _SUCCESS or field_values(response.headers, "etag"):
        return response
    headers = (*response.headers, ("ETag", etag_of(response.body)))
    return StoredResponse(response.status, headers, response.body)


def not_modified(request: CacheRequest, response: StoredResponse) -> StoredResponse | None:
    """The 304 to send instead of *response*, None if it has to be sent in full.

    It keeps every field that does not describe the content, so what a browser is told with
    the answer (`Set-Cookie`, CORS) reaches it.
    """
    if request.method not in {"GET", "HEAD"} or response.status != _SUCCESS:
        return None
    if not _has_it_already(request.headers, response.headers):
        return None
    dropped = _OF_THE_CONTENT
    if field_values(response.headers, "etag"):
        dropped = dropped | {"last-modified"}
    kept = tuple(pair for pair in response.headers if pair[0].lower() not in dropped)
    return StoredResponse(_NOT_MODIFIED, kept)


def _has_it_already(asked: Headers, told: Headers) -> bool:
    wanted = field_values(asked, "if-none-match")
    if wanted:  # it wins over the date, also where it does not match; RFC 9110, 13.1.3
        tags = field_values(told, "etag")
        named = ",".join(wanted).strip()
        if named == "*":
            return True
        return bool(tags) and any(is_same(tags[0].strip(), each) for each in _tags(named))
    since = field_values(asked, "if-modified-since")
    changed = field_values(told, "last-modified")
    if len(since) != 1 or not changed:
        return False
    then, last = parse_http_date(since[0]), parse_http_date(changed[0])
    return then is not None and last is not None and last <= then


def _tags(text: str) -> list[str]:
    """Every entity tag up to what is none."""
    found, at = [], 0
    while at < len(text) and (match := _TAG.match(text, at)):
        found.append(match[1])
        at = match.end()
    return found

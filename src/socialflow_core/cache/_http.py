"""What may be kept of HTTP, for how long, and under which key: a shared cache before an application.

The subset of RFC 9111 that is done:

- 3: only GET; only final statuses of `HttpPolicy.statuses`; `no-store` and `private` are
  obeyed; a request with `Authorization`, or of one who was authenticated otherwise, is not
  answered from the cache nor kept, also where 3.5 would allow it, unless the policy says so.
- 3.1: fields for one connection only are not kept; 3.3: nor is what is shorter or longer than
  its `Content-Length`.
- 4.1: a response is found again by the request fields of `HttpPolicy.vary`; one whose `Vary`
  names another field, or `*`, is not kept.
- 4.2.1: fresh for `s-maxage`, else `max-age`, else `Expires` less `Date`, less its own `Age`.
  No heuristics (4.2.2): what says nothing is kept for `HttpPolicy.ttl`, by default not at all.
- 4.2.3, 5.1: `Age` is the age in this cache and what the response brought along, by its
  `Age` or its `Date`; how long the application took to answer is not added.
- 4.3: a client's conditions are judged here (see `_conditional`). Nothing is revalidated with
  the application, so what says `no-cache` is not kept.
- 4.4: an unsafe method that was not refused drops what is kept of its target, by whichever
  scheme it was asked for.
- 5.2.1: what a request says in `Cache-Control` is ignored, as in other caches that stand
  before their own application, unless the policy says to obey it.

Stricter than the RFC: what sets a cookie is not kept, and a request that brings one, asks for a
range or has a content passes by. Not done: partial content (3.3, 3.4), `Warning`, `Pragma`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ._cache_control import CacheControl
from ._dates import parse_http_date
from ._keys import key_of
from ._response import field_values, listed

if TYPE_CHECKING:
    from ._response import CacheRequest, Headers, StoredResponse

__all__ = [
    "SAFE_METHODS",
    "HttpPolicy",
    "age_of",
    "cache_status",
    "freshness_of",
    "http_key",
    "http_tag",
    "may_store",
    "why_not_asked",
    "why_not_stored",
]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110, 9.2.1; every other one drops what is kept of its target."""

_ZERO = timedelta(0)
_SECOND = timedelta(seconds=1)
_MOST_SECONDS = 2**31
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPolicy:
    """What a cache may keep that it otherwise would not, and what it tells apart.

    Attributes:
        vary: The request fields that are part of every key. One entry for each value: name
            what the application chooses by, and no more.
        ttl: How long to keep what does not say how long it is fresh; None: not at all.
        max_ttl: The longest to keep anything.
        max_body: A larger content is not kept, in bytes.
        statuses: What may be kept. Errors of the server should not be among them.
        keep_private: Keep what says `private`: only where one user has the cache.
        keep_cookies: Answer requests with a `Cookie` from the cache, and keep what they
            got: for cookies that the application does not look at.
        keep_set_cookie: Keep what sets a cookie, for everybody who asks next.
        keep_authorized: Answer requests with `Authorization` from the cache, and keep what
            they got if it says `public`, `s-maxage` or `must-revalidate` (RFC 9111, 3.5), or
            if *vary* names `Authorization`, each for itself then. The latter does not hold
            for who is authenticated by other means than this field.
        serves_stale: Whether what is kept may be handed out after its end (see `Policy`);
            then what says `must-revalidate`, `proxy-revalidate` or `s-maxage`, which means
            the same (RFC 9111, 5.2.2.10), is not kept.
        obey_requests: Let a request's `no-cache`, `no-store` and `max-age=0` pass by the cache.

    Raises:
        ValueError: If a duration or size is not positive, a status is not final, or *vary*
            names `*`.
    """

    vary: tuple[str, ...] = ("Accept-Encoding",)
    ttl: timedelta | None = None
    max_ttl: timedelta = timedelta(days=1)
    max_body: int = 1_048_576
    statuses: frozenset[int] = frozenset({200, 203, 300, 301, 308, 404, 410})
    keep_private: bool = False
    keep_cookies: bool = False
    keep_set_cookie: bool = False
    keep_authorized: bool = False
    serves_stale: bool = False
    obey_requests: bool = False

    def __post_init__(self) -> None:
        if (self.ttl is not None and self.ttl <= _ZERO) or self.max_ttl <= _ZERO:
            raise ValueError("ttl and max_ttl must be longer than zero")
        if self.max_body < 1:
            raise ValueError("max_body must be at least 1")
        if any(not 200 <= status <= 599 or status in {206, 304} for status in self.statuses):  # noqa: PLR2004 -- RFC 9110, 15
            raise ValueError("statuses must be final ones, and neither 206 nor 304")
        if "*" in self.vary or any(not name.strip() for name in self.vary):
            raise ValueError("vary must name fields")


def why_not_asked(request: CacheRequest, policy: HttpPolicy) -> str:
    """Why the cache has no part in *request*; empty if it may be answered from there.

    One of "method", "authorization", "cookie", "range", "content" and "request".
    """
    headers = request.headers
    lengths = field_values(headers, "content-length")
    has_content = any(each.strip() != "0" for each in lengths)
    said = CacheControl.parse(field_values(headers, "cache-control"))
    asks_around = said.no_store or said.no_cache or said.max_age == 0
    reasons = (
        ("method", request.method != "GET"),
        ("authorization", _is_authenticated(request) and not policy.keep_authorized),
        ("cookie", _has(headers, "cookie") and not policy.keep_cookies),
        ("range", _has(headers, "range")),
        ("content", has_content or _has(headers, "transfer-encoding")),
        ("request", policy.obey_requests and asks_around),
    )
    return next((reason for reason, holds in reasons if holds), "")


def why_not_stored(
    request: CacheRequest, response: StoredResponse, policy: HttpPolicy, *, is_whole: bool = True
) -> str:
    """Why *response* may not be kept, and not be given to anybody else; empty if it may.

    What `why_not_asked` says, or one of "status", "no-store", "no-cache", "private",
    "set-cookie", "revalidate", "vary", "coding", "size", "freshness" and "incomplete".

    Args:
        request: What was asked.
        response: What was answered.
        policy: What may be kept.
        is_whole: False if *response* has only just begun, and its body is still to come.
    """
    headers = response.headers
    said = CacheControl.parse(field_values(headers, "cache-control"))
    names = {name.strip().lower() for name in policy.vary}
    must_be_fresh = said.must_revalidate or said.s_maxage is not None
    # RFC 9111, 3.5: one who proved who he is gets what is for him, unless it says otherwise.
    is_his = request.is_authenticated or (
        _has(request.headers, "authorization") and "authorization" not in names
    )
    codings = set(map(str.lower, listed(headers, "transfer-encoding")))
    told, size = response.content_length, len(response.body)
    reasons = (
        (why_not_asked(request, policy), True),
        ("status", response.status not in policy.statuses),
        ("no-store", said.no_store),
        ("no-cache", said.no_cache),
        ("private", said.private and not policy.keep_private),
        ("authorization", is_his and not (said.public or must_be_fresh)),
        ("set-cookie", _has(headers, "set-cookie") and not policy.keep_set_cookie),
        ("revalidate", policy.serves_stale and (must_be_fresh or said.proxy_revalidate)),
        ("vary", not names.issuperset(map(str.lower, listed(headers, "vary")))),
        ("coding", not codings <= {"chunked"}),  # which a server adds and takes off
        ("size", max(size, told or 0) > policy.max_body),
        ("freshness", freshness_of(response, policy) <= _ZERO),
        ("incomplete", told is not None and (told < 0 or (is_whole and told != size))),
    )
    return next((reason for reason, holds in reasons if reason and holds), "")


def _has(headers: Headers, name: str) -> bool:
    return bool(field_values(headers, name))


def _is_authenticated(request: CacheRequest) -> bool:
    return request.is_authenticated or _has(request.headers, "authorization")


def may_store(
    request: CacheRequest, response: StoredResponse, policy: HttpPolicy, *, is_whole: bool = True
) -> bool:
    """Whether *response* may be kept and given to others who ask the same; see `why_not_stored`."""
    return not why_not_stored(request, response, policy, is_whole=is_whole)


def freshness_of(response: StoredResponse, policy: HttpPolicy) -> timedelta:
    """How long *response* is still fresh, at most `max_ttl`; zero if it is stale or does not say."""
    headers = response.headers
    said = CacheControl.parse(field_values(headers, "cache-control"))
    seconds = said.s_maxage if said.s_maxage is not None else said.max_age
    expires = field_values(headers, "expires")
    if seconds is not None:
        lasts = timedelta(seconds=seconds)
    elif expires:
        lasts = _between(field_values(headers, "date"), expires)
    elif policy.ttl is not None:
        lasts = policy.ttl
    else:
        return _ZERO
    return max(_ZERO, min(lasts - response.age * _SECOND, policy.max_ttl))


def _between(date: list[str], expires: list[str]) -> timedelta:
    # RFC 9111, 5.3: what is no date, "0" above all, is a moment in the past. Without Date
    # nothing says what the clock of Expires shows.
    begin = parse_http_date(date[0]) if len(date) == 1 else None
    end = parse_http_date(expires[0]) if len(expires) == 1 else None
    return end - begin if begin and end else _ZERO


def age_of(response: StoredResponse, here: timedelta) -> int:
    """The value of `Age` for a response that has been *here* so long, in seconds."""
    return min(here // _SECOND + response.age, _MOST_SECONDS)


def http_key(request: CacheRequest, policy: HttpPolicy) -> str:
    """Under which key the response to *request* is kept; it shows nothing of the request.

    The fields `Accept` and `Accept-*` are compared without case and spaces around commas,
    the host without case and its scheme's own port (RFC 9110, 4.2.3).
    """
    names = [name.strip().lower() for name in policy.vary]
    chosen = [_chosen(request.headers, name) for name in names]
    return key_of(
        "http-response", _digest(key_of(*_target(request), request.raw_path, names, chosen))
    )


def http_tag(request: CacheRequest) -> str:
    """The tag of everything that is kept of the target of *request*, by whichever scheme."""
    return key_of("http-target", _digest(key_of(*_target(request)[1:])))


def _target(request: CacheRequest) -> tuple[str, str, str, str]:
    scheme, host, path, query = request.target
    scheme, host = scheme.lower(), host.strip().lower()
    return scheme, host.removesuffix(_PORTS.get(scheme, ":")).removesuffix(":"), path, query


def _digest(text: str) -> str:
    # A query may hold a token, and a store's keys are seen by many.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _chosen(headers: Headers, name: str) -> list[str]:
    told = [each.strip() for each in field_values(headers, name)]
    if not name.startswith("accept"):
        return told
    # An empty field says "none of these", no field says "any"; RFC 9110, 12.5.3.
    return [each.lower() for each in listed(headers, name)] or told[:1]


def cache_status(  # noqa: PLR0913 -- they are the parameters of the field
    name: str,
    *,
    hit: bool = False,
    fwd: str = "",
    ttl: timedelta | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str = "",
) -> str:
    """The value of `Cache-Status` (RFC 9211).

    Args:
        name: The cache's, a token.
        hit: Whether it was answered from the cache.
        fwd: Else why it was not: "bypass", "method", "miss", "stale", ...
        ttl: How long the response is still fresh; negative if it is stale.
        stored: Whether the response was kept.
        collapsed: Whether it waited for the answer to somebody else.
        detail: A token that says more.

    >>> cache_status("app", hit=True, ttl=timedelta(seconds=30))
    'app; hit; ttl=30'
    """
    parts = [name]
    parts += ["hit"] if hit else []
    parts += [f"fwd={fwd}"] if fwd else []
    parts += [f"ttl={ttl // _SECOND}"] if ttl is not None else []
    parts += ["stored"] if stored else []
    parts += ["collapsed"] if collapsed else []
    parts += [f"detail={detail}"] if detail else []
    return "; ".join(parts)

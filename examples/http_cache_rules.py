"""What the ASGI and the WSGI cache decide alike: what to keep, and what to say about it.

To take a middleware along, copy its file and this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from socialflow_core.cache import (
    DEFAULT_POLICY,
    CacheRequest,
    HttpPolicy,
    Policy,
    StoredResponse,
    age_of,
    cache_status,
    field_values,
    freshness_of,
    http_tag,
    may_store,
    not_modified,
    with_etag,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from socialflow_core.cache import Cached

__all__ = ["PASS", "HttpCacheOptions", "ServerError"]

PASS = StoredResponse(0)
"""What is computed where the response is for the one who asked first, and for nobody else."""

_ERRORS = frozenset({500, 502, 503, 504})
"""What `stale-if-error` means by an error (RFC 5861, 4)."""


class ServerError(Exception):
    """The application answered that it has failed, and an older answer may do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCacheOptions:
    """How a middleware keeps responses.

    Attributes:
        http: What may be kept.
        policy: What happens at the end of a response's life; with stale allowances,
            `HttpPolicy.serves_stale` has to say so too.
        name: The cache's in `Cache-Status`, a token.
        etag: Whether to add a strong entity tag where the application sets none.
        tags: Names the groups that a request's response belongs to, for `invalidate_tags`.
        now: Tells the time, with its zone, that `Date` is compared with.

    Raises:
        ValueError: If *policy* serves what is stale and *http* does not know.
    """

    http: HttpPolicy = field(default_factory=HttpPolicy)
    policy: Policy = DEFAULT_POLICY
    name: str = "socialflow"
    etag: bool = True
    tags: Callable[[CacheRequest], tuple[str, ...]] = lambda _: ()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        allowances = self.policy.stale_while_revalidate, self.policy.stale_if_error
        if any(allowances) and not self.http.serves_stale:
            raise ValueError("policy serves what is stale: say so in HttpPolicy.serves_stale")

    def all_tags(self, request: CacheRequest) -> tuple[str, ...]:
        """Those, and the one by which a change drops what it changed."""
        return http_tag(request), *self.tags(request)

    def finished(self, response: StoredResponse) -> StoredResponse:
        """*response* as it is kept."""
        kept = response.received(self.now())
        return with_etag(kept) if self.etag else kept

    def may_become(self, request: CacheRequest, start: StoredResponse) -> bool:
        """Whether a response that begins so may be kept, if its content is as it should be."""
        # Judged as it came: what a connection's field named is not kept, but it was said.
        kept = start.received(self.now())
        return all(may_store(request, each, self.http, is_whole=False) for each in (start, kept))

    def is_for_all(self, request: CacheRequest, response: StoredResponse) -> bool:
        """Whether a whole response may be given to everybody who asks the same."""
        return may_store(request, response, self.http)

    def is_error(self, status: int) -> bool:
        """Whether an older answer, where there is one, stands in for one with this status."""
        return status in _ERRORS and bool(self.policy.stale_if_error)

    def lifetime(self, request: CacheRequest, response: StoredResponse) -> timedelta | None:
        """How long to keep it; None, not at all."""
        if not may_store(request, response, self.http):
            return None
        return freshness_of(response, self.http)

    def status(self, *, fwd: str, detail: str = "") -> tuple[str, str]:
        """The header of an answer that is the application's, and that nobody else gets."""
        return "Cache-Status", cache_status(self.name, fwd=fwd, detail=detail)

    def answer(
        self, request: CacheRequest, cached: Cached[StoredResponse], *, is_mine: bool
    ) -> StoredResponse:
        """What to send; *is_mine* if this very request made the application answer."""
        response = cached.value
        left = freshness_of(response, self.http) - cached.age
        computed = cached.source == "computed"
        is_mine = is_mine and computed  # or it computes for whoever comes next
        status = cache_status(
            self.name,
            hit=not computed,
            fwd="miss" if computed else "",
            ttl=left,
            stored=is_mine and not cached.reason,
            collapsed=computed and not is_mine,
        )
        ours = [("Cache-Status", status)]
        if not is_mine:
            ours.append(("Age", str(age_of(response, cached.age))))
        names = {name.lower() for name, _ in ours if name != "Cache-Status"}
        kept = (pair for pair in response.headers if pair[0].lower() not in names)
        full = StoredResponse(response.status, (*kept, *ours), response.body)
        brief = not_modified(request, full)
        if brief is not None:
            return brief
        if field_values(full.headers, "content-length"):
            return full
        length = "Content-Length", str(len(full.body))
        return StoredResponse(full.status, (*full.headers, length), full.body)

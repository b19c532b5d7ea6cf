"""A cache before ASGI applications: what is kept, and for whom."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from examples.asgi.cache import CacheMiddleware
from examples.http_cache_rules import HttpCacheOptions
from socialflow_core.cache import Policy
from socialflow_core.cache.memory import AsyncMemoryCache
from tests.examples.cached import OPTIONS, Client, Counting, asking, until
from tests.examples.loopback import served

if TYPE_CHECKING:
    from examples.asgi.rate_limit import Receive, Scope, Send


def test_it_answers_once_for_all() -> None:
    """The second gets what the first got, its age, and how it came by it."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        async with asking(counting.app) as client:
            first = await client()
            client.clock.advance(timedelta(seconds=7))
            second = await client()
            assert (first.body, second.body) == (b"1", b"1")
            assert first.headers["cache-status"] == "socialflow; fwd=miss; ttl=60; stored"
            assert second.headers["cache-status"] == "socialflow; hit; ttl=53"
            assert "age" not in first.headers
            assert second.headers["age"] == "7"
            assert first.headers["etag"] == second.headers["etag"]
            client.clock.advance(timedelta(seconds=54))
            assert (await client()).body == b"2"

    asyncio.run(main())


def test_who_has_it_already_gets_a_304() -> None:
    """From the cache, and from the very first answer too."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        async with asking(counting.app) as client:
            etag = (await client("/a")).headers["etag"]
            again = await client("/a", if_none_match=f'"other", W/{etag}')
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == etag
            assert "content-length" not in again.headers
            assert (await client("/a", if_none_match='"other"')).body == b"1"
            assert (await client("/b", if_none_match="*")).status == 304
            assert counting.calls == 2

    asyncio.run(main())


def test_many_at_once_are_one() -> None:
    """One reaches the application, all get its answer."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        counting.held = asyncio.Event()
        async with asking(counting.app) as client:
            asked = [asyncio.ensure_future(client()) for _ in range(20)]
            await until(lambda: counting.calls == 1)
            counting.held.set()
            answers = await asyncio.gather(*asked)
            assert {each.body for each in answers} == {b"1"}
            statuses = [each.headers["cache-status"] for each in answers]
            assert statuses.count("socialflow; fwd=miss; ttl=60; stored") == 1
            assert statuses.count("socialflow; fwd=miss; ttl=60; collapsed") == 19

    asyncio.run(main())


@pytest.mark.parametrize(
    "private", [{"set_cookie": "session=1"}, {"cache_control": "private, max-age=60"}, {}]
)
def test_nobody_gets_what_is_for_another(private: dict[str, str]) -> None:
    """Also of those who asked while it was computed: each gets an answer of its own."""
    counting = Counting(**{"cache_control": "max-age=60", **private} if private else {})

    async def main() -> None:
        counting.held = asyncio.Event()
        async with asking(counting.app) as client:
            asked = [asyncio.ensure_future(client()) for _ in range(10)]
            await until(lambda: counting.calls == 1)
            counting.held.set()
            answers = await asyncio.gather(*asked)
            assert len({each.body for each in answers}) == 10
            assert {each.headers["cache-status"] for each in answers} == {"socialflow; fwd=miss"}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"authorization": "Bearer x"}, "fwd=bypass; detail=authorization"),
        ("GET", {"cookie": "a=b"}, "fwd=bypass; detail=cookie"),
        ("GET", {"range": "bytes=0-1"}, "fwd=bypass; detail=range"),
        ("HEAD", {}, "fwd=method; detail=method"),
    ],
)
def test_what_passes_by(method: str, headers: dict[str, str], status: str) -> None:
    """It neither gets what is kept, nor is kept."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        async with asking(counting.app) as client:
            await client()
            passing = await client(method=method, **headers)
            assert passing.headers["cache-status"] == f"socialflow; {status}"
            assert counting.calls == 2
            assert (await client()).body == b"1"

    asyncio.run(main())


def test_variants_are_kept_apart() -> None:
    """By what the policy names; a response that varies by more is not kept."""
    counting = Counting(cache_control="max-age=60", vary="Accept-Encoding")

    async def main() -> None:
        async with asking(counting.app) as client:
            assert (await client(accept_encoding="gzip")).body == b"1"
            assert (await client(accept_encoding="br")).body == b"2"
            assert (await client(accept_encoding="GZIP")).body == b"1"
            counting.headers["vary"] = "Origin"
            assert [(await client("/o")).body for _ in range(2)] == [b"3", b"4"]

    asyncio.run(main())


def test_a_change_drops_what_it_changed() -> None:
    """After a POST that was not refused the next GET asks the application (RFC 9111, 4.4)."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        async with asking(counting.app) as client:
            await client("/a", accept_encoding="gzip")
            await client("/b")
            await client("/a", "POST")
            assert (await client("/a", accept_encoding="gzip")).body == b"4"
            assert (await client("/b")).body == b"2"

    asyncio.run(main())


def test_tags_drop_what_belongs_together() -> None:
    """The application's own groups, by `invalidate_tags`."""
    counting = Counting(cache_control="max-age=60")
    options = HttpCacheOptions(tags=lambda request: (request.target[2],))

    async def main() -> None:
        async with asking(counting.app, options) as client:
            await client("/a")
            await client("/b")
            await client.cache.invalidate_tags("/a")
            assert ((await client("/a")).body, (await client("/b")).body) == (b"3", b"2")

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_only_http_is_cached(kind: str) -> None:
    """Every other protocol reaches the application as it is."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def main() -> None:
        client = Client(app)
        scope: Scope = {"type": kind}
        receive: Any = object()
        await client.app(scope, receive, receive)
        assert seen == [(scope, receive, receive)]

    asyncio.run(main())


def test_stale_allowances_are_said_twice() -> None:
    """Or responses that forbid it would be handed out stale."""
    with pytest.raises(ValueError, match="serves_stale"):
        HttpCacheOptions(policy=Policy(stale_if_error=timedelta(1)))


def test_it_works_behind_a_server() -> None:
    """Over a socket, with Starlette."""
    counting = Counting(cache_control="max-age=60")
    app = CacheMiddleware(counting.app, AsyncMemoryCache(), OPTIONS)
    with served(app) as server:
        first, second = server("/x"), server("/x")
        assert first.body == second.body == b"1"
        assert second.all("Cache-Status")[0].startswith("socialflow; hit")
        brief = server("/x", If_None_Match=first.all("ETag")[0])
        assert (brief.status, brief.body) == (304, b"")

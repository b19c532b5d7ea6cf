"""A cache before ASGI applications: streams, errors, and who goes away."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from examples.http_cache_rules import HttpCacheOptions
from socialflow_core.cache import HttpPolicy, Policy
from tests.examples.cached import Counting, asking, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from examples.asgi.rate_limit import Receive, Scope, Send


def test_what_never_ends_reaches_its_client_at_once() -> None:
    """A stream that is not kept is not held back, and hears that its client has gone."""
    produced = 0

    async def numbers() -> AsyncIterator[bytes]:
        nonlocal produced
        while True:
            produced += 1
            yield b"x"
            await asyncio.sleep(0)

    async def stream(_: Request) -> Response:
        return StreamingResponse(numbers())

    async def main() -> None:
        async with asking(Starlette(routes=[Route("/", stream)])) as client:
            answer = await asyncio.wait_for(client(), 10)
            assert answer.status == 200

    asyncio.run(main())
    assert produced


def test_what_grows_too_large_is_streamed() -> None:
    """What was held back comes first, and nothing is kept."""

    async def numbers() -> AsyncIterator[bytes]:
        for number in range(10):
            yield b"%d" % number

    async def stream(_: Request) -> Response:
        return StreamingResponse(numbers(), headers={"cache-control": "max-age=60"})

    options = HttpCacheOptions(http=HttpPolicy(max_body=5))

    async def main() -> None:
        async with asking(Starlette(routes=[Route("/", stream)]), options) as client:
            for _ in range(2):
                answer = await client()
                assert answer.headers["cache-status"] == "socialflow; fwd=miss"
        async with asking(Starlette(routes=[Route("/", stream)])) as client:
            bodies = [(await client()).body for _ in range(2)]
            assert bodies == [b"0123456789"] * 2

    asyncio.run(main())


def test_an_error_is_everybodys_who_waits_and_is_not_kept() -> None:
    """What the application raises reaches the server, and the next one asks again."""
    calls = 0

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ZeroDivisionError

    async def main() -> None:
        async with asking(app) as client:
            for _ in range(2):
                with pytest.raises(ZeroDivisionError):
                    await client()
            with pytest.raises(RuntimeError, match="no response"):
                await client()

    asyncio.run(main())


def test_what_is_stale_is_handed_out_and_computed_anew() -> None:
    """In the background, for whoever comes next; if that turns out private, nothing hangs."""
    counting = Counting(cache_control="max-age=60")
    options = HttpCacheOptions(
        http=HttpPolicy(serves_stale=True),
        policy=Policy(early=0, stale_while_revalidate=timedelta(minutes=5)),
    )

    async def main() -> None:
        async with asking(counting.app, options) as client:
            await client()
            client.clock.advance(timedelta(seconds=61))
            stale = await client()
            assert stale.body == b"1"
            assert stale.headers["cache-status"] == "socialflow; hit; ttl=-1"
            await until(lambda: counting.calls == 2)
            await until(lambda: client.cache_is_quiet)
            assert (await client()).body == b"2"
            counting.headers["set-cookie"] = "a=b"
            client.clock.advance(timedelta(seconds=61))
            assert (await client()).body == b"2"
            await until(lambda: counting.calls == 3)
            await until(lambda: client.cache_is_quiet)

    asyncio.run(main())


def test_a_client_that_goes_away_stops_nobody() -> None:
    """Those who wait for the same get it all the same."""
    counting = Counting(cache_control="max-age=60")

    async def main() -> None:
        counting.held = asyncio.Event()
        async with asking(counting.app) as client:
            first, second = (asyncio.ensure_future(client()) for _ in range(2))
            await until(lambda: counting.calls == 1)
            first.cancel()
            await asyncio.wait((first,))
            counting.held.set()
            assert (await second).body == b"1"
            assert counting.calls == 1

    asyncio.run(main())

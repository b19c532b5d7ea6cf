"""A cache before ASGI applications: what fails, and what goes on after its response."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from examples.http_cache_rules import HttpCacheOptions
from socialflow_core.cache import HttpPolicy, Policy
from tests.examples.cached import asking, until
from tests.examples.test_cache_asgi_messages import FRESH, part, start

if TYPE_CHECKING:
    from examples.asgi.rate_limit import App, Receive, Scope, Send
    from tests.examples.cached import Answer, Client

FAILING = HttpCacheOptions(
    http=HttpPolicy(serves_stale=True),
    policy=Policy(early=0, stale_if_error=timedelta(hours=1)),
)


def test_an_application_that_waits_for_its_clients_end_ends() -> None:
    """Nothing of a response that is for all outlives it; what is sent too late is dropped."""
    ended = 0

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal ended
        await send(start(FRESH))
        await send(part(b"x"))
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(part(b"too late"))
        ended += 1

    async def main() -> None:
        async with asking(app) as client:
            for number in range(20):
                assert (await client(f"/{number}")).body == b"x"
            await until(lambda: ended == 20)
            await until(lambda: client.cache_is_quiet)
            assert (await client("/0")).body == b"x"

    asyncio.run(main())


def test_an_error_after_the_response_is_heard() -> None:
    """By the loop, as that of any task; the response has been given, and stays."""
    heard: list[Any] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start(FRESH))
        await send(part(b"x"))
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: heard.append(context.get("exception")))
        async with asking(app) as client:
            assert (await client()).body == b"x"
            await until(lambda: bool(heard))

    asyncio.run(main())
    assert [type(each) for each in heard] == [ZeroDivisionError]


class Breaking:
    """Answers with numbers until it breaks, and then as Starlette does: 5xx, and the error."""

    def __init__(self) -> None:
        self.calls = 0
        self.ended = 0
        self.status = 200
        self.app: App = self._answer

    async def _answer(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.calls += 1
        number = self.calls
        headers = [FRESH] if self.status == 200 else []
        await send(start(*headers, status=self.status))
        await send(part(b"%d" % number))
        self.ended += 1

    async def asked_too_late(self, client: Client, status: int) -> Answer:
        """What is answered when what was kept is stale, and there is a *status* instead."""
        await client()
        self.status = status
        client.clock.advance(timedelta(seconds=61))
        return await client()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_failure_is_answered_with_what_is_stale(status: int) -> None:
    """RFC 5861, 4: whether the application raises, or says itself that it has failed."""
    breaking = Breaking()

    async def main() -> None:
        async with asking(breaking.app, FAILING) as client:
            answer = await breaking.asked_too_late(client, status)
            assert (answer.status, answer.body) == (200, b"1")
            assert answer.headers["cache-status"] == "socialflow; hit; ttl=-1"
            await until(lambda: breaking.ended == 2)

    asyncio.run(main())


@pytest.mark.parametrize("status", [501, 404])
def test_another_answer_is_no_failure(status: int) -> None:
    """It is what the application has to say now."""
    breaking = Breaking()

    async def main() -> None:
        async with asking(breaking.app, FAILING) as client:
            answer = await breaking.asked_too_late(client, status)
            assert (answer.status, breaking.ended) == (status, 2)

    asyncio.run(main())


def test_a_failure_is_told_where_nothing_else_is_at_hand() -> None:
    """By the very run that failed; those who waited for it ask for themselves."""
    breaking = Breaking()
    breaking.status = 503

    async def main() -> None:
        async with asking(breaking.app, FAILING) as client:
            answers = await asyncio.gather(*(client() for _ in range(5)))
            assert {each.status for each in answers} == {503}
            assert {each.body for each in answers} == {b"%d" % number for number in range(1, 6)}
            assert breaking.ended == 5

    asyncio.run(main())


def test_a_failure_in_the_background_is_heard_and_ends() -> None:
    """What is stale goes on being handed out."""
    breaking = Breaking()
    policy = Policy(early=0, stale_if_error=timedelta(1), stale_while_revalidate=timedelta(1))
    options = HttpCacheOptions(http=HttpPolicy(serves_stale=True), policy=policy)

    async def main() -> None:
        async with asking(breaking.app, options) as client:
            await client()
            breaking.status = 500
            client.clock.advance(timedelta(seconds=61))
            assert (await client()).body == b"1"
            await until(lambda: breaking.ended == 2)
            await until(lambda: client.cache_is_quiet)
            assert (await client()).body == b"1"
            await until(lambda: client.cache_is_quiet)

    asyncio.run(main())

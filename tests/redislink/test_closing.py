"""What a link says once it is closed, and from where it can be asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from socialflow_core._kit.errors import UnavailableError
from socialflow_core.redislink.redis import AsyncRedisLink
from tests._kit.forked import in_child
from tests.redislink.kit import ALL, ECHO, OPTIONS, PATIENT, clients, poll

if TYPE_CHECKING:
    from socialflow_core.testing.servers.valkey import Valkey
    from tests.redislink.conftest import Make


def test_a_closed_link_is_not_available(make_fast: Make, valkey: Valkey) -> None:
    """It says so itself, in the forked child of its process too."""
    link = make_fast(valkey.url)
    link.call(ECHO, [], ["hello"])
    link.close_link()
    assert not link.link.is_available
    if hasattr(link.link, "close"):
        assert in_child(lambda: not link.link.is_available)


def test_an_async_link_can_be_asked_from_anywhere(valkey: Valkey) -> None:
    """A status page in a thread learns whether any loop lost the server, and makes nothing."""
    link = AsyncRedisLink.from_url(valkey.url, OPTIONS)
    assert link.is_available

    async def scene() -> list[bool]:
        said = [link.is_available]
        await link.call(ECHO, [], ["hello"])
        said.append(await asyncio.to_thread(lambda: link.is_available))
        valkey.freeze()
        try:
            with pytest.raises(UnavailableError):
                await link.call(ECHO, [], ["hello"])
            said.append(await asyncio.to_thread(lambda: link.is_available))
        finally:
            valkey.thaw()
        await poll(lambda: link.is_available, "the link is back")
        await link.aclose()
        return [*said, link.is_available]

    assert asyncio.run(scene()) == [True, True, False, False]


def test_a_link_closed_on_one_loop_serves_the_next(valkey: Valkey) -> None:
    """Closing is about the loop on which it is awaited."""
    link = AsyncRedisLink.from_url(valkey.url, PATIENT)

    async def scene() -> bytes:
        reply: bytes = await link.call(ECHO, [], ["hello"])
        await link.aclose()
        with pytest.raises(UnavailableError):
            await link.call(ECHO, [], ["hello"])
        return reply

    assert [asyncio.run(scene()) for _ in range(2)] == [b"hello"] * 2
    assert clients(valkey) == 1


def test_a_plain_link_that_is_closed_starts_nothing(valkey: Valkey) -> None:
    """A call that fails after closing begins no probing."""

    async def scene() -> int:
        driver = ALL["AsyncPlainLink"](valkey.url, OPTIONS)
        link, client = driver.link, driver.link._client
        await link.aclose()
        with pytest.raises(UnavailableError):
            await link.call(ECHO, [], ["hello"])
        await client.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(scene()) == 1

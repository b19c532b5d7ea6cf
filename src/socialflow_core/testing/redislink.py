"""What every link to Redis promises, as tests to run on your own; extra `[testing]`.

```python
from socialflow_core.redislink.redis import RedisLink
from socialflow_core.testing.redislink import LinkContract


class TestMine(LinkContract):
    def link(self, url: str) -> RedisLink:
        return RedisLink.from_url(url, self.options)
```

An async link is handed over as `BlockingLink(MyAsyncLink(...))`. The server is real.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from socialflow_core._kit.errors import UnavailableError, requires_extra
from socialflow_core.redislink import LinkOptions, Script

from .poll import wait_until
from .servers.valkey import Valkey

with requires_extra("testing"):
    import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from socialflow_core.redislink import Argument, AsyncLink, Link

__all__ = ["BlockingLink", "LinkContract"]

_ADD = Script(
    "local out = {} for i, key in ipairs(KEYS) do out[i] = redis.call('INCRBY', key, ARGV[i]) end return out"
)


class BlockingLink:
    """An async link, driven as a sync one on an event loop of its own."""

    def __init__(self, link: AsyncLink) -> None:
        self._link = link
        self._runner = asyncio.Runner()
        self._closed = False

    @property
    def is_available(self) -> bool:
        """See `Link.is_available`; the loop runs a little, for the link to hear of the server."""

        async def ask() -> bool:
            await asyncio.sleep(0.01)
            return self._link.is_available

        return self._runner.run(ask())

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """See `Link.call`."""

        async def call() -> Any:
            return await self._link.call(script, keys, args)

        return self._runner.run(call())

    def when_recovered(self, tell: Callable[[], None]) -> None:
        """See `Link.when_recovered`."""

        async def told() -> None:
            tell()

        self._link.when_recovered(told)

    def close(self) -> None:
        """See `Link.close`; closes the event loop, too."""
        if not self._closed:
            self._closed = True
            self._runner.run(self._link.aclose())
            self._runner.close()


class LinkContract:
    """Subclass it, say how a link is built, and run it.

    Attributes:
        options: What the link is to be built with.
    """

    options = LinkOptions(deadline=timedelta(milliseconds=250))

    def link(self, url: str) -> Link:
        """Build a link with `options`; called for each test."""
        raise LookupError(url, "say how a link is built")

    @pytest.fixture
    def server(self) -> Iterator[Valkey]:
        """A server of the test's own."""
        with Valkey() as server:
            yield server

    @pytest.fixture
    def mine(self, server: Valkey) -> Iterator[Link]:
        """A fresh link to it."""
        link = self.link(server.url)
        yield link
        link.close()

    def test_a_call_answers_the_entry_of_its_item(self, mine: Link) -> None:
        """The script runs once for each call, and its one entry comes back."""
        assert [mine.call(_ADD, ["hits"], [cost]) for cost in (1, 2)] == [1, 3]
        assert mine.is_available

    def test_a_call_is_one_round_trip(self, mine: Link, server: Valkey) -> None:
        """The server reads once for each call, once the link is warm."""
        for _ in range(2):
            mine.call(_ADD, ["hits"], [1])
        before = server.round_trips()
        for _ in range(5):
            mine.call(_ADD, ["hits"], [1])
        assert server.round_trips() - before == 5

    def test_a_forgotten_script_is_sent_again(self, mine: Link, server: Valkey) -> None:
        """The caller does not notice, and it counts once."""
        mine.call(_ADD, ["hits"], [1])
        server.command("SCRIPT", "FLUSH")
        assert mine.call(_ADD, ["hits"], [1]) == 2

    def test_a_server_that_is_away_is_an_error_in_time(self, mine: Link, server: Valkey) -> None:
        """The first call ends with its deadline, the later ones at once, and nothing is sent."""
        mine.call(_ADD, ["hits"], [1])
        server.freeze()
        try:
            with pytest.raises(UnavailableError):
                mine.call(_ADD, ["hits"], [1])
            began = time.monotonic()
            with pytest.raises(UnavailableError) as caught:
                mine.call(_ADD, ["hits"], [1])
            assert time.monotonic() - began < self.options.deadline.total_seconds()
            assert caught.value.sent is False
        finally:
            server.thaw()

    def test_a_server_that_is_back_is_used_again(self, mine: Link, server: Valkey) -> None:
        """Found by the link itself: no call has to probe for it."""
        mine.call(_ADD, ["hits"], [1])
        server.kill()
        with pytest.raises(UnavailableError):
            mine.call(_ADD, ["hits"], [1])
        assert not mine.is_available
        server.restart()
        wait_until(lambda: mine.is_available, "the link uses the server again")
        assert mine.call(_ADD, ["hits"], [1]) >= 1

    def test_closing_twice_is_fine(self, server: Valkey) -> None:
        """Nothing is left open, and nothing complains."""
        link = self.link(server.url)
        link.call(_ADD, ["hits"], [1])
        link.close()
        link.close()

"""Servers and links that the tests of this folder share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from socialflow_core.testing.proxy import FaultProxy
from tests.redislink.kit import ALL, FAST, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from socialflow_core.redislink import LinkOptions
    from socialflow_core.testing.servers.valkey import Valkey
    from tests.redislink.kit import Driver


class Make(Protocol):
    """Makes a link that the test's end closes."""

    def __call__(self, url: str, options: LinkOptions = OPTIONS) -> Driver:
        """Link to *url*."""
        ...


@pytest.fixture
def proxy(valkey: Valkey) -> Iterator[FaultProxy]:
    """A way to that server that can be broken."""
    with FaultProxy(valkey.host, valkey.port) as proxy:
        yield proxy


def _making(kind: str) -> Iterator[Make]:
    with ExitStack() as stack:

        def make(url: str, options: LinkOptions = OPTIONS) -> Driver:
            driver = ALL[kind](url, options)
            stack.callback(driver.close)
            return driver

        yield make


@pytest.fixture(params=ALL)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A maker of each kind of link."""
    yield from _making(request.param)


@pytest.fixture(params=FAST)
def make_fast(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A maker of each kind of link that is ours down to the socket."""
    yield from _making(request.param)


@pytest.fixture
def link(make: Make, valkey: Valkey) -> Driver:
    """A link of each kind, to the shared server."""
    return make(valkey.url)

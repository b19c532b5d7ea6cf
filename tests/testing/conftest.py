"""Servers that the tests of this folder share."""

from collections.abc import Iterator

import pytest

from socialflow_core.testing.servers.valkey import Valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A server that no test may harm."""
    with Valkey() as server:
        yield server
